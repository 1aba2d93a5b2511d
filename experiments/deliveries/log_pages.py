"""A run's whole console: page by page, from a line on, and searched.

No text is read that is not shown or searched: each piece knows how many lines it ends, and the
database tells which pieces can have what is searched for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from django.db.models import Case, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce, Length, Replace, Right

from experiments.deliveries import logs, terminal
from experiments.deliveries.logs import LogLine
from experiments.models import LogChunk, Run

# Lines of a page of the whole log, and matches of a search that are listed.
PAGE = 1_000
MATCHES = 500
# Pieces, and characters, that are in memory at a time while a log is searched.
PIECES = 200
CHARACTERS = 4_000_000

# What no piece has noted of itself is counted by the database.
BREAKS = Coalesce("breaks", Length("text") - Length(Replace("text", Value("\n"), Value(""))))


@dataclass(frozen=True)
class LogPage:
    """One page of a log. `pages` is at least 1."""

    lines: list[LogLine]
    page: int
    pages: int
    total: int

    @property
    def last(self) -> int:
        """The number of the last line that is finished, up to this page's end."""
        return last_of(self.lines, (self.page - 1) * PAGE)


@dataclass(frozen=True)
class Search:
    """The first matches of a search, and how many there are."""

    matches: list[LogLine]
    count: int


@dataclass(frozen=True)
class Growth:
    """The lines after a line, oldest first; `more` if there are others after these."""

    lines: list[LogLine]
    last: int
    more: bool


def page_of(line: LogLine) -> int:
    """Return the page that has the line."""
    return page_with(line.number)


def page_with(number: int) -> int:
    return 1 + max(0, number - 1) // PAGE


def last_of(lines: list[LogLine], before: int) -> int:
    """Return the number of the last finished line among these, `before` if there is none."""
    return max((line.number for line in lines if not line.is_open), default=before)


def read_page(run: Run, page: int | None, *, rank: int | None = None) -> LogPage:
    """Return a page of the whole log, counted from 1; None is the last one."""
    rows = logs.of_rank(run, rank)
    counts = _counts(rows)
    total = sum(count for _, count in counts)
    # What is not finished by a line break is on the last page.
    pages = max(1, -(-total // PAGE))
    page = pages if page is None else min(max(1, page), pages)
    lines = list(islice(_lines_after(rows, counts, (page - 1) * PAGE), PAGE + 1))
    return LogPage(lines if page == pages else lines[:PAGE], page, pages, total)


def read_after(run: Run, number: int, *, rank: int | None = None) -> Growth:
    """Return the lines after the one of that number, at most a page of them."""
    rows = logs.of_rank(run, rank)
    lines = list(islice(_lines_after(rows, _counts(rows), number), PAGE + 1))
    shown = lines[:PAGE]
    return Growth(shown, last_of(shown, number), more=len(lines) > PAGE)


def _counts(rows: QuerySet[LogChunk]) -> list[tuple[int, int]]:
    """Return the pieces in order, each with the number of lines that it ends."""
    noted = rows.order_by("pk").values_list("pk", "breaks")
    older = dict(rows.filter(breaks=None).annotate(ends=BREAKS).values_list("pk", "ends"))
    return [(pk, older.get(pk, 0) if breaks is None else breaks) for pk, breaks in noted]


def _lines_after(
    rows: QuerySet[LogChunk], counts: list[tuple[int, int]], number: int
) -> Iterator[LogLine]:
    """Yield the lines after that number, and in the end those that are not finished."""
    skipped, first = 0, counts[-1][0] if counts else 0
    for pk, count in counts:
        if skipped + count > number:
            first = pk
            break
        skipped += count
    else:
        skipped -= counts[-1][1] if counts else 0
    chunks = rows.filter(pk__gte=first).order_by("pk").iterator(chunk_size=50)
    for line in logs.lines_in(chunks, _open_lines(rows, first), number=skipped):
        if line.number > number:
            yield line


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


def search(run: Run, text: str, *, rank: int | None = None) -> Search:
    """Return the lines that show this text, in upper or lower case."""
    needle = text.casefold()
    matches: list[LogLine] = []
    count = 0
    for line in _candidates(logs.of_rank(run, rank), text):
        if needle in terminal.as_text(line.text).casefold():
            count += 1
            if count <= MATCHES:
                matches.append(line)
    return Search(matches, count)


def _candidates(rows: QuerySet[LogChunk], text: str) -> Iterator[LogLine]:
    """Yield, with their numbers, all lines that can show the text.

    A piece is skipped if it has no part of a longer line, and neither the text nor anything that a
    terminal would change. Databases fold the case of ASCII alike; for other texts all is read.
    """
    can = ~Q(plain=True) | Q(text__icontains=text) if text.isascii() else Q(pk__isnull=False)
    described = rows.order_by("pk").annotate(
        ends=BREAKS,
        can=Case(When(can, then=Value(True)), default=Value(False)),
        last=Right("text", 1),
        size=Length("text"),
    )
    batch = _Batch(rows)
    unfinished: set[tuple[str, str]] = set()
    for pk, session, stream, ends, can_have, last, size in described.values_list(
        "pk", "session", "stream", "ends", "can", "last", "size"
    ).iterator(chunk_size=2_000):
        key = (session, stream)
        is_joined = key in unfinished or last != "\n"
        (unfinished.discard if last == "\n" else unfinished.add)(key)
        if can_have or is_joined:
            yield from batch.take(pk, size)
        else:
            batch.skip(ends)
    yield from batch.end()


class _Batch:
    """Reads the texts of pieces some at a time, and counts the lines of those that are skipped."""

    def __init__(self, rows: QuerySet[LogChunk]) -> None:
        self._rows = rows
        self._reader = logs.LineReader()
        # Pieces to read, and how many lines are skipped before each of them.
        self._waiting: list[tuple[int, int]] = []
        self._skipped = self._characters = 0

    def skip(self, lines: int) -> None:
        self._skipped += lines

    def take(self, pk: int, size: int) -> Iterator[LogLine]:
        self._waiting.append((pk, self._skipped))
        self._skipped = 0
        self._characters += size
        if len(self._waiting) >= PIECES or self._characters >= CHARACTERS:
            yield from self._read()

    def end(self) -> Iterator[LogLine]:
        yield from self._read()
        self._reader.number += self._skipped
        yield from self._reader.rest()

    def _read(self) -> Iterator[LogLine]:
        found = self._rows.in_bulk([pk for pk, _ in self._waiting])
        for pk, skipped in self._waiting:
            self._reader.number += skipped
            yield from self._reader.feed(found[pk])
        self._waiting.clear()
        self._characters = 0
