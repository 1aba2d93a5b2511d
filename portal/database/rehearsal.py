"""Rehearsals: make a change and roll it back, to see what it would do. Nothing of it is stored."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from django.db import transaction

T = TypeVar("T")

_rehearsing: ContextVar[bool] = ContextVar("rehearsing", default=False)
# What was worked out for a page that shows an act and rehearses it; None everywhere else.
_known: ContextVar[dict[Hashable, Any] | None] = ContextVar("known", default=None)


@contextmanager
def rehearsed() -> Iterator[None]:
    """Roll back, at the end, everything that is written to the database within."""
    token = _rehearsing.set(True)
    try:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)
    finally:
        _rehearsing.reset(token)


@contextmanager
def remembering() -> Iterator[None]:
    """Let `remembered` work things out once within. Not for a change that is stored: what it rests
    on is looked up anew."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def remembered(key: Callable[[], Hashable], find: Callable[[], T]) -> T:
    """Return what `find` returns; within `remembering`, what it returned for an equal key."""
    known = _known.get()
    if known is None:
        return find()
    at = key()
    if at not in known:
        known[at] = find()
    found: T = known[at]
    return found


def is_rehearsal() -> bool:
    """Return whether a rehearsal runs; for writes beside the database, which no rollback undoes."""
    return _rehearsing.get()
