"""Take the packs that programs deliver: each counts once, whatever order they arrive in.

Everything is checked, decoded and stored as a blob before the transaction. In it the run is locked,
and the pack's number is noted among the deliveries of its session (`Batch`), whose numbers are the
same. Of several deliveries for one name and step the latest stands: of the newest attempt, then of
the session that began last, then the one with the highest number. A newer attempt takes the place
of older ones from the first step on at which it logs a name, as with curves (metrics/replaced.py);
theirs stay stored and are marked.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db import transaction

from backline.media import packs
from backline.media.packs import Pack
from experiments.media import limits
from experiments.media.contents import Prepared, prepare
from experiments.metrics import compaction, delivered
from experiments.models import Batch, Media, MediaName, MediaUse, Run, Session
from experiments.models.sessions import attempt_and_rank
from portal import storage
from portal.models import Blob

PNG = "image/png"
Stored = tuple[Prepared, Blob | None, Blob | None]
# Attempt, session, number: what is greater is later.
Turn = tuple[int, int, int]


@dataclass(frozen=True)
class Taken:
    items: int
    left_out: int = 0
    duplicate: bool = False


def receive(run: Run, session: str, number: int, data: bytes) -> Taken:
    """Store one encoded pack, exactly once; an item that is wrong is left out and counted.

    Raises packs.Malformed if nothing of it can be stored, and delivered.Conflict if this session's
    `number` was already used for something else.
    """
    digest = delivered.digest_of(data)
    if delivered.Waiting.read(run).is_repeated(session, number, digest):
        return Taken(0, duplicate=True)
    pack = packs.decode(data)
    prepared, wrong = _prepared(pack)
    stored = [_store(one) for one in prepared]
    with transaction.atomic():
        run = Run.objects.select_for_update(no_key=True).select_related("project").get(pk=run.pk)
        waiting = delivered.Waiting.read(run)
        if waiting.is_repeated(session, number, digest):
            return Taken(0, duplicate=True)
        Batch.objects.create(run=run, session=session, number=number, digest=digest)
        taken, unused = _write(run, _turn(run, session, number), pack, stored, wrong)
        compaction.fold_if_due(waiting)
    for sha256 in unused:
        storage.forget(sha256)
    return taken


def _prepared(pack: Pack) -> tuple[list[Prepared], list[str]]:
    """Return what of a pack may be stored, and what is wrong with the others."""
    prepared, wrong = [], []
    for item, payload in pack.items:
        try:
            prepared.append(prepare(item, payload))
        except packs.Malformed as error:
            wrong.append(str(error))
    if not prepared:
        raise packs.Malformed(wrong[0])
    return prepared, wrong


def _store(one: Prepared) -> Stored:
    if not one.data:
        return one, None, None
    blob = storage.put(io.BytesIO(one.data), media_type=one.media_type)
    small = storage.put(io.BytesIO(one.thumbnail), media_type=PNG) if one.thumbnail else None
    return one, blob, small


def _write(
    run: Run, turn: Turn, pack: Pack, stored: Sequence[Stored], wrong: Sequence[str]
) -> tuple[Taken, set[str]]:
    """Write the rows of a pack, in as many queries for one name as for hundreds; return also the
    digests of blobs that no row came to refer to."""
    by_name: dict[str, list[Stored]] = {}
    for one in stored:
        by_name.setdefault(one[0].item.name, []).append(one)
    standing = _standing(run, pack.step, turn, by_name)
    use, _ = MediaUse.objects.get_or_create(run=run)
    room = limits.room(use, run.project)
    kept: list[Stored] = []
    gone: list[Media] = []
    unused: set[str] = set()
    left_out, why = len(wrong), wrong[-1][:300] if wrong else ""
    for name, entries in by_name.items():
        old = standing.get(name, [])
        if any((row.attempt, row.session, row.number) > turn for row in old):
            # A delivery that was late: what came after it stands.
            unused |= _digests(entries)
            continue
        items = len(entries) - len(old)
        size = sum(one.size for one, *_ in entries) - sum(row.size for row in old)
        if not room.take(items, size):
            left_out, why = left_out + len(entries), room.why
            unused |= _digests(entries)
            continue
        kept += entries
        gone += old
        use.items, use.bytes = use.items + items, use.bytes + size
    if left_out:
        use.left_out, use.why = use.left_out + left_out, why
    use.save()
    Media.objects.filter(pk__in=[row.pk for row in gone]).delete()
    _add(run, pack, turn, kept)
    return Taken(len(kept), left_out), unused | digests_of(gone)


def _turn(run: Run, session: str, number: int) -> Turn:
    began = Session.objects.filter(run=run, name=session).values_list("pk", flat=True).first()
    return attempt_and_rank(session)[0], began or 0, number


def _standing(run: Run, step: int, turn: Turn, names: Iterable[str]) -> dict[str, list[Media]]:
    """Return what the same attempt has at the step already, by name."""
    found: dict[str, list[Media]] = {}
    rows = Media.objects.filter(run=run, step=step, attempt=turn[0], name__in=list(names))
    for row in rows:
        found.setdefault(row.name, []).append(row)
    return found


def _add(run: Run, pack: Pack, turn: Turn, entries: Sequence[Stored]) -> None:
    attempt, session, number = turn
    kinds = {one.item.name: one.item.kind for one, *_ in reversed(entries)}
    names = [MediaName(run=run, name=name, kind=kind) for name, kind in kinds.items()]
    MediaName.objects.bulk_create(names, ignore_conflicts=True)
    same = Media.objects.filter(run=run, name__in=list(kinds))
    same.filter(attempt__lt=attempt, step__gte=pack.step).update(replaced=True)
    newer = same.filter(attempt__gt=attempt, step__lte=pack.step)
    replaced = set(newer.values_list("name", flat=True))
    Media.objects.bulk_create(
        Media(
            run=run,
            name=one.item.name,
            step=pack.step,
            index=one.item.index,
            kind=one.item.kind,
            caption=one.item.caption,
            content=one.content,
            blob=blob,
            thumbnail=small,
            size=one.size,
            attempt=attempt,
            session=session,
            number=number,
            replaced=one.item.name in replaced,
            logged_at=datetime.fromtimestamp(pack.at, UTC),
        )
        for one, blob, small in entries
    )


def digests_of(rows: Iterable[Media]) -> set[str]:
    """Return the digests of the blobs that these rows refer to."""
    return {
        digest for row in rows for digest in (row.blob_id, row.thumbnail_id) if digest is not None
    }


def _digests(entries: Iterable[Stored]) -> set[str]:
    return {blob.sha256 for _, *blobs in entries for blob in blobs if blob is not None}
