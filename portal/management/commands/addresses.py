"""`manage.py addresses`: the table of docs/urls.md, made from the code."""

import inspect
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.core.management.base import BaseCommand
from django.urls import URLPattern, URLResolver, get_resolver

# Django's admin and allauth document their own addresses.
THEIRS = ("operator/", "account/")

HEAD = """# Addresses

Every address of the portal, by the name that templates use for it. This page is made by
`manage.py addresses > docs/urls.md`; a test fails while an address is missing from it.

| Name | Address | What it is |
|---|---|---|"""


class Address(NamedTuple):
    name: str
    path: str
    words: str


class Command(BaseCommand):
    help = "Prints every address of the portal as the table of docs/urls.md."

    def handle(self, *_args: Any, **_options: Any) -> None:
        self.stdout.write(HEAD)
        for name, path, words in sorted(set(every_address())):
            self.stdout.write(f"| `{name}` | `{path}` | {words} |")


def every_address() -> Iterator[Address]:
    yield from _walk(get_resolver().url_patterns, "", "")


def _walk(patterns: list[Any], path: str, namespace: str) -> Iterator[Address]:
    for pattern in patterns:
        route = path + str(pattern.pattern)
        if route.startswith(THEIRS):
            continue
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _walk(pattern.url_patterns, route, inner)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield Address(namespace + pattern.name, "/" + _plain(route), _words(pattern.callback))


def _plain(path: str) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", path).replace("^", "").replace("$", "")


def _words(view: Any) -> str:
    """Return the first line of the view's docstring, if it has one of its own."""
    text = inspect.getdoc(view) if inspect.isfunction(inspect.unwrap(view)) else None
    return (text or "").split("\n")[0].replace("|", "\\|")
