"""The audit chain: each line carries the hash of the one before it, so a changed line shows.

A line's hash is SHA-256 over its canonical JSON (sorted keys, no spaces, UTF-8) with the
previous line's hash in it. `manage.py audit verify` walks the chain.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from portal.models import AuditEvent, User

GENESIS = "0" * 64


def line_hash(event: AuditEvent) -> str:
    canonical = json.dumps(
        {
            "seq": event.seq,
            "at": event.at.isoformat(),
            "actor": event.actor_label,
            "verb": event.verb,
            "subject": [event.subject_type, event.subject_id],
            "body": event.body,
            "prev": event.prev_hash,
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def record(*, by: User | None, verb: str, subject: models.Model, **body: Any) -> AuditEvent:
    """Append one line. Call it inside the transaction that makes the change it tells of.

    `by=None` is the system itself (the clock, the cluster). `body` must be plain JSON values.
    """
    with transaction.atomic():
        # The lock on the last line orders writers on PostgreSQL; on SQLite the transaction
        # itself is exclusive. The primary key refuses a fork of the chain in any case.
        last = AuditEvent.objects.select_for_update().order_by("-seq").first()
        event = AuditEvent(
            seq=last.seq + 1 if last else 1,
            at=timezone.now(),
            actor=by,
            actor_label=by.username if by else "system",
            verb=verb,
            subject_type=subject._meta.label_lower,
            subject_id=str(subject.pk),
            body=body,
            prev_hash=last.hash if last else GENESIS,
        )
        event.hash = line_hash(event)
        event.save(force_insert=True)
        return event


def broken_lines() -> Iterator[tuple[int, str]]:
    """Sequence number and a sentence for each line that does not fit the chain."""
    prev_hash, expected = GENESIS, 1
    for event in AuditEvent.objects.order_by("seq").iterator(chunk_size=2000):
        if event.seq != expected:
            yield event.seq, f"Line {expected} is missing."
        if event.prev_hash != prev_hash:
            yield event.seq, f"Line {event.seq} does not follow the line before it."
        if event.hash != line_hash(event):
            yield event.seq, f"Line {event.seq} was changed after it was written."
        prev_hash, expected = event.hash, event.seq + 1


def history(subject: models.Model) -> models.QuerySet[AuditEvent]:
    """The lines about one object, newest first."""
    return AuditEvent.objects.filter(
        subject_type=subject._meta.label_lower, subject_id=str(subject.pk)
    ).order_by("-seq")
