"""Rehearsals: make a change and roll it back, to see what it would do. Nothing of it is stored."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import transaction

_rehearsing: ContextVar[bool] = ContextVar("rehearsing", default=False)


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


def is_rehearsal() -> bool:
    """Return whether a rehearsal runs; for writes beside the database, which no rollback undoes."""
    return _rehearsing.get()
