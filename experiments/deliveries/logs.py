"""A run's console: pieces by byte offset, so that a piece sent twice is stored once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from backline import wire
from experiments.deliveries import terminal
from experiments.models import LogChunk, Run
from experiments.models.sessions import attempt_and_rank

# Separates the attempt from the rank in the name of a session.
RANK = "-rank-"

# Lines read before the tail, because a line may have begun in an earlier piece of its stream.
SPARE_LINES = 50


@dataclass(frozen=True)
class LogLine:
    """A line as it was written, with its escapes; `number` counts from 1 where it is known.

    `is_open` says that no line break has ended it: its program may write more of it."""

    stream: str
    text: str
    rank: int = 0
    number: int = 0
    is_open: bool = False


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
        text = raw.decode(errors="replace")
        _, new = LogChunk.objects.get_or_create(
            run=run,
            session=piece.session,
            stream=piece.stream,
            offset=offset,
            defaults={
                "text": text,
                "breaks": text.count("\n"),
                "plain": text.isascii() and not terminal.has_escapes(text),
                **({"at": piece.at} if piece.at else {}),
            },
        )
        return new


def tail(run: Run, lines: int = 200, *, rank: int | None = None) -> list[LogLine]:
    """Return the last `lines` lines, oldest first, both streams in order of arrival.

    `rank` selects one of several processes. An unfinished last line is included.
    """
    chunks: list[LogChunk] = []
    line_count = 0
    for chunk in of_rank(run, rank).order_by("-pk").iterator(chunk_size=50):
        chunks.append(chunk)
        line_count += chunk.text.count("\n")
        if line_count > lines + SPARE_LINES:
            break
    return list(lines_in(reversed(chunks)))[-lines:] if lines > 0 else []


def of_rank(run: Run, rank: int | None) -> QuerySet[LogChunk]:
    """Return the pieces of all processes, or of one of them."""
    rows = run.logs.all()
    if rank:
        return rows.filter(session__regex=rf"{RANK}{rank}(-[0-9a-f]+)?$")
    return rows.exclude(session__contains=RANK) if rank == 0 else rows


def whole(run: Run, *, rank: int | None = None) -> Iterator[str]:
    """Yield everything that was written, as it was written, in order of arrival."""
    rows = of_rank(run, rank).order_by("pk")
    yield from rows.values_list("text", flat=True).iterator(chunk_size=50)


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


class LineReader:
    """Joins pieces to lines; `number` counts the lines so far."""

    def __init__(
        self, open_lines: dict[tuple[str, str], str] | None = None, *, number: int = 0
    ) -> None:
        self.number = number
        self._open = dict(open_lines or {})

    def feed(self, chunk: LogChunk) -> Iterator[LogLine]:
        """Yield the lines that this piece finishes."""
        key = (chunk.session, chunk.stream)
        *complete, self._open[key] = (self._open.get(key, "") + chunk.text).split("\n")
        rank = attempt_and_rank(chunk.session)[1]
        for line in complete:
            self.number += 1
            yield LogLine(chunk.stream, line, rank, self.number)

    def rest(self) -> Iterator[LogLine]:
        """Yield the lines that nothing has finished."""
        for (session, stream), unfinished in sorted(self._open.items()):
            if unfinished:
                self.number += 1
                rank = attempt_and_rank(session)[1]
                yield LogLine(stream, unfinished, rank, self.number, is_open=True)


def lines_in(
    chunks: Iterable[LogChunk],
    open_lines: dict[tuple[str, str], str] | None = None,
    *,
    number: int = 0,
) -> Iterator[LogLine]:
    """Yield lines in the order in which they were finished, then those that were not."""
    reader = LineReader(open_lines, number=number)
    for chunk in chunks:
        yield from reader.feed(chunk)
    yield from reader.rest()
