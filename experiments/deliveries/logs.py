"""A run's console: pieces by byte offset, so that a piece sent twice is stored once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from django.db import transaction
from django.db.models import QuerySet, Value
from django.db.models.functions import Length, Replace

from backline import wire
from experiments.deliveries import terminal
from experiments.models import LogChunk, Run
from experiments.models.sessions import attempt_and_rank

# Separates the attempt from the rank in the name of a session.
RANK = "-rank-"

# Lines read before the tail, because a line may have begun in an earlier piece of its stream.
SPARE_LINES = 50


# Lines of a page of the whole log, and matches of a search that are listed.
PAGE = 1_000
MATCHES = 500


@dataclass(frozen=True)
class LogLine:
    """A line as it was written, with its escapes; `number` counts from 1 where it is known."""

    stream: str
    text: str
    rank: int = 0
    number: int = 0


@dataclass(frozen=True)
class LogPage:
    """One page of a log. `pages` is at least 1."""

    lines: list[LogLine]
    page: int
    pages: int
    total: int


@dataclass(frozen=True)
class Search:
    """The first matches of a search, and how many there are."""

    matches: list[LogLine]
    count: int


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

    `rank` selects one of several processes. An unfinished last line is included.
    """
    chunks: list[LogChunk] = []
    line_count = 0
    for chunk in _of_rank(run, rank).order_by("-pk").iterator(chunk_size=50):
        chunks.append(chunk)
        line_count += chunk.text.count("\n")
        if line_count > lines + SPARE_LINES:
            break
    return list(_lines(reversed(chunks)))[-lines:] if lines > 0 else []


def _of_rank(run: Run, rank: int | None) -> QuerySet[LogChunk]:
    """Return the pieces of all processes, or of one of them."""
    rows = run.logs.all()
    if rank:
        return rows.filter(session__regex=rf"{RANK}{rank}(-[0-9a-f]+)?$")
    return rows.exclude(session__contains=RANK) if rank == 0 else rows


def read_page(run: Run, page: int | None, *, rank: int | None = None) -> LogPage:
    """Return a page of the whole log, counted from 1; None is the last one."""
    rows = _of_rank(run, rank)
    breaks = Length("text") - Length(Replace("text", Value("\n"), Value("")))
    counts = list(rows.order_by("pk").annotate(breaks=breaks).values_list("pk", "breaks"))
    total = sum(count for _, count in counts)
    # What is not finished by a line break is on the last page.
    pages = max(1, -(-total // PAGE))
    page = pages if page is None else min(max(1, page), pages)
    skipped, first = 0, 0
    for pk, count in counts:
        if skipped + count > (page - 1) * PAGE:
            first = pk
            break
        skipped += count
    else:
        first = counts[-1][0] if counts else 0
        skipped -= counts[-1][1] if counts else 0
    chunks = rows.filter(pk__gte=first).order_by("pk").iterator(chunk_size=50)
    lines = _lines(chunks, _open_lines(rows, first), number=skipped)
    start = (page - 1) * PAGE
    wanted = [line for line in islice(lines, start + PAGE + 1 - skipped) if line.number > start]
    is_last = page == pages
    return LogPage(wanted if is_last else wanted[:PAGE], page, pages, total)


def page_of(line: LogLine) -> int:
    """Return the page that has the line."""
    return 1 + (line.number - 1) // PAGE


def search(run: Run, text: str, *, rank: int | None = None) -> Search:
    """Return the lines that show this text, in upper or lower case."""
    needle = text.casefold()
    matches: list[LogLine] = []
    count = 0
    for line in _lines(_of_rank(run, rank).order_by("pk").iterator(chunk_size=200)):
        if needle in terminal.as_text(line.text).casefold():
            count += 1
            if count <= MATCHES:
                matches.append(line)
    return Search(matches, count)


def whole(run: Run, *, rank: int | None = None) -> Iterator[str]:
    """Yield everything that was written, as it was written, in order of arrival."""
    rows = _of_rank(run, rank).order_by("pk")
    yield from rows.values_list("text", flat=True).iterator(chunk_size=50)


def _open_lines(rows: QuerySet[LogChunk], before: int) -> dict[tuple[str, str], str]:
    """Return the lines that the pieces before this one have begun and not finished."""
    earlier = rows.filter(pk__lt=before)
    found = {}
    for session, stream in earlier.order_by().values_list("session", "stream").distinct():
        own = earlier.filter(session=session, stream=stream).order_by("pk")
        last = own.filter(text__contains="\n").order_by("-pk").first()
        parts = [last.text.rpartition("\n")[2]] if last else []
        own = own.filter(pk__gt=last.pk) if last else own
        found[session, stream] = "".join([*parts, *own.values_list("text", flat=True)])
    return found


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


def _lines(
    chunks: Iterable[LogChunk],
    open_lines: dict[tuple[str, str], str] | None = None,
    *,
    number: int = 0,
) -> Iterator[LogLine]:
    """Yield lines in the order in which they were finished, then those that were not."""
    open_lines = dict(open_lines or {})
    for chunk in chunks:
        key = (chunk.session, chunk.stream)
        *complete, open_lines[key] = (open_lines.get(key, "") + chunk.text).split("\n")
        for line in complete:
            number += 1
            yield LogLine(chunk.stream, line, attempt_and_rank(chunk.session)[1], number)
    for (session, stream), unfinished in open_lines.items():
        if unfinished:
            number += 1
            yield LogLine(stream, unfinished, attempt_and_rank(session)[1], number)
