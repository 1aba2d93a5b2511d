"""A run's console: pieces by byte offset, so that a piece sent twice is stored once."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from backline import wire
from experiments.models import LogChunk, Run
from experiments.models.sessions import attempt_and_rank

# Separates the attempt from the rank in the name of a session.
RANK = "-rank-"

# Lines read before the tail, because a line may have begun in an earlier piece of its stream.
SPARE_LINES = 50


@dataclass(frozen=True)
class LogLine:
    stream: str
    text: str
    rank: int = 0


def append(run: Run, piece: wire.LogPiece) -> bool:
    """Store a piece; False if it was there before, or has nothing new in it.

    If it overlaps what is stored (the client was cut off while sending) only the new part is added.
    """
    # PostgreSQL cannot store the character NUL in a text.
    raw = piece.text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode()
    offset = piece.offset
    with transaction.atomic():
        before = (
            LogChunk.objects.select_for_update(no_key=True)
            .filter(run=run, session=piece.session, stream=piece.stream, offset__lte=offset)
            .order_by("-offset")
            .first()
        )
        if before is not None:
            overlap = before.offset + len(before.text.encode()) - offset
            raw, offset = raw[max(0, overlap) :], offset + max(0, overlap)
        if not raw:
            return False
        _, new = LogChunk.objects.get_or_create(
            run=run,
            session=piece.session,
            stream=piece.stream,
            offset=offset,
            defaults={"text": raw.decode(errors="replace")}
            | ({"at": piece.at} if piece.at else {}),
        )
        return new


def tail(run: Run, lines: int = 200, *, rank: int | None = None) -> list[LogLine]:
    """Return the last `lines` lines, oldest first, both streams in order of arrival.

    `rank` selects one of several processes. A carriage return rewrites its line, as
    on a terminal; an unfinished last line is included.
    """
    chunks: list[LogChunk] = []
    line_count = 0
    rows = run.logs.order_by("-pk")
    if rank:
        rows = rows.filter(session__regex=rf"{RANK}{rank}(-[0-9a-f]+)?$")
    elif rank == 0:
        rows = rows.exclude(session__contains=RANK)
    for chunk in rows.iterator(chunk_size=50):
        chunks.append(chunk)
        line_count += chunk.text.count("\n")
        if line_count > lines + SPARE_LINES:
            break
    return _lines(reversed(chunks))[-lines:] if lines > 0 else []


def ranks(run: Run) -> list[int]:
    """Return the ranks that have written, where there are several: [0, 1, 2, 3]; else none."""
    rank_logs = run.logs.filter(session__contains=RANK).order_by()
    other_ranks = {
        attempt_and_rank(name)[1] for name in rank_logs.values_list("session", flat=True).distinct()
    }
    return sorted(other_ranks | {0}) if other_ranks else []


def text(run: Run, stream: str, session: str, offset: int = 0) -> str:
    """The text of one stream from a byte offset on."""
    parts = []
    for chunk in run.logs.filter(session=session, stream=stream).order_by("offset"):
        raw = chunk.text.encode()
        if chunk.offset + len(raw) > offset:
            parts.append(raw[max(0, offset - chunk.offset) :])
    return b"".join(parts).decode(errors="replace")


def _lines(chunks: Iterable[LogChunk]) -> list[LogLine]:
    lines: list[LogLine] = []
    open_line: dict[tuple[str, str], str] = {}
    for chunk in chunks:
        key = (chunk.session, chunk.stream)
        *complete, unfinished = (open_line.get(key, "") + chunk.text).split("\n")
        lines += [
            LogLine(chunk.stream, _rewritten(line), attempt_and_rank(key[0])[1])
            for line in complete
        ]
        open_line[key] = unfinished
    lines += [
        LogLine(stream, _rewritten(unfinished), attempt_and_rank(session)[1])
        for (session, stream), unfinished in open_line.items()
        if unfinished
    ]
    return lines


def _rewritten(line: str) -> str:
    """What a terminal shows of a line after its last carriage return."""
    return line.rstrip("\r").rsplit("\r", 1)[-1]
