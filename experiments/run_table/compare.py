"""Comparison of runs: which settings differ, and the same metric of each."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count

from backline.configs import same
from experiments.metrics import metrics
from experiments.models import Project, Run, Series
from experiments.templatetags.figures import DASHES, colour, setting
from portal.models import User

MAX_RUNS = 20
# Numbers of one address that are looked up, and that a sentence names.
MAX_NUMBERS = 200
LISTED = 10
# Before the names of what programs report: a setting may be called `python` too.
ENVIRONMENT = "environment."
# Settings that tell runs of one name apart, and the characters of each value.
TELLING = 2
VALUE_LENGTH = 20


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same everywhere: one value per run, None where it has none."""

    key: str
    values: list[Any]


@dataclass(frozen=True)
class Choice:
    """The runs of a comparison by number, and a sentence on those that are not among them."""

    runs: list[Run]
    note: str = ""


def choose(*, user: User, project: Project, text: str, most: int = MAX_RUNS) -> Choice:
    """Return the runs whose numbers are in the URL (`3,5`), as far as they may be seen."""
    numbers = list(dict.fromkeys(int(n) for n in re.findall(r"[0-9]{1,9}", text)))
    rows = Run.objects.visible_to(user).filter(
        project=project, number__in=numbers[: max(MAX_NUMBERS, most)]
    )
    runs = {run.number: run for run in rows.select_related("submitted_by", "dataset", "project")}
    missing = [str(number) for number in numbers if number not in runs]
    kept = sorted([number for number in numbers if number in runs][:most])
    left_out = [str(number) for number in numbers if number in runs and number not in kept]
    notes = []
    if left_out:
        notes.append(
            f"At most {most} runs are compared; left out: {', '.join(left_out[:LISTED])}"
            f"{' and others' if left_out[LISTED:] else ''}."
        )
    if missing:
        notes.append(
            f"This project has no run {', '.join(missing[:LISTED])}"
            f"{' and others' if missing[LISTED:] else ''}."
        )
    return Choice([runs[number] for number in kept], " ".join(notes))


def is_of_environment(key: str) -> bool:
    """Return whether a fact of `differences` is of where and with what a run ran."""
    return key == "code" or key.startswith(("resources.", "arithmetic.", ENVIRONMENT))


def differences(
    runs: Iterable[Run], environments: Mapping[UUID, Mapping[str, Any]] | None = None
) -> list[Difference]:
    """Return the settings, resources and other facts in which the runs differ, by name; with
    `environments`, also what their programs reported of code and machine."""
    reported = environments or {}
    each = [
        described(run)
        | {f"{ENVIRONMENT}{name}": value for name, value in reported.get(run.pk, {}).items()}
        for run in runs
    ]
    keys = sorted({key for facts in each for key in facts})
    candidates = [Difference(key, [facts.get(key) for facts in each]) for key in keys]
    return [
        difference
        for difference in candidates
        if not all(same(value, difference.values[0]) for value in difference.values)
    ]


def described(run: Run) -> dict[str, Any]:
    """Return the facts by which runs are told apart: recipe, code, dataset, settings, resources."""
    facts: dict[str, Any] = {"recipe": run.recipe or None, "code": run.code_version or None}
    facts["dataset"] = str(run.dataset) if run.dataset else None
    arithmetic = {key: value for key, value in (run.arithmetic or {}).items() if key != "reason"}
    return {
        **facts,
        **flat(run.config),
        **flat(run.resources, "resources."),
        **flat(arithmetic, "arithmetic."),
    }


def flat(config: object, path: str = "") -> dict[str, Any]:
    """Flatten a nested config to dotted names with values."""
    if not isinstance(config, dict):
        return {}
    settings: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            settings |= flat(value, f"{path}{key}.")
        else:
            settings[f"{path}{key}"] = value
    return settings


def metric_names(runs: Sequence[Run]) -> list[str]:
    """Return the metrics of these runs, those that most of them have first."""
    rows = Series.objects.filter(run__in=[run.pk for run in runs]).values_list("name")
    return [name for name, _ in rows.annotate(runs=Count("run")).order_by("-runs", "name")]


def first_choice(names: Sequence[str]) -> str:
    """Return the metric to look at first: a loss if there is any."""
    losses = [name for name in names if is_loss(name)]
    return (losses or list(names) or [""])[0]


def is_loss(name: str) -> bool:
    return name.endswith("loss")


def controls(names: Sequence[str]) -> list[str]:
    """Return the metrics that say whether the model does what is asked of it, beside its loss."""
    found = [name for name in names if name.startswith("control/")] or [
        name for name in names if "accuracy" in name
    ]
    first = first_choice(names)
    return [name for name in found if name != first]


def labels(runs: Sequence[Run]) -> dict[int, str]:
    """Return a label for each run's number: its name, and of runs of one name what differs."""
    by_name: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_name[run.name].append(run)
    differing: dict[int, list[str]] = defaultdict(list)
    for members in by_name.values():
        telling = [d for d in differences(members) if all(map(_is_short, d.values))]
        # First what has the most values, and is set everywhere.
        telling.sort(key=lambda d: (-len(set(map(str, d.values))), None in d.values))
        for difference in telling[:TELLING]:
            for run, value in zip(members, difference.values, strict=True):
                differing[run.number].append(f"{difference.key} {setting(value)}")
    return {
        run.number: ", ".join([f"{run.number} {run.name}", *differing[run.number]]) for run in runs
    }


def _is_short(value: object) -> bool:
    return not isinstance(value, list | dict) and len(str(value)) <= VALUE_LENGTH


def dashes(runs: Sequence[Run]) -> dict[int, str]:
    """Return the dash of each run's line: solid, but where another run has its colour."""
    seen: dict[int, int] = defaultdict(int)
    chosen = {}
    for run in runs:
        chosen[run.number] = DASHES[seen[colour(run.number)] % len(DASHES)]
        seen[colour(run.number)] += 1
    return chosen


def traces(runs: Sequence[Run], name: str, points: int = 1000) -> list[dict[str, object]]:
    """Return what the chart draws: each run's curve of one metric, with name, colour and dash."""
    curves = metrics.read_many([run.pk for run in runs], name, points)
    label, dash = labels(runs), dashes(runs)
    return [
        {
            **curves[run.pk].as_json(),
            "run": run.number,
            "label": label[run.number],
            "colour": colour(run.number),
            "dash": dash[run.number],
        }
        for run in runs
        if run.pk in curves
    ]
