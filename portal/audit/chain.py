"""The audit chain: each line contains the hash of the line before it, so a changed line shows.

A line's hash is SHA-256 over its canonical JSON with the previous line's hash in it. Names and
text that people typed stay outside: the line holds a salted digest of them, and the values are in
a row of their own, which may be erased without breaking the chain.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import models, transaction

from portal.database import commit_order
from portal.database.rehearsal import is_rehearsal
from portal.models import AuditEvent, AuditEventQuerySet, AuditPrivate, User

GENESIS = "0" * 64
# Version 1 hashed the user name and had no private values; its lines still verify.
FORM = 2
ERASED = "audit.erased"
# Rows per statement.
BATCH_SIZE = 500


def canonical(value: object) -> bytes:
    """Encode as canonical JSON: sorted keys, no spaces, UTF-8. ValueError for NaN and infinity."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def pseudonym(user_id: int | None) -> str:
    """Return the actor as it is hashed: not a name, and the same forever."""
    return f"user:{user_id}" if user_id is not None else "system"


def hashed_part(event: AuditEvent) -> dict[str, Any]:
    """Return what the line's hash is taken over. A proof contains it too, so it names no person."""
    part = {
        "seq": event.seq,
        "at": event.at.isoformat(),
        "actor": event.actor_label if event.form == 1 else pseudonym(event.actor_id),
        "verb": event.verb,
        "subject": [event.subject_type, event.subject_id],
        "body": event.body,
        "prev": event.prev_hash,
    }
    return part if event.form == 1 else part | {"form": event.form}


def line_hash(event: AuditEvent) -> str:
    return hashlib.sha256(canonical(hashed_part(event))).hexdigest()


def private_digest(salt: str, values: Mapping[str, Any]) -> str:
    """Return SHA-256 over the salt's 16 bytes and the values: unguessable without the salt."""
    return hashlib.sha256(bytes.fromhex(salt) + canonical(values)).hexdigest()


def record(
    *,
    by: User | None,
    verb: str,
    subject: models.Model,
    private: Mapping[str, Any] | None = None,
    moment: datetime | None = None,
    **body: Any,
) -> AuditEvent:
    """Append one line. Call it inside the transaction that makes the change it records.

    `by=None` is the system itself (the clock, the cluster). `body` is for codes, numbers and
    keys, and is stored forever; names, titles, e-mails and reasons that people typed go into
    `private`, where empty values are left out. Both are plain JSON values; ValueError for NaN.
    `moment` is a commit_order.moment() that this transaction has taken already.
    """
    lines = record_each(
        by=by, verb=verb, subjects=[subject], private=private, moment=moment, **body
    )  # fmt: skip
    return lines[0]


def record_each(
    *,
    by: User | None,
    verb: str,
    subjects: Iterable[models.Model],
    private: Mapping[str, Any] | None = None,
    moment: datetime | None = None,
    **body: Any,
) -> list[AuditEvent]:
    """Append the same line for each of many objects, in one turn and a handful of statements."""
    body = _plain(body)
    values = _plain({key: value for key, value in (private or {}).items() if value})
    events: list[AuditEvent] = []
    private_rows: list[AuditPrivate] = []
    # No savepoint: where the line fails, the change must be rolled back too.
    with transaction.atomic(savepoint=False):
        # The turn orders writers. A lock on the last line would not: on PostgreSQL a writer that
        # waited for it gets the line that was the last before the wait.
        at = moment or commit_order.moment()
        newest = AuditEvent.objects.order_by("-seq").values_list("seq", "hash")[:1]
        last_seq, last_hash = next(iter(newest), (0, GENESIS))
        for subject in subjects:
            event = AuditEvent(
                seq=last_seq + 1,
                form=FORM,
                at=at,
                actor=by,
                actor_label=by.username if by else "system",
                verb=verb,
                subject_type=subject._meta.label_lower,
                subject_id=str(subject.pk),
                body=dict(body),
                prev_hash=last_hash,
            )
            if values:
                # A salt per line: its values may be erased without those of the others.
                private_row = AuditPrivate(event=event, salt=secrets.token_hex(16), values=values)
                event.body["private"] = private_digest(private_row.salt, values)
                private_rows.append(private_row)
            event.hash = line_hash(event)
            events.append(event)
            last_seq, last_hash = event.seq, event.hash
        AuditEvent.objects.bulk_create(events, batch_size=BATCH_SIZE)
        AuditPrivate.objects.bulk_create(private_rows, batch_size=BATCH_SIZE)
        if not is_rehearsal():
            for hook in _commit_hooks:
                hook(events)
    return events


def before_commit(hook: Callable[[Sequence[AuditEvent]], None]) -> None:
    """Call `hook` with new lines before they are committed, in their turn; what it raises rolls
    them back with the change that they record. Not in a rehearsal, which stores nothing."""
    _commit_hooks.append(hook)


_commit_hooks: list[Callable[[Sequence[AuditEvent]], None]] = []


@transaction.atomic
def erase(target: models.Model, *, by: User | None, reason: str) -> AuditEvent | None:
    """Delete the private values of one line, or of every line about an object.

    For a person, delete also the user name beside the lines of what they did. The lines and their
    hashes stay; the erasure is a line of its own, which is returned, or None where there was
    nothing to erase. Lines of form 1 have the user name in their hash and keep it.
    """
    rows = AuditPrivate.objects.all()
    if isinstance(target, AuditEvent):
        rows = rows.filter(event=target)
    else:
        about = {"subject_type": target._meta.label_lower, "subject_id": str(target.pk)}
        # The reason of an erasure is erased only when that line itself is named.
        rows = rows.filter(event__in=AuditEvent.objects.filter(**about).exclude(verb=ERASED))
    lines = sorted(rows.values_list("event_id", flat=True))
    if lines:
        # Only up to the last listed line: those written meanwhile are not in this record.
        rows.filter(event_id__lte=lines[-1]).delete()
    labels = _anonymise_label(target) if isinstance(target, User) else 0
    if not lines and not labels:
        return None
    return record(
        by=by, verb=ERASED, subject=target, lines=lines, labels=labels, private={"reason": reason}
    )


def newest_hash() -> str:
    """Return the hash of the newest line: while it stays the same, nothing recorded has changed."""
    line = AuditEvent.objects.order_by("-seq").values_list("hash", flat=True).first()
    return line or GENESIS


def history(subject: models.Model) -> AuditEventQuerySet:
    """Return the lines about one object, newest first, with their private values (`details`)."""
    return (
        AuditEvent.objects.filter(
            subject_type=subject._meta.label_lower, subject_id=str(subject.pk)
        )
        .select_related("kept")
        .order_by("-seq")
    )


def _anonymise_label(user: User) -> int:
    events = AuditEvent.objects.filter(actor=user, form__gt=1)
    return events.exclude(actor_label=pseudonym(user.pk)).update(actor_label=pseudonym(user.pk))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as every database will give them back: tuples as lists, keys as text."""
    plain: dict[str, Any] = json.loads(json.dumps(values, allow_nan=False), parse_float=_number)
    return plain


def _number(text: str) -> float | int:
    """Parse as PostgreSQL's jsonb, which stores decimals: no -0.0, and 1e16 becomes an integer."""
    number = float(text)
    return int(number) if abs(number) >= 1e16 else number + 0.0
