"""What would be, found by doing it and taking it back: nothing of a rehearsal is kept anywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import transaction

_rehearsing: ContextVar[bool] = ContextVar("rehearsing", default=False)


@contextmanager
def rehearsed() -> Iterator[None]:
    """All that the database is told within is undone at the end."""
    token = _rehearsing.set(True)
    try:
        with transaction.atomic():
            yield
            transaction.set_rollback(True)
    finally:
        _rehearsing.reset(token)


def is_rehearsal() -> bool:
    """Asked by what keeps something beside the database, which a rollback does not undo."""
    return _rehearsing.get()
