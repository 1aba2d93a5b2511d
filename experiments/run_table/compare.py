"""Comparison of runs: which settings differ, and the same metric of each."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet

from experiments.metrics import metrics
from experiments.models import Project, Run, Series
from experiments.templatetags.figures import colour, dash
from portal.models import User

MAX_RUNS = 20


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same everywhere: one value per run, None where it has none."""

    key: str
    values: list[Any]


def chosen(*, user: User, project: Project, text: str) -> QuerySet[Run]:
    """Return the runs whose numbers are in the URL (`3,5`), as far as they may be seen."""
    numbers = [int(n) for n in re.findall(r"[0-9]{1,9}", text)[:MAX_RUNS]]
    runs = Run.objects.visible_to(user).filter(project=project, number__in=numbers)
    return runs.select_related("submitted_by", "dataset", "project").order_by("number")


def differences(runs: Iterable[Run]) -> list[Difference]:
    """Return the settings, resources and other facts in which the runs differ, by name."""
    described = [_described(run) for run in runs]
    keys = sorted({key for facts in described for key in facts})
    candidates = [Difference(key, [facts.get(key) for facts in described]) for key in keys]
    return [
        difference
        for difference in candidates
        if any(value != difference.values[0] for value in difference.values)
    ]


def _described(run: Run) -> dict[str, Any]:
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
    losses = [name for name in names if name.split("/")[-1] == "loss" or name.endswith("loss")]
    return (losses or list(names) or [""])[0]


def controls(names: Sequence[str]) -> list[str]:
    """Return the metrics that say whether the model does what is asked of it."""
    return [name for name in names if name.startswith("control/")] or [
        name for name in names if "accuracy" in name
    ]


def traces(runs: Sequence[Run], name: str, points: int = 1000) -> list[dict[str, object]]:
    """Return what the chart draws: each run's curve of one metric, with name, colour and dash."""
    curves = metrics.read_many([run.pk for run in runs], name, points)
    return [
        {
            **curves[run.pk].as_json(),
            "run": run.number,
            "label": f"{run.number} {run.name}",
            "colour": colour(run.number),
            "dash": dash(run.number),
        }
        for run in runs
        if run.pk in curves
    ]
