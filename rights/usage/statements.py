"""A party's statement: what its recordings were used for in a period, from the ledger alone.

Every line is a sum over ledger rows, in seconds to the microsecond; totals are sums of the lines
as they are printed, so that whoever adds them up comes to the same figure. A line's share is its
part of everything that its source used in the same period.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain

from django.db.models import QuerySet, Sum
from django.utils import timezone

from portal.database.bulk import parts
from portal.http import csv_files
from rights.models import Party, Recording, UsageEvent, Use
from rights.rightsholder import overview, registries

MICRO = Decimal("0.000001")
# As many decimal places as a credit statement has.
SHARE = Decimal("0.000000000001")
BATCH_SIZE = 500


@dataclass(frozen=True)
class StatementLine:
    """One recording's use by one source. Seconds of audio; `share` of the source, 0 to 1; splits
    in parts per million, 0 where the party holds none of that right."""

    use: Use
    source: str
    model: registries.PublicSource
    recording_id: int
    title: str
    isrc: str
    examples: int
    seconds: Decimal
    share: Decimal
    master_ppm: int
    composition_ppm: int

    @property
    def percent(self) -> str:
        return _percent(self.share)


@dataclass(frozen=True)
class Total:
    examples: int
    seconds: Decimal
    share: Decimal

    @property
    def percent(self) -> str:
        return _percent(self.share)


def _percent(share: Decimal) -> str:
    """Format for reading; the table and the data have all decimal places."""
    return f"{share * 100:.4f} %"


@dataclass
class Statement:
    """`first` and `last` are days, both included; None is without a limit."""

    party: Party
    first: date | None
    last: date | None
    made_at: datetime
    lines: list[StatementLine] = field(default_factory=list)

    @property
    def total(self) -> Total:
        return _total(self.lines)

    @property
    def recordings(self) -> int:
        return len({line.recording_id for line in self.lines})

    def by_model(self) -> list[tuple[Use, registries.PublicSource, list[StatementLine], Total]]:
        """Return the lines grouped by use and source, with their sum."""
        groups: dict[tuple[Use, str], list[StatementLine]] = defaultdict(list)
        for line in self.lines:
            groups[line.use, line.source].append(line)
        return [(use, lines[0].model, lines, _total(lines)) for (use, _), lines in groups.items()]

    @property
    def period(self) -> str:
        if self.first and self.last:
            return f"{self.first} to {self.last}"
        if self.first:
            return f"from {self.first} on"
        return f"up to {self.last}" if self.last else "everything until now"


def statement_for(party: Party, first: date | None = None, last: date | None = None) -> Statement:
    """Return the party's statement. Recordings are those it has a share in today."""
    statement = Statement(party, first, last, timezone.now())
    events = within(UsageEvent.objects.all(), first, last)
    repertoire = overview.repertoire([party])
    rows = list(
        events.filter(recording__in=repertoire.values("pk"))
        .values_list("use", "source", "recording")
        .annotate(Sum("examples"), Sum("seconds"))
        .order_by("use", "source", "recording")
    )
    names = registries.names(row[1] for row in rows)
    source_totals = _seconds_by_source(events, sorted(names))
    recordings = {row[2] for row in rows}
    titles = {
        pk: (title, isrc)
        for batch in parts(sorted(recordings), BATCH_SIZE)
        for pk, title, isrc in Recording.objects.filter(pk__in=batch).values_list(
            "pk", "title", "isrc"
        )
    }
    shares: dict[int, dict[str, int]] = {}
    for batch in parts(sorted(recordings), BATCH_SIZE):
        shares |= overview.shares([party], batch)
    for use, source, pk, examples, seconds in rows:
        line_seconds = Decimal(repr(seconds)).quantize(MICRO)
        source_total = source_totals[source]
        ppm_by_right = shares.get(pk, {})
        statement.lines.append(
            StatementLine(
                use=Use(use),
                source=source,
                model=names[source],
                recording_id=pk,
                title=titles[pk][0],
                isrc=titles[pk][1],
                examples=examples,
                seconds=line_seconds,
                share=(line_seconds / source_total).quantize(SHARE) if source_total else Decimal(0),
                master_ppm=ppm_by_right.get("master", 0),
                composition_ppm=ppm_by_right.get("composition", 0),
            )
        )
    return statement


def within(
    events: QuerySet[UsageEvent], first: date | None, last: date | None
) -> QuerySet[UsageEvent]:
    """Return the ledger's rows of these days (UTC), both included."""
    if first:
        events = events.filter(at__gte=datetime.combine(first, time(), UTC))
    if last:
        events = events.filter(at__lt=datetime.combine(last + timedelta(days=1), time(), UTC))
    return events


def _seconds_by_source(events: QuerySet[UsageEvent], sources: Sequence[str]) -> dict[str, Decimal]:
    """Return source to all seconds it used in the period, summed as the lines are: per recording
    and rounded, so that the shares of all holders add up to one."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for batch in parts(sources, BATCH_SIZE):
        rows = events.filter(source__in=batch).values_list("use", "source", "recording")
        for _, source, _, seconds in rows.annotate(Sum("seconds")).order_by().iterator():
            totals[source] += Decimal(repr(seconds)).quantize(MICRO)
    return totals


def _total(lines: Sequence[StatementLine]) -> Total:
    return Total(
        examples=sum(line.examples for line in lines),
        seconds=sum((line.seconds for line in lines), Decimal(0)),
        share=sum((line.share for line in lines), Decimal(0)),
    )


COLUMNS = (
    "use", "model", "reference", "recording", "isrc", "title", "examples", "seconds",
    "share_of_model", "master_ppm", "composition_ppm",
)  # fmt: skip


def as_rows(statement: Statement) -> Iterator[dict[str, object]]:
    """Yield the lines as plain values; decimals are text, so that nothing rounds them again."""
    for line in statement.lines:
        yield {
            "use": line.use.value,
            "model": line.model.title,
            "reference": line.model.reference,
            "recording": line.recording_id,
            "isrc": line.isrc,
            "title": line.title,
            "examples": line.examples,
            "seconds": f"{line.seconds:f}",
            "share_of_model": f"{line.share:f}",
            "master_ppm": line.master_ppm,
            "composition_ppm": line.composition_ppm,
        }


def as_csv(statement: Statement) -> Iterator[str]:
    """Yield RFC 4180 text line by line, with the names of the columns first and the sum last."""
    total = statement.total
    seconds = f"{total.seconds:f}"
    last = ["total", "", "", "", "", "", total.examples, seconds, "", "", ""]
    rows = ([row[name] for name in COLUMNS] for row in as_rows(statement))
    yield from csv_files.document(chain([COLUMNS], rows, [last]))


def as_json(statement: Statement) -> dict[str, object]:
    total = statement.total
    return {
        "version": 1,
        "party": statement.party.name,
        "from": statement.first.isoformat() if statement.first else None,
        "to": statement.last.isoformat() if statement.last else None,
        "made_at": statement.made_at.isoformat(),
        "basis": "seconds of audio used, from the ledger; shares are of all that the model used "
        "in the period; parts per million as they stand on the day this was made",
        "examples": total.examples,
        "seconds": f"{total.seconds:f}",
        "lines": list(as_rows(statement)),
    }
