"""Runs that log, rules that watch them, and passes at a time of one's choice."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from django.utils import timezone

from backline import batches
from experiments.alerts import rules
from experiments.metrics import metrics
from experiments.models import AlertRule, Project, Run
from portal.models import User

numbers = itertools.count(1)


def running(by: User, project: Project, name: str = "Probe", **fields: Any) -> Run:
    """A run of a program outside, which is at work."""
    number = project.runs.count() + 1
    fields = {"state": Run.State.RUNNING, "started_at": timezone.now(), **fields}
    return Run.objects.create(
        project=project, number=number, name=name, submitted_by=by, origin=Run.Origin.CLIENT,
        heartbeat_at=timezone.now(), **fields,
    )  # fmt: skip


def log(run: Run, values: Sequence[float], *, first: int = 0, name: str = "loss") -> None:
    steps = np.arange(first, first + len(values), dtype=np.int64)
    table = batches.Table((name,), steps, steps * 1.0 + 1.7e9, np.array([values], dtype=float))
    metrics.ingest(run, "s", next(numbers), batches.encode([table]))


def end(run: Run, state: Run.State, reason: str = "") -> None:
    Run.objects.filter(pk=run.pk).update(state=state, state_reason=reason, ended_at=timezone.now())


def rule(by: User, project: Project, kind: str = "metric", **fields: Any) -> AlertRule:
    """A rule that looks at the loss, says so to whoever submitted the run, and needs no pause."""
    needed = {"metric": "loss", "value": 10.0} if kind == "metric" else {}
    given = {
        "audience": "owner", "scope": "all", "query": "", "level": "warn", "name": "",
        "cooldown_minutes": 0, **needed, **fields,
    }  # fmt: skip
    return rules.create(by=by, project=project, kind=kind, **given)
