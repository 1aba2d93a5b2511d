"""Where nasty values (nasty_values.py) can be sent to: addresses, forms, bodies.

Forms are taken from the pages that show them, as a browser does; parameters from the source
of the views; bodies of the API from its schema, each beside a right one that BODIES knows.
"""

import ast
import hashlib
import inspect
import json
import re
import textwrap
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, ClassVar
from unittest import mock

from django.http import QueryDict
from django.test import Client
from django.urls import resolve

from tests.rules.nasty_values import VALUES

# --- What there is to send it to ------------------------------------------------------------


@dataclass
class HtmlForm:
    action: str
    method: str
    # Values as a browser would send them if nobody typed anything.
    fields: dict[str, list[str]] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)


class Forms(HTMLParser):
    """The forms of a page with their fields."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.found: list[HtmlForm] = []
        self._open: HtmlForm | None = None
        self._select: str = ""
        self._area: str = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            action = urllib.parse.urljoin(self.path, given.get("action", ""))
            self._open = HtmlForm(action.partition("?")[0], given.get("method", "get").lower())
            self.found.append(self._open)
        name = given.get("name", "")
        if self._open is None:
            return
        if tag == "option" and self._select:
            values = self._open.fields.setdefault(self._select, [])
            if "selected" in given or not values:
                values[:] = [given.get("value", "")]
        if not name:
            return
        if tag == "input" and given.get("type") == "file":
            self._open.files.add(name)
        elif tag == "input":
            values = self._open.fields.setdefault(name, [])
            ticks = given.get("type") in {"checkbox", "radio"}
            if not ticks or "checked" in given or not values:
                values.append(given.get("value", "on" if ticks else ""))
        elif tag == "button":
            self._open.fields.setdefault(name, [given.get("value", "")])
        elif tag == "select":
            self._select = name
            self._open.fields.setdefault(name, [])
        elif tag == "textarea":
            self._area = name
            self._open.fields.setdefault(name, [""])

    def handle_data(self, data: str) -> None:
        if self._open is not None and self._area:
            self._open.fields[self._area][0] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""


def forms_of(path: str, html: str) -> list[HtmlForm]:
    parser = Forms(path)
    parser.feed(html)
    return parser.found


# What Django's own pages read.
THEIRS = ["q", "next", "p", "o", "all", "id", "id__in", "pk__gt", "at__gte", "verb", "_popup",
          "is_active__exact", "user__id__exact", "username"]  # fmt: skip


class Noting(QueryDict):
    """What an address asks, noting which parameters are read."""

    read: ClassVar[set[str]] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        # It asks itself while it is filled.
        if not self._mutable:
            self.read.add(str(key))
        return super().__contains__(key)

    def getlist(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().getlist(key, default)

    def items(self) -> Any:
        # Who goes through all of them may read any.
        self.read.update(self.keys())
        return super().items()


def read_parameters(client: Client, path: str) -> list[str]:
    """The parameters that the view reads when it is asked with none, and with all of `parameters`;
    and one that nobody reads."""
    named = parameters(path)
    Noting.read.clear()
    with mock.patch("django.core.handlers.wsgi.QueryDict", Noting):
        for query in ("", *(urllib.parse.urlencode(dict.fromkeys(named, v)) for v in ("1", "x"))):
            client.get(path, QUERY_STRING=query)
    return sorted(Noting.read | {"unknown"})


def parameters(path: str) -> list[str]:
    """The parameters that the view behind an address may read: those that it and the functions
    of its module that it calls name, and the fields of the forms that it fills from an address."""
    view = inspect.unwrap(resolve(path).func)
    module = inspect.getmodule(view)
    theirs = module is None or "/site-packages/" in (module.__file__ or "")
    if module is None or theirs or not inspect.isfunction(view):
        return THEIRS
    found: set[str] = {"page", "unknown"}
    seen: set[str] = set()
    waiting = [view.__name__]
    while waiting:
        name = waiting.pop()
        function = inspect.unwrap(getattr(module, name, None) or view)
        if name in seen or not inspect.isfunction(function):
            continue
        seen.add(name)
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                here = getattr(module, node.id, None)
                found |= set(getattr(here, "base_fields", {}))
                if inspect.isfunction(here) and here.__module__ == module.__name__:
                    waiting.append(node.id)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {node.value} if re.fullmatch(r"[a-z_]{1,20}", node.value) else set()
    return sorted(found)


# --- The API --------------------------------------------------------------------------------

# Of the file that goes with it.
FILE = b"weights of another step"
SHA = hashlib.sha256(FILE).hexdigest()
# A right body for each address that takes one; the fields of the schema are spoiled one by one.
BODIES: dict[str, Any] = {
    "/api/v1/runs": {"project": "umbra", "name": "a", "config": {"lr": 0.1}},
    "/api/v1/submissions": {
        "project": "umbra",
        "recipe": "tone_check",
        "config": {"steps": 5},
        "dataset": None,
        "start_from": None,
        "name": "a",
        "resources": {"cpus": 1},
    },
    "/api/v1/comments": {"kind": "run", "key": "RUN", "text": "a @ada", "parent": None},
    "/api/v1/comments/{pk}/edit": {"text": "a @ada"},
    "/api/v1/projects/{slug}/reports": {"title": "a", "text": "```runs\n```", "publish": False},
    "/api/v1/projects/{slug}/reports/{number}": {
        "title": "a",
        "text": "a",
        "version": 1_000,
        "publish": False,
    },
    "/api/v1/runs/{run_id}/alerts": {"title": "a", "text": "b", "level": "warn"},
    "/api/v1/sweeps": {
        "project": "umbra",
        "recipe": "tone_check",
        "config": {"steps": 5},
        "dataset": None,
        "start_from": None,
        "name": "a",
        "resources": {"cpus": 1},
        "sweep": {
            "space": {"frequency": {"min": 100.0, "max": 200.0}},
            "objective": "loss",
            "method": "tpe",
            "pruning": {"rule": "asha"},
            "trials": 5,
            "parallel": 2,
            "hours": 1.0,
            "cost": None,
            "failures": 3,
            "seed": 1,
        },
    },
    "/api/v1/runs/{run_id}/arithmetic": {
        "precision": "fp32",
        "threads": 2,
        "reason": "It is faster here.",
    },
    "/api/v1/runs/{run_id}/config": {"values": {"batch": 8}},
    "/api/v1/runs/{run_id}": {
        "name": "a",
        "description": "a",
        "notes": "a",
        "tags": ["a"],
        "add_tags": ["b"],
        "remove_tags": ["c"],
        "version": 1_000,
    },
    "/api/v1/projects/{slug}/bulk/{act}": {
        "numbers": [1],
        "query": "name:a",
        "archived": False,
        "count": 1,
        "tags": ["a"],
    },
    "/api/v1/runs/{run_id}/words": {
        "name": "a",
        "description": "a",
        "notes": "a",
        "add_tags": ["b"],
        "remove_tags": ["c"],
        "first": False,
    },
    "/api/v1/runs/{run_id}/environment": {
        "session": "attempt-1",
        "source": "program",
        "entry": "train.py",
        "arguments": ["--lr", "0.1"],
        "python": "CPython 3.12.1",
        "packages": {"torch": "2.9.0"},
        "direct": {"mine": "a folder of its machine"},
        "system": "Linux",
        "host": "node-1",
        "hardware": {"processor": "a", "threads": 8, "memory_bytes": 1, "gpus": [{"name": "H200"}]},
        "variables": {"RANK": "0"},
        "image": "a",
        "code": {"commit": "ab12", "branch": "main", "remote": "a", "diff": "+a\n", "changed": 1},
    },
    "/api/v1/runs/{run_id}/logs": {
        "session": "attempt-1",
        "stream": "stdout",
        "offset": 0,
        "text": "a\n",
        "at": "2026-01-01T00:00:00Z",
    },
    "/api/v1/runs/{run_id}/heartbeat": {
        "session": "attempt-1",
        "stage": "a",
        "progress": 0.5,
        "waiting": 0,
    },
    "/api/v1/runs/{run_id}/usage": {
        "step": 20,
        "lines": [{"recording": "RECORDING", "examples": 1, "seconds": 1.0}],
    },
    "/api/v1/runs/{run_id}/ending": {"outcome": "finished", "reason": "a"},
    "/api/v1/runs/{run_id}/undelivered": {"session": "attempt-1", "count": 1, "reason": "a"},
}
# What the address has beside a body, and what is not posted.
ADDITIONS = {
    "/api/v1/runs/{run_id}/words": "?session=attempt-1&number=1",
    "/api/v1/runs/{run_id}/alerts": "?session=attempt-1&number=1",
}
METHODS = {
    "/api/v1/runs/{run_id}": "PATCH",
    "/api/v1/projects/{slug}/reports/{number}": "PATCH",
}
# The JSON beside a file.
METAS: dict[str, Any] = {
    "/api/v1/runs/{run_id}/checkpoints": {"step": 11, "sha256": "SHA", "meta": {"loss": 1.0}},
    "/api/v1/runs/{run_id}/samples": {
        "name": "a/b",
        "step": 11,
        "prompt": "a",
        "seed": 1,
        "final": False,
        "references": [],
    },
}


def spoiled(body: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where, the value, and the body with it: each value at each place, and in place of all."""
    for value in VALUES:
        yield "whole", value, value
        for key, inner in body.items():
            yield key, value, body | {key: value}
            if isinstance(inner, dict):
                yield f"{key}.new", value, body | {key: inner | {"new": value}}
            if isinstance(inner, list):
                yield f"{key}[]", value, body | {key: [value]}
            if isinstance(inner, list) and inner and isinstance(inner[0], dict):
                for name in inner[0]:
                    yield f"{key}[].{name}", value, body | {key: [inner[0] | {name: value}]}
    for value in ("\0", "\ud800", "x" * 5_000):
        yield "an unknown name", value, body | {value: 1}


def as_json(body: Any) -> bytes:
    """As a careless program writes it: NaN, infinities and halves of characters included."""
    return json.dumps(body).encode()
