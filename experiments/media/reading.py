"""Media as pages and programs read them: which names and steps there are, and what stands there."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count

from experiments.media import silence
from experiments.models import Media, MediaName, Run

# Of a project whose programs make up a name for each step.
MOST_NAMES = 500
# Columns of a heat map.
MOST_COLUMNS = 200


@dataclass(frozen=True)
class Name:
    """A name under which runs have logged something, and of which kind first."""

    name: str
    kind: str


def names_of(runs: Sequence[Run]) -> list[Name]:
    """Return the names that these runs have, in order; each once."""
    rows = MediaName.objects.filter(run__in=[run.pk for run in runs])
    found: dict[str, str] = {}
    pairs = rows.order_by("name", "kind").values_list("name", "kind").distinct()
    for name, kind in pairs[: MOST_NAMES * 2]:
        found.setdefault(name, kind)
    return [Name(name, kind) for name, kind in found.items()][:MOST_NAMES]


def steps_of(runs: Collection[UUID], name: str) -> dict[UUID, list[int]]:
    """Return the steps at which runs have something of this name, ascending."""
    rows = Media.objects.current().filter(run__in=runs, name=name)
    steps: dict[UUID, list[int]] = {}
    pairs = rows.order_by("run", "step").values_list("run", "step").distinct()
    for run, step in pairs:
        steps.setdefault(run, []).append(step)
    return steps


def all_steps(run: Run) -> list[tuple[int, int]]:
    """Return each step of the run at which it has anything, and how much."""
    rows = Media.objects.current().filter(run=run).order_by("step")
    return list(rows.values("step").annotate(count=Count("pk")).values_list("step", "count"))


def at(wanted: Mapping[UUID, int], names: Iterable[str] | None = None) -> list[Media]:
    """Return what runs have at one step each, judged (silence.py), by name and index."""
    found: list[Media] = []
    for run, step in wanted.items():
        rows = Media.objects.current().filter(run=run, step=step)
        if names is not None:
            rows = rows.filter(name__in=list(names))
        judged = silence.judged(rows.select_related("run__project", "blob"))
        found += judged.order_by("name", "index")
    return found


def histograms(runs: Collection[UUID], name: str) -> dict[UUID, list[tuple[int, dict[str, Any]]]]:
    """Return the first histogram of each step, at most MOST_COLUMNS of a run, spread evenly."""
    steps = steps_of(runs, name)
    found: dict[UUID, list[tuple[int, dict[str, Any]]]] = {}
    for run, all_of_run in steps.items():
        rows = Media.objects.current().filter(
            run=run, name=name, kind=Media.Kind.HISTOGRAM, index=0,
            step__in=thinned(all_of_run, MOST_COLUMNS),
        )  # fmt: skip
        found[run] = list(rows.order_by("step").values_list("step", "content"))
    return found


def nearest(steps: Sequence[int], step: int) -> int | None:
    """Return the step of these that is nearest; of two, the earlier one."""
    return min(steps, key=lambda other: (abs(other - step), other), default=None)


def thinned(steps: list[int], most: int) -> list[int]:
    """Return at most so many, the first and the last among them."""
    if len(steps) <= most:
        return steps
    places = {round(n * (len(steps) - 1) / (most - 1)) for n in range(most)}
    return [steps[place] for place in sorted(places)]
