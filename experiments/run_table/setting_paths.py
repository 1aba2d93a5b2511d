"""Names of settings: `model.lr` is a key with a dot in it, or the key `lr` inside `model`.

Programs write both, also in one project. A name means whichever a run has: the key with the most
dots first.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from django.db.models import Case, CharField, Func, JSONField, Q, When
from django.db.models.fields.json import (  # type: ignore[attr-defined]
    KeyTextTransform,
    KeyTransform,
    compile_json_path,
)

# More parts than this are too many ways to read a name.
MAX_PARTS = 6
MISSING = object()


def readings(name: str) -> list[tuple[str, ...]]:
    """Return the ways to read a name as keys, those with the longest keys first.

    Of `a.b.c`: `a.b.c`, then `a.b` > `c`, `a` > `b.c`, then `a` > `b` > `c`. There is none if a
    part is empty, or if there are too many.
    """
    parts = name.split(".")
    if len(parts) > MAX_PARTS or not all(parts):
        return []
    return list(_readings(parts))


def _readings(parts: list[str]) -> Iterator[tuple[str, ...]]:
    for count in range(len(parts)):
        # From the right, so that the first key is as long as can be.
        for cuts in reversed(list(combinations(range(1, len(parts)), count))):
            ends = [*cuts, len(parts)]
            starts = [0, *cuts]
            yield tuple(".".join(parts[a:b]) for a, b in zip(starts, ends, strict=True))


def look_up(config: object, name: str) -> Any:
    """Return the setting of that name; MISSING if there is none."""
    for keys in readings(name):
        value = config
        for key in keys:
            value = value.get(key, MISSING) if isinstance(value, dict) else MISSING
        if value is not MISSING:
            return value
    return MISSING


def value_of(keys: tuple[str, ...]) -> KeyTransform:
    """Return the JSON value at a path of keys, for the database."""
    value: KeyTransform | str = "config"
    for key in keys:
        value = KeyTransform(key, value)
    assert isinstance(value, KeyTransform)  # noqa: S101 - there is at least one key.
    return value


def text_of(keys: tuple[str, ...]) -> KeyTextTransform:
    """Return the same value as text."""
    return KeyTextTransform(keys[-1], value_of(keys[:-1]) if keys[1:] else "config")


class TypeOf(Func):
    """The name that a database has for the type of a setting: only it tells true from "true"."""

    output_field = CharField()

    def __init__(self, keys: tuple[str, ...]) -> None:
        super().__init__("config")
        self.keys = keys

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        column, parameters = compiler.compile(self.source_expressions[0])
        return f"JSON_TYPE({column}, %s)", (*parameters, compile_json_path(self.keys))

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:  # noqa: ARG002
        column, parameters = compiler.compile(self.source_expressions[0])
        return f"jsonb_typeof({column} #> %s::text[])", (*parameters, list(self.keys))


def types(value: object) -> tuple[str, ...]:
    """Return what the databases call the type of a value."""
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return ("true", "false", "boolean")
    return ("text", "string") if isinstance(value, str) else ("integer", "real", "number")


def first(aliases: list[str]) -> Case:
    """Return the first of these values that is there; nothing if that is null."""
    cases, earlier = [], Q()
    for alias in aliases:
        there = Q(**{f"{alias}__isnull": False})
        cases.append(When(earlier & there & ~Q(**{alias: None}), then=alias))
        earlier &= Q(**{f"{alias}__isnull": True})
    return Case(*cases, output_field=JSONField())
