"""The ledger: how much of each recording was used, by what. Append-only; statements rest on it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Max, Sum

from rights.models import Recording, UsageEvent


@dataclass(frozen=True)
class Event:
    """What a source used of one recording since its last event. `source` is `run:<id>`."""

    recording_id: int
    use: str
    source: str
    step: int
    examples: int
    seconds: float


@dataclass(frozen=True)
class Source:
    """One source's total use of some recordings."""

    name: str
    use: str
    examples: int
    seconds: float
    last_step: int


class BadUsage(ValueError):
    """A report that cannot be true."""


def report(events: Iterable[Event]) -> int:
    """Append the events; one that is in the ledger already counts once. Returns how many were sent.

    Whoever reports for a run makes sure that its recordings are those of the run's dataset: the
    ledger is a layer below runs and cannot see them.
    """
    rows = [
        UsageEvent(
            recording_id=event.recording_id,
            use=event.use,
            source=event.source,
            step=event.step,
            examples=event.examples,
            seconds=event.seconds,
        )
        for event in events
    ]
    for row in rows:
        # `not 0 <=` refuses NaN as well.
        if row.examples < 0 or not 0 <= row.seconds < float("inf"):
            raise BadUsage(f"Use of recording {row.recording_id} cannot be negative or endless.")
    with transaction.atomic():
        UsageEvent.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def exposures(source: str, up_to_step: int | None = None) -> dict[int, tuple[int, float]]:
    """Return recording id to (examples, seconds) that the source used, up to and including the
    step."""
    events = UsageEvent.objects.filter(source=source)
    if up_to_step is not None:
        events = events.filter(step__lte=up_to_step)
    sums = events.values_list("recording_id").annotate(Sum("examples"), Sum("seconds"))
    return {pk: (examples, seconds) for pk, examples, seconds in sums.order_by("recording_id")}


def ledger_version(sources: Collection[str], up_to_step: int | None = None) -> str:
    """Return the number of these events and the id of the newest: it changes with every appended
    event. The number is needed because an event may be committed after one that is newer."""
    events = UsageEvent.objects.filter(source__in=sources)
    if up_to_step is not None:
        events = events.filter(step__lte=up_to_step)
    totals = events.aggregate(number=Count("pk"), newest=Max("pk"))
    return f"{totals['number']}.{totals['newest'] or 0}"


def sources(recordings: Iterable[Recording]) -> list[Source]:
    """Return what used any of these recordings, latest first."""
    ids = [recording.pk for recording in recordings]
    rows = (
        UsageEvent.objects.filter(recording__in=ids)
        .values_list("source", "use")
        .annotate(Sum("examples"), Sum("seconds"), last_step=Max("step"), last_at=Max("at"))
        .order_by("-last_at", "source", "use")
    )
    return [Source(*row[:5]) for row in rows]
