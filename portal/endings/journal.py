"""The lines of the journal: written in the turn of the change that they record, read and checked.

A line is JSON with its number, the digest of the line before it and a signature by AUDIT_KEY. There
are three kinds: `began` opens a journal, `said` is a line of the audit log, `kept` says after the
commit that it was committed. A `said` line also names the line before it that the database knew
(`after`): what a later line skips was rolled back. So a crash at any moment leaves at most the last
lines in doubt, and a line whose change was rolled back is recognised.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from pydantic import BaseModel, ConfigDict, ValidationError

from portal.audit import chain, roots
from portal.endings import places
from portal.endings.declared import JournalEntry, declared, is_kept
from portal.models import AuditEvent, EndingsPosition

log = logging.getLogger(__name__)

KIND = "backline.endings/1"
START = "0" * 64
# A new journal, the first or one after a loss, takes in the log's lines of this long: back-ups that
# are older are not restored.
BACKFILL = timedelta(days=90)
# The part of a line that the journal leaves out: the digest of its private values.
PRIVATE = "private"


class Unwritable(RuntimeError):
    """The journal cannot be written, so nothing can be ended; the message is for whoever tried."""


class Damaged(RuntimeError):
    """The journal is not what was written; the message says where."""


class JournalLine(BaseModel):
    """A line, with the name of its journal, so that no line passes for one of another journal."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int
    kind: Literal["began", "said", "kept"]
    journal: str
    prev: str
    told: dict[str, Any]
    key_id: str = ""
    signature: str = ""

    def statement(self) -> dict[str, Any]:
        return {"form": KIND, **self.model_dump(exclude={"key_id", "signature"})}


def _sealed(line: JournalLine) -> bytes:
    key = roots.private_key()
    return chain.canonical(
        line.model_copy(
            update={
                "key_id": roots.key_id(key.public_key().public_bytes_raw().hex()),
                "signature": key.sign(chain.canonical(line.statement())).hex(),
            }
        ).model_dump()
    )


def _opened(data: bytes, keys: dict[str, str]) -> JournalLine:
    """Return the line if it is valid and its signature holds; raises Damaged."""
    try:
        line = JournalLine.model_validate_json(data)
    except ValidationError as error:
        raise Damaged("is none that was written") from error
    key = keys.get(line.key_id)
    if key is None:
        raise Damaged(f"is signed with key {line.key_id[:16]}, which is not known here")
    if not roots.signature_is_good(line.statement(), line.signature, key):
        raise Damaged("was changed after it was written")
    return line


# --- Writing --------------------------------------------------------------------------------------


def write(events: Sequence[AuditEvent]) -> None:
    """Write the lines that end something. Call it in their transaction and its turn, before the
    commit; raises Unwritable, and then nothing of the transaction may be committed."""
    events = [event for event in events if is_kept(event.verb, event.body)]
    if not events:
        return
    position = EndingsPosition.objects.first() or EndingsPosition(journal="", number=0)
    try:
        place = places.current()
        name = _name_of(place, position)
        if name is None:
            name = _begin(place, position, but=events)
        numbers = _add(place, name, position, events)
    except OSError as error:
        raise Unwritable(
            "Nothing was changed: what ends a permission is first written to the journal of "
            f"endings, and that cannot be written now ({error.strerror or error}). An operator can "
            "mend that; then try again."
        ) from error
    position.journal, position.number = name, numbers[-1]
    position.save()
    # Only a mark: if it is lost the line is in doubt, and an ending in doubt counts.
    transaction.on_commit(partial(_mark, name, numbers), robust=True)


def _name_of(place: places.JournalPlace, position: EndingsPosition) -> str | None:
    """Return the journal to add to; None if there is none that can be continued."""
    names = place.names()
    if not names:
        return None
    try:
        last = last_line(place, names[-1])
    except Damaged as error:
        log.warning("%s A new journal of endings is begun.", error)
        return None
    if shorter := lost(names[-1], last, position):
        log.warning("%s A new journal of endings is begun.", shorter)
        return None
    return names[-1]


def lost(name: str, last: JournalLine, position: EndingsPosition) -> str:
    """Return what the database knows of and the journal lacks, as a sentence; empty if nothing."""
    if position.journal > name:
        return f"The journal of endings {position.journal} is gone."
    if position.journal == name and last.n < position.number:
        return f"The journal of endings {name} has lost its lines from {last.n + 1} on."
    return ""


def last_line(place: places.JournalPlace, name: str) -> JournalLine:
    """Return the last line of a journal; raises Damaged."""
    tail = place.tail(name)
    if not tail:
        raise Damaged(f"The journal {name} is empty.")
    try:
        line = _opened(tail[-1], roots.trusted_keys())
    except Damaged as error:
        raise Damaged(f"The last line of {name} {error}.") from error
    if line.journal != name:
        raise Damaged(f"The last line of {name} is one of another journal.")
    return line


def _begin(
    place: places.JournalPlace, position: EndingsPosition, *, but: Sequence[AuditEvent]
) -> str:
    """Begin a new journal, with the log's lines of the last months; return its name."""
    now = timezone.now()
    name = f"{now:%Y%m%dT%H%M%S%f}Z"
    earlier = AuditEvent.objects.filter(at__gte=now - BACKFILL, verb__in=list(declared()))
    earlier = earlier.filter(seq__lt=min(event.seq for event in but)) if but else earlier

    def make(_: bytes | None) -> list[bytes]:
        payload = {
            "portal": settings.PORTAL_URL,
            "follows": position.journal,
            "at": now.isoformat(),
        }
        first = JournalLine(n=1, kind="began", journal=name, prev=START, told=payload)
        lines = [_sealed(first)]
        for event in earlier.order_by("seq").iterator(2_000):
            if not is_kept(event.verb, event.body):
                continue
            payload = _entry_payload(event, after=0) | {"taken_in": True}
            lines.append(_next(lines[-1], len(lines), name, "said", payload))
        return lines

    place.add(name, make, sync=True)
    return name


def _add(
    place: places.JournalPlace, name: str, position: EndingsPosition, events: Sequence[AuditEvent]
) -> list[int]:
    numbers: list[int] = []

    def make(last: bytes | None) -> list[bytes]:
        numbers.clear()
        if last is None:
            raise FileNotFoundError("it was taken away in this moment")
        number, lines = JournalLine.model_validate_json(last).n, [last]
        after = position.number if position.journal == name else 0
        for event in events:
            lines.append(_next(lines[-1], number, name, "said", _entry_payload(event, after=after)))
            number = after = number + 1
            numbers.append(number)
        return lines[1:]

    place.add(name, make, sync=True)
    return numbers


def _mark(name: str, numbers: list[int]) -> None:
    """Record, after the commit, that these lines are in the database."""

    def make(last: bytes | None) -> list[bytes]:
        if last is None:
            return []
        number = JournalLine.model_validate_json(last).n
        return [_next(last, number, name, "kept", {"lines": [numbers[0], numbers[-1]]})]

    places.current().add(name, make, sync=False)


def _next(last: bytes, number: int, name: str, kind: Any, payload: dict[str, Any]) -> bytes:
    prev = hashlib.sha256(last).hexdigest()
    return _sealed(JournalLine(n=number + 1, kind=kind, journal=name, prev=prev, told=payload))


def _entry_payload(event: AuditEvent, *, after: int) -> dict[str, Any]:
    return {
        "after": after,
        "seq": event.seq,
        "hash": event.hash,
        "at": event.at.isoformat(),
        "verb": event.verb,
        "subject": [event.subject_type, event.subject_id],
        "actor": event.actor_id,
        "body": {name: value for name, value in event.body.items() if name != PRIVATE},
    }


# --- Reading --------------------------------------------------------------------------------------


@dataclass
class Journal:
    """All entries in their order, without those rolled back. `doubted` are the hashes of entries
    of which nothing says that they were committed; `faults` are sentences."""

    entries: list[JournalEntry] = field(default_factory=list)
    doubted: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    lines: int = 0


def read() -> Journal:
    """Read every journal, the oldest first. Raises OSError."""
    place, journal = places.current(), Journal()
    hashes: set[str] = set()
    for name in place.names():
        journal.names.append(name)
        before = journal.lines
        lines = list(_checked(name, place.lines(name), journal))
        if journal.lines == before:
            journal.faults.append(f"The journal {name} is empty: all its lines are gone.")
        dropped, doubted = _rolled_back_and_doubted(lines)
        for line in lines:
            if line.kind != "said" or line.n in dropped:
                continue
            entry = _to_entry(line)
            # A journal begun after a loss repeats lines of the one before it.
            if entry.hash in hashes:
                continue
            hashes.add(entry.hash)
            journal.entries.append(entry)
            if line.n in doubted:
                journal.doubted.add(entry.hash)
    return journal


def _checked(name: str, lines: Iterable[bytes], journal: Journal) -> Iterator[JournalLine]:
    """Yield the lines that hold; faults go into `journal`. After a line that does not hold, the
    others are checked by their own signatures."""
    keys, prev, number = roots.trusted_keys(), START, 0
    for data in lines:
        number += 1
        journal.lines += 1
        try:
            line = _opened(data, keys)
        except Damaged as error:
            journal.faults.append(f"Line {number} of the journal {name} {error}.")
            prev = hashlib.sha256(data).hexdigest()
            continue
        if line.n != number or line.prev != prev or line.journal != name:
            journal.faults.append(
                f"Line {number} of the journal {name} does not follow the one before."
            )
            number = line.n
        prev = hashlib.sha256(data).hexdigest()
        yield line


def _rolled_back_and_doubted(lines: Sequence[JournalLine]) -> tuple[set[int], set[int]]:
    """Return the numbers of the lines that were rolled back, and of those in doubt."""
    entry_lines = [line for line in lines if line.kind == "said"]
    committed = {line.n for line in entry_lines if line.told.get("taken_in")}
    for line in lines:
        if line.kind == "kept":
            first, last = line.told["lines"]
            committed.update(range(first, last + 1))
    predecessor: int | None = None
    dropped: set[int] = set()
    doubted: set[int] = set()
    for line in reversed(entry_lines):
        if line.n in committed or line.n == predecessor:
            committed.add(line.n)
            predecessor = line.told["after"]
        elif predecessor is None:
            doubted.add(line.n)
        else:
            # A later committed line names an earlier line as the one before it.
            dropped.add(line.n)
    return dropped, doubted


def _to_entry(line: JournalLine) -> JournalEntry:
    payload = line.told
    return JournalEntry(
        seq=payload["seq"],
        hash=payload["hash"],
        at=datetime.fromisoformat(payload["at"]),
        verb=payload["verb"],
        subject_type=payload["subject"][0],
        subject_id=payload["subject"][1],
        actor=payload["actor"],
        body=payload["body"],
    )


def committed_beyond(place: places.JournalPlace, position: EndingsPosition | None) -> bool:
    """Return whether the newest journal marks a line as committed that the database does not know:
    then the database is an older one. Reads only the journal's last lines."""
    names = place.names()
    if not names:
        return False
    name = names[-1]
    number = position.number if position is not None and position.journal == name else 0
    for data in place.tail(name):
        try:
            line = JournalLine.model_validate(json.loads(data))
        except (ValueError, ValidationError):
            continue
        if line.kind == "kept" and line.told["lines"][1] > number:
            return True
    return False


chain.before_commit(write)
