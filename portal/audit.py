"""The audit chain: each line carries the hash of the one before it, so a changed line shows.

A line's hash is SHA-256 over its canonical JSON (sorted keys, no spaces, UTF-8) with the
previous line's hash in it. `manage.py audit verify` walks the chain.
"""

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from portal.models import AuditEvent, User

GENESIS = "0" * 64


def line_hash(
    *,
    seq: int,
    at: datetime,
    actor_label: str,
    verb: str,
    subject_type: str,
    subject_id: str,
    body: dict[str, Any],
    prev_hash: str,
) -> str:
    canonical = json.dumps(
        {
            "seq": seq,
            "at": at.isoformat(),
            "actor": actor_label,
            "verb": verb,
            "subject": [subject_type, subject_id],
            "body": body,
            "prev": prev_hash,
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
        seq = last.seq + 1 if last else 1
        prev_hash = last.hash if last else GENESIS
        at = timezone.now()
        actor_label = by.username if by else "system"
        subject_type = subject._meta.label_lower
        subject_id = str(subject.pk)
        return AuditEvent.objects.create(
            seq=seq,
            at=at,
            actor=by,
            actor_label=actor_label,
            verb=verb,
            subject_type=subject_type,
            subject_id=subject_id,
            body=body,
            prev_hash=prev_hash,
            hash=line_hash(
                seq=seq,
                at=at,
                actor_label=actor_label,
                verb=verb,
                subject_type=subject_type,
                subject_id=subject_id,
                body=body,
                prev_hash=prev_hash,
            ),
        )


def broken_lines() -> Iterator[tuple[int, str]]:
    """Sequence number and a sentence for each line that does not fit the chain."""
    prev_hash, expected = GENESIS, 1
    for event in AuditEvent.objects.order_by("seq").iterator(chunk_size=2000):
        if event.seq != expected:
            yield event.seq, f"Line {expected} is missing."
        if event.prev_hash != prev_hash:
            yield event.seq, f"Line {event.seq} does not follow the line before it."
        if event.hash != line_hash(
            seq=event.seq,
            at=event.at,
            actor_label=event.actor_label,
            verb=event.verb,
            subject_type=event.subject_type,
            subject_id=event.subject_id,
            body=event.body,
            prev_hash=event.prev_hash,
        ):
            yield event.seq, f"Line {event.seq} was changed after it was written."
        prev_hash, expected = event.hash, event.seq + 1


def history(subject: models.Model) -> models.QuerySet[AuditEvent]:
    """The lines about one object, newest first."""
    return AuditEvent.objects.filter(
        subject_type=subject._meta.label_lower, subject_id=str(subject.pk)
    ).order_by("-seq")
