"""Media as pages and programs read them: which names and steps there are, and what stands there."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db.models import Q

from experiments.media import silence
from experiments.models import Media, MediaName, Run

# Of a project whose programs make up a name for each step.
MOST_NAMES = 500
# Things of one answer.
MOST_ITEMS = 2_000
# Columns of a heat map, and of all maps of a panel together.
MOST_COLUMNS = 200
ALL_COLUMNS = 1_600


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


def steps_by_name(run: Run) -> dict[str, list[int]]:
    """Return the steps of each name of a run, ascending."""
    rows = Media.objects.current().filter(run=run).order_by("name", "step")
    found: dict[str, list[int]] = {}
    for name, step in rows.values_list("name", "step").distinct():
        found.setdefault(name, []).append(step)
    return found


def at(
    wanted: Mapping[UUID, int], names: Iterable[str], *, most: int = MOST_ITEMS
) -> tuple[list[Media], int]:
    """Return what runs have at one step each, judged (silence.py), by name and index; and how many
    there are beyond `most`."""
    if not wanted:
        return [], 0
    places = reduce(or_, (Q(run=run, step=step) for run, step in wanted.items()))
    rows = Media.objects.current().filter(places, name__in=list(names))
    judged = silence.judged(rows.select_related("run__project", "blob"))
    found = list(judged.order_by("name", "run", "index")[:most])
    return found, rows.count() - most if len(found) == most else 0


def histograms(runs: Collection[UUID], name: str) -> dict[UUID, list[tuple[int, dict[str, Any]]]]:
    """Return the first histogram of each step, at most MOST_COLUMNS of a run and fewer of many
    runs, spread evenly."""
    steps = steps_of(runs, name)
    most = min(MOST_COLUMNS, max(20, ALL_COLUMNS // max(1, len(steps))))
    found: dict[UUID, list[tuple[int, dict[str, Any]]]] = {}
    for run, all_of_run in steps.items():
        rows = Media.objects.current().filter(
            run=run, name=name, kind=Media.Kind.HISTOGRAM, index=0,
            step__in=thinned(all_of_run, most),
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
