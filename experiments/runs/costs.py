"""What runs cost: a price list by GPU type and by core, before a run is queued and after.

An attempt is paid for from its program's start to its end, each of its nodes with all that was
asked for, used or not. Sums are Decimals, in the unit that CURRENCY names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet, Sum
from django.utils import timezone

from experiments.models import Attempt, Project, Run
from experiments.runs.resources import ANY, Resources

CENT = Decimal("0.01")
HOUR = Decimal(3600)
NOTHING = Decimal(0)


@dataclass(frozen=True)
class Prices:
    """Per hour: of a GPU by its type, with "any" for those not in the list, and of a core."""

    gpus: Mapping[str, Decimal]
    core: Decimal
    currency: str

    def __bool__(self) -> bool:
        """Whether anything costs anything: without prices no page speaks of money."""
        return bool(self.core or any(self.gpus.values()))

    def gpu(self, kind: str) -> Decimal:
        """Of one GPU; of any, where the list has no price for that, the dearest it may be."""
        known = self.gpus.get(kind) if kind else None
        if known is None:
            known = self.gpus.get(ANY)
        return max(self.gpus.values(), default=NOTHING) if known is None else known

    def per_hour(self, asked: Resources) -> Decimal:
        per_node = asked.gpus * self.gpu(asked.gpu_type) + asked.cpus * self.core
        return asked.nodes * per_node

    def at_most(self, asked: Resources) -> Decimal:
        return self.per_hour(asked) * Decimal(str(asked.max_hours))

    def sum(self, amount: Decimal) -> str:
        """As money: "2.50 EUR". A little is not nothing: "under 0.01 EUR"."""
        if 0 < amount < CENT:
            return f"under {CENT} {self.currency}"
        return f"{amount.quantize(CENT):,} {self.currency}"


def prices() -> Prices:
    """The price list of this portal's settings."""
    return Prices(settings.GPU_PRICES, settings.CPU_PRICE, settings.CURRENCY)


def estimate(asked: Resources, listed: Prices) -> str:
    """Before queueing: "At most 2.50 EUR: 1 hour of 1 H100 GPU, 4 cores and 32 GiB."."""
    what = f"{hours(asked.max_hours)} of {asked}."
    return f"At most {listed.sum(listed.at_most(asked))}: {what}" if listed else f"At most {what}"


def of_attempt(attempt: Attempt, now: datetime, listed: Prices) -> Decimal:
    """What it cost; of one that goes on, what it has cost so far."""
    if attempt.cost is not None:
        return attempt.cost
    seconds = taken(attempt, now).total_seconds()
    return listed.per_hour(Resources.of(attempt.run)) * Decimal(str(seconds)) / HOUR


def of_runs(ids: Iterable[UUID]) -> dict[UUID, Decimal]:
    """What each of these runs has cost so far, in two queries; one never started is left out."""
    attempts = Attempt.objects.filter(run__in=list(ids))
    found = {pk: paid or NOTHING for pk, paid in _paid_by_run(attempts.exclude(cost=None))}
    going = attempts.filter(cost=None, started_at__isnull=False)
    _add_going(found, going)
    return found


def of_project(project: Project) -> Decimal:
    """All that the project's runs have cost so far."""
    attempts = Attempt.objects.filter(run__project=project)
    paid = attempts.aggregate(paid=Sum("cost"))["paid"] or NOTHING
    found: dict[UUID, Decimal] = {}
    _add_going(found, attempts.filter(cost=None, started_at__isnull=False))
    return paid + sum(found.values(), NOTHING)


def taken(attempt: Attempt, now: datetime) -> timedelta:
    """How long its program has had its machines."""
    if attempt.started_at is None:
        return timedelta(0)
    return max((attempt.ended_at or now) - attempt.started_at, timedelta(0))


def hours_taken(run: Run, now: datetime) -> float:
    """Over all attempts since the run was queued: trying again by hand gives it its hours anew."""
    spans = (
        taken(attempt, now) for attempt in run.attempts.all() if attempt.claimed_at >= run.queued_at
    )
    return sum(spans, timedelta(0)).total_seconds() / 3600


def hours(number: float) -> str:
    return f"{number:g} hour{'' if number == 1 else 's'}"


def _paid_by_run(attempts: QuerySet[Attempt]) -> Iterable[tuple[UUID, Decimal | None]]:
    rows = attempts.order_by().values_list("run").annotate(paid=Sum("cost"))
    return [(row[0], row[1]) for row in rows]


def _add_going(found: dict[UUID, Decimal], attempts: QuerySet[Attempt]) -> None:
    now, listed = timezone.now(), prices()
    for attempt in attempts.select_related("run"):
        so_far = of_attempt(attempt, now, listed)
        found[attempt.run_id] = found.get(attempt.run_id, NOTHING) + so_far
