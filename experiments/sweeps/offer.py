"""What a sweep would be, in words, before it is started."""

from dataclasses import dataclass

from experiments.models import Project, Series, Sweep
from experiments.run_table import compare
from experiments.runs import costs, quotas
from experiments.sweeps import objectives
from experiments.sweeps.sweeps import Plan

# Whose metrics are offered as objectives, and how many.
NEWEST_RUNS = 20
MOST_NAMES = 100


@dataclass(frozen=True)
class Offer:
    """`lines` name each setting with its values; the sentences say how many runs and at most what
    they cost."""

    trials: int
    runs: str
    lines: list[tuple[str, str]]
    cost: str
    left: str


def make_offer(plan: Plan, project: Project) -> Offer:
    count, budget = plan.space.count, plan.budget
    label = str(Sweep.Method(plan.method).label).partition(":")[0]
    of_all = f" of {count:,} combinations" if count is not None and count > plan.trials else ""
    at_once = min(budget.parallel, plan.trials)
    how = (
        f"{label}: {plan.trials} run{'' if plan.trials == 1 else 's'}{of_all}, {at_once} at a time."
    )
    if plan.rule is not None:
        how += f" Stopped early by {plan.rule}."
    return Offer(
        trials=plan.trials,
        runs=how,
        lines=[(parameter.key, str(parameter)) for parameter in plan.space.parameters],
        cost=_cost(plan),
        left=quotas.remaining_hours_sentence(project, plan.run.resources),
    )


def _cost(plan: Plan) -> str:
    """Return the most that all runs can take: that of one times their number, or the limit."""
    prices, requested = costs.prices(), plan.run.resources
    words = costs.estimate(requested, prices)
    each = f"Each run: {words[0].lower()}{words[1:]}"
    if prices:
        most = prices.at_most(requested) * plan.trials
        if plan.budget.cost is not None:
            most = min(most, plan.budget.cost)
        return f"{each} All together at most {prices.format_amount(most)}."
    hours = requested.max_hours * plan.trials * (requested.all_gpus or requested.nodes)
    if plan.budget.hours is not None:
        hours = min(hours, plan.budget.hours)
    unit = "GPU-hours" if requested.gpus else "machine hours"
    return f"{each} All together at most {hours:,.4g} {unit}."


def metric_names(project: Project, recipe: str) -> list[str]:
    """Return the metrics that runs of this recipe have logged here, the one to look at first
    ahead, and what else a sweep can be about."""
    newest = project.runs.filter(recipe=recipe).order_by("-queued_at").values("pk")[:NEWEST_RUNS]
    rows = Series.objects.filter(run__in=list(newest.values_list("pk", flat=True)))
    rows = rows.exclude(name__startswith="system/").order_by("name")
    names = list(rows.values_list("name", flat=True).distinct()[:MOST_NAMES])
    first = compare.first_choice(names)
    others = [name for name in names if name != first]
    return [*([first] if names else []), *others, *objectives.registered()]
