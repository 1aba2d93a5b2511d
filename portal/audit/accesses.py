"""Audit lines of reads: who fetched or heard what, once each however many requests it took."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from portal.audit.chain import history, record
from portal.database import commit_order
from portal.models import AuditEventQuerySet, User


def record_once(
    *,
    by: User,
    verb: str,
    subject: models.Model,
    key: Mapping[str, str],
    within: timedelta | None = None,
    body: Callable[[], Mapping[str, Any]] = dict,
) -> None:
    """Append the line unless this person has one with the same verb, subject and key, made `within`
    the last so long or ever. A browser asks for a file in many parts, which are one read.

    `body` gives the rest of the line; it is called only where a line is written.
    """

    def recorded() -> bool:
        return _lines(by, verb, subject, key, within).exists()

    if recorded():
        return
    with transaction.atomic():
        commit_order.moment()
        # Two parts that are asked for at once take turns here.
        if not recorded():
            line: dict[str, Any] = {**key, **body()}
            record(by=by, verb=verb, subject=subject, **line)


def _lines(
    by: User, verb: str, subject: models.Model, key: Mapping[str, str], within: timedelta | None
) -> AuditEventQuerySet:
    lines = history(subject).filter(verb=verb, actor=by)
    lines = lines.filter(**{f"body__{name}": value for name, value in key.items()})
    return lines if within is None else lines.filter(at__gt=timezone.now() - within)
