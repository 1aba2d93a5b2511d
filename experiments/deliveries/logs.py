"""A run's console: pieces by byte offset, so that a piece sent twice is kept once."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction

from backline import wire
from experiments.models import LogChunk, Run
from experiments.runs.attempts import attempt_and_rank

# What stands between the attempt and the rank in the name of a session.
RANK = "-rank-"

# Read before the tail, because a line may have begun in an earlier piece of its stream.
SPARE_LINES = 50


@dataclass(frozen=True)
class LogLine:
    stream: str
    text: str
    rank: int = 0


def append(run: Run, piece: wire.LogPiece) -> bool:
    """Keep a piece; False if it was there before, or holds nothing that is new.

    A piece that overlaps what is kept (the client was cut off while sending) gives its rest.
    """
    # PostgreSQL cannot keep the character NUL in a text.
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
            known = before.offset + len(before.text.encode()) - offset
            raw, offset = raw[max(0, known) :], offset + max(0, known)
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
    """The last `lines` lines, oldest first, both streams in the order in which they arrived.

    With `rank` those of one of several processes only. A carriage return rewrites its line, as
    on a terminal; an unfinished last line is included.
    """
    chunks: list[LogChunk] = []
    seen = 0
    rows = run.logs.order_by("-pk")
    if rank:
        rows = rows.filter(session__endswith=f"{RANK}{rank}")
    elif rank == 0:
        rows = rows.exclude(session__contains=RANK)
    for chunk in rows.iterator(chunk_size=50):
        chunks.append(chunk)
        seen += chunk.text.count("\n")
        if seen > lines + SPARE_LINES:
            break
    return _lines(reversed(chunks))[-lines:] if lines > 0 else []


def ranks(run: Run) -> list[int]:
    """The processes that have written, where there are several: [0, 1, 2, 3]; else none."""
    others = run.logs.filter(session__contains=RANK).order_by()
    found = {
        attempt_and_rank(name)[1] for name in others.values_list("session", flat=True).distinct()
    }
    return sorted(found | {0}) if found else []


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
        *whole, rest = (open_line.get(key, "") + chunk.text).split("\n")
        lines += [
            LogLine(chunk.stream, _rewritten(line), attempt_and_rank(key[0])[1]) for line in whole
        ]
        open_line[key] = rest
    lines += [
        LogLine(stream, _rewritten(rest), attempt_and_rank(session)[1])
        for (session, stream), rest in open_line.items()
        if rest
    ]
    return lines


def _rewritten(line: str) -> str:
    """What a terminal shows of a line after its last carriage return."""
    return line.rstrip("\r").rsplit("\r", 1)[-1]
