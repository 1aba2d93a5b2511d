"""A back-up and its restore, for tests of what is said again after it."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction

from portal import endings
from portal.endings import Outcome
from portal.models import User


@contextmanager
def after_the_back_up() -> Iterator[None]:
    """What is done here is in the journal; the database is then as it was before."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def outcomes(by: User) -> list[Outcome]:
    """What came of each ending that is said again now."""
    return [answer.outcome for _, answer in endings.apply_missing(by=by).done]
