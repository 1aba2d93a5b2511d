"""Which fields the runs of a project have, and which of their settings differ.

Looking at every run would take as long as there are runs, so a sample stands for all: the newest
runs, and others spread evenly over the project's numbers. What only a run outside of it has is not
offered, but can be written into the query line or an address.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Max

from backline import configs
from experiments.models import Project, Run, Series
from experiments.run_table import compare
from experiments.run_table.fields import lookup
from experiments.run_table.fields.built_in import BUILT_IN, ResourceField, RunField, SettingField
from experiments.run_table.fields.kinds import Field
from experiments.run_table.fields.metrics import MetricField
from experiments.runs import costs
from experiments.runs.resources import Resources

# Of the newest runs, and of all others.
NEWEST, SPREAD = 60, 60
# Runs of 2,000 metrics each would otherwise be 400,000 rows to look at.
NEWEST_MEASURED, SPREAD_MEASURED = 20, 20
MAX_OF_A_KIND = 300


@dataclass(frozen=True)
class Offer:
    """A field on offer: whether its value differs among runs, and the share that has one."""

    field: Field
    varies: bool
    filled: float

    @property
    def key(self) -> str:
        return self.field.key

    @property
    def title(self) -> str:
        return self.field.title


def catalogue(project: Project) -> list[Offer]:
    """Return the fields that a project's runs have: facts, metrics, settings, those of other apps.

    Within each kind what differs among runs and what most of them have comes first.
    """
    runs = sample(project)
    return [
        *_facts(runs),
        *_metrics(runs),
        *_settings(runs),
        *(
            Offer(field, varies=True, filled=1.0)
            for source in lookup.SOURCES.values()
            for field in source.of_project(project)
        ),
    ]


def sample(project: Project, newest: int = NEWEST, spread: int = SPREAD) -> list[Run]:
    """Return the newest runs and some of all others, evenly spread, in three queries."""
    rows = (
        Run.objects.listed()
        .filter(project=project)
        .select_related("submitted_by", "dataset", "sweep_trial__sweep")
    )
    chosen = {run.pk: run for run in rows.order_by("-queued_at")[:newest]}
    highest = rows.aggregate(highest=Max("number"))["highest"] or 0
    numbers = {1 + step * (highest - 1) // max(spread - 1, 1) for step in range(spread)}
    chosen |= {run.pk: run for run in rows.filter(number__in=numbers)}
    return list(chosen.values())


def _facts(runs: Sequence[Run]) -> list[Offer]:
    fields: list[Field] = [RunField(key) for key in BUILT_IN if key != "cost" or costs.prices()]
    fields += [ResourceField(name) for name in Resources.model_fields]
    offers = []
    for field in fields:
        found = {} if field.key == "cost" else field.read(runs)
        varies = field.key == "cost" or _differ(found.values())
        offers.append(Offer(field, varies, len(found) / max(len(runs), 1)))
    return offers


def _differ(values: Iterable[Any]) -> bool:
    known = iter(values)
    first = next(known, None)
    return any(not configs.same(value, first) for value in known)


def _metrics(runs: Sequence[Run]) -> list[Offer]:
    measured = [
        *runs[:NEWEST_MEASURED],
        *runs[NEWEST_MEASURED :: max(len(runs) // SPREAD_MEASURED, 1)],
    ]
    rows = Series.objects.filter(run__in=[run.pk for run in measured]).order_by()
    counts = dict(rows.values_list("name").annotate(runs=Count("pk")))
    # What the machine did is looked at last.
    names = sorted(counts, key=lambda name: ("system/" in name, -counts[name], name))
    first = compare.first_choice([name for name in names if "system/" not in name])
    main = [name for name in (first, *compare.controls(names)[:1]) if name in counts]
    return [
        Offer(MetricField(name), varies=True, filled=counts[name] / len(measured))
        for name in list(dict.fromkeys([*main, *names]))[:MAX_OF_A_KIND]
    ]


def _settings(runs: Sequence[Run]) -> list[Offer]:
    # Thousands of values: each is only compared with the first of its name.
    filled: dict[str, int] = {}
    first: dict[str, Any] = {}
    different: set[str] = set()
    for run in runs:
        for name, value in compare.flat(run.config).items():
            filled[name] = filled.get(name, 0) + 1
            if name in different:
                continue
            known = first.setdefault(name, value)
            # Mostly the same number or text again, which needs no closer look.
            if known.__class__ is value.__class__ and known == value:
                continue
            if not configs.same(known, value):
                different.add(name)
    offers = [
        Offer(SettingField(name), varies=name in different, filled=count / len(runs))
        for name, count in filled.items()
        if all(name.split("."))
    ]
    offers.sort(key=lambda offer: (not offer.varies, -offer.filled, offer.key))
    return offers[:MAX_OF_A_KIND]
