"""What runs cost, before a run is queued and after, by a price list per GPU type and per core.

An attempt costs from its program's start to its end, on each of its nodes for all requested
resources, used or not. Sums are Decimals, in the unit that CURRENCY names.
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
    """Prices per hour: of a GPU by its type, with "any" for unlisted types, and of a core."""

    gpus: Mapping[str, Decimal]
    core: Decimal
    currency: str

    def __bool__(self) -> bool:
        """Whether anything has a price: without prices no page shows costs."""
        return bool(self.core or any(self.gpus.values()))

    def gpu(self, kind: str) -> Decimal:
        """Return the price of one GPU: of its type, else of "any", else the highest in the list."""
        price = self.gpus.get(kind) if kind else None
        if price is None:
            price = self.gpus.get(ANY)
        return max(self.gpus.values(), default=NOTHING) if price is None else price

    def per_hour(self, resources: Resources) -> Decimal:
        per_node = resources.gpus * self.gpu(resources.gpu_type) + resources.cpus * self.core
        return resources.nodes * per_node

    def at_most(self, resources: Resources) -> Decimal:
        return self.per_hour(resources) * Decimal(str(resources.max_hours))

    def format_amount(self, amount: Decimal) -> str:
        """Format an amount: "2.50 EUR". A small one is not shown as zero: "under 0.01 EUR"."""
        if 0 < amount < CENT:
            return f"under {CENT} {self.currency}"
        return f"{amount.quantize(CENT):,} {self.currency}"


def prices() -> Prices:
    """Return the price list of this portal's settings."""
    return Prices(settings.GPU_PRICES, settings.CPU_PRICE, settings.CURRENCY)


def estimate(resources: Resources, price_list: Prices) -> str:
    """Estimate a run: "At most 2.50 EUR: 1 hour of 1 H100 GPU, 4 cores and 32 GiB."."""
    request = f"{hours(resources.max_hours)} of {resources}."
    return (
        f"At most {price_list.format_amount(price_list.at_most(resources))}: {request}"
        if price_list
        else f"At most {request}"
    )


def of_attempt(attempt: Attempt, now: datetime, price_list: Prices) -> Decimal:
    """Return what the attempt cost, or has cost so far while it is open."""
    if attempt.cost is not None:
        return attempt.cost
    seconds = occupied_time(attempt, now).total_seconds()
    return price_list.per_hour(Resources.of(attempt.run)) * Decimal(str(seconds)) / HOUR


def of_runs(ids: Iterable[UUID]) -> dict[UUID, Decimal]:
    """Return what each run has cost so far, in two queries; runs never started are left out."""
    attempts = Attempt.objects.filter(run__in=list(ids))
    costs = {pk: paid or NOTHING for pk, paid in _paid_by_run(attempts.exclude(cost=None))}
    open_attempts = attempts.filter(cost=None, started_at__isnull=False)
    _add_open(costs, open_attempts)
    return costs


def of_project(project: Project) -> Decimal:
    """Return what all runs of the project have cost so far."""
    attempts = Attempt.objects.filter(run__project=project)
    paid = attempts.aggregate(paid=Sum("cost"))["paid"] or NOTHING
    open_costs: dict[UUID, Decimal] = {}
    _add_open(open_costs, attempts.filter(cost=None, started_at__isnull=False))
    return paid + sum(open_costs.values(), NOTHING)


def occupied_time(attempt: Attempt, now: datetime) -> timedelta:
    """Return how long the attempt's program has occupied its machines."""
    if attempt.started_at is None:
        return timedelta(0)
    return max((attempt.ended_at or now) - attempt.started_at, timedelta(0))


def hours_taken(run: Run, now: datetime) -> float:
    """Sum up all attempts since the run was queued: a retry by hand starts its hours anew."""
    spans = (
        occupied_time(attempt, now)
        for attempt in run.attempts.all()
        if attempt.claimed_at >= run.queued_at
    )
    return sum(spans, timedelta(0)).total_seconds() / 3600


def hours(number: float) -> str:
    return f"{number:g} hour{'' if number == 1 else 's'}"


def _paid_by_run(attempts: QuerySet[Attempt]) -> Iterable[tuple[UUID, Decimal | None]]:
    rows = attempts.order_by().values_list("run").annotate(paid=Sum("cost"))
    return [(row[0], row[1]) for row in rows]


def _add_open(costs: dict[UUID, Decimal], attempts: QuerySet[Attempt]) -> None:
    now, price_list = timezone.now(), prices()
    for attempt in attempts.select_related("run"):
        so_far = of_attempt(attempt, now, price_list)
        costs[attempt.run_id] = costs.get(attempt.run_id, NOTHING) + so_far
