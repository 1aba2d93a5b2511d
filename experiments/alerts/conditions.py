"""For which runs a rule's condition holds now, and what to say about each.

Each function takes runs as a query and returns findings by run, in a number of queries that does
not grow with the runs. Metrics are judged by their summaries (experiments/models/metrics.py), so a
smallest or largest value is found however short it was; a last value between two passes is not.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import F, Q, QuerySet

from experiments.models import AlertRule, Attempt, Run, Series
from experiments.runs import costs

Kind, State = AlertRule.Kind, Run.State


@dataclass(frozen=True)
class Finding:
    """The condition holds: what to say, and what sets this time apart from an earlier one."""

    text: str
    episode: str = ""


Findings = dict[UUID, Finding]
Condition = Callable[[AlertRule, QuerySet[Run], datetime], Findings]


def findings(rule: AlertRule, runs: QuerySet[Run], now: datetime) -> Findings:
    """Return the runs for which the rule's condition holds."""
    return CONDITIONS[Kind(rule.kind)](rule, runs, now)


def _metric(rule: AlertRule, runs: QuerySet[Run], _now: datetime) -> Findings:
    column = rule.summary
    rows = _series(rule, runs).filter(**{f"{column}__{rule.comparison}": rule.value})
    how = f"{rule.get_comparison_display()} {figure(rule.value)}"
    step = {"last": "last_step"}.get(column, f"{column}_step")
    words = {"last": "is", "minimum": "has been down to", "maximum": "has been up to"}[column]
    return {
        run: Finding(f"{rule.metric} {words} {figure(value)}, {how}, at step {at:,}.")
        for run, value, at in rows.values_list("run", column, step)
    }


def _not_finite(rule: AlertRule, runs: QuerySet[Run], _now: datetime) -> Findings:
    rows = _series(rule, runs).filter(nonfinite__gt=0)
    return {
        run: Finding(
            f"{rule.metric} is NaN or infinite in {bad:,} of the {count:,} points up to "
            f"step {step:,}."
        )
        for run, bad, count, step in rows.values_list("run", "nonfinite", "count", "last_step")
    }


def _stalled(rule: AlertRule, runs: QuerySet[Run], _now: datetime) -> Findings:
    stem = "minimum" if rule.better == AlertRule.Better.LOWER else "maximum"
    best = f"{stem}_step"
    rows = _series(rule, runs).exclude(**{best: None})
    rows = rows.filter(last_step__gte=F(best) + int(rule.value or 0))
    return {
        run: Finding(
            f"{rule.metric} was best ({figure(value)}) at step {at:,} and has not improved in the "
            f"{last - at:,} steps since.",
            # A better value, and another wait, is another time.
            episode=str(at),
        )
        for run, value, at, last in rows.values_list("run", stem, best, "last_step")
    }


def _state(rule: AlertRule, runs: QuerySet[Run], _now: datetime) -> Findings:
    rows = runs.filter(state__in=rule.states)
    return {
        run.pk: Finding(
            _with_reason(run.get_state_display(), run.state_reason),
            episode=run.ended_at.isoformat() if run.ended_at else "",
        )
        for run in rows.only("state", "state_reason", "ended_at")
    }


def _lost(rule: AlertRule, runs: QuerySet[Run], _now: datetime) -> Findings:
    attempts = Attempt.objects.filter(
        run__in=runs, state=Attempt.State.LOST, ended_at__gte=rule.since
    )
    return {
        attempt.run_id: Finding(
            _with_reason(f"Attempt {attempt.number} was lost", attempt.reason),
            episode=str(attempt.number),
        )
        # The last of a run replaces those before it.
        for attempt in attempts.order_by("number")
    }


def _silent(rule: AlertRule, runs: QuerySet[Run], now: datetime) -> Findings:
    before = now - timedelta(minutes=rule.value or 0)
    rows = runs.filter(state__in=(State.RUNNING, State.STOPPING))
    found = {}
    for pk, *moments in rows.values_list("pk", "heartbeat_at", "started_at"):
        heard = max(filter(None, moments), default=None)
        if heard is not None and heard < before:
            found[pk] = Finding(f"Its program was last heard of on {heard:%d %B at %H:%M} UTC.")
    return found


def _waiting(rule: AlertRule, runs: QuerySet[Run], now: datetime) -> Findings:
    before = now - timedelta(minutes=rule.value or 0)
    rows = runs.filter(state=State.QUEUED, queued_at__lt=before)
    return {
        run.pk: Finding(
            _with_reason(
                f"It has waited for {(now - run.queued_at).total_seconds() / 60:,.0f} min",
                run.state_reason,
            ),
            episode=run.queued_at.isoformat(),
        )
        for run in rows.only("queued_at", "state_reason")
    }


def _cost(rule: AlertRule, runs: QuerySet[Run], _now: datetime) -> Findings:
    prices = costs.prices()
    if not prices:
        return {}
    limit = Decimal(str(rule.value))
    spent = costs.of_runs(runs.values_list("pk", flat=True))
    return {
        run: Finding(
            f"It has cost {prices.format_amount(amount)}, more than {prices.format_amount(limit)}."
        )
        for run, amount in spent.items()
        if amount > limit
    }


def _idle(_rule: AlertRule, runs: QuerySet[Run], _now: datetime) -> Findings:
    rows = runs.filter(state__in=Run.OPEN_STATES).exclude(warned_at=None)
    return {
        run.pk: Finding(run.warning, episode=run.warned_at.isoformat() if run.warned_at else "")
        for run in rows.only("warning", "warned_at")
    }


def _permission(_rule: AlertRule, runs: QuerySet[Run], _now: datetime) -> Findings:
    withheld = Q(state=State.WITHHELD) | Q(state=State.STOPPING, stop_as=State.WITHHELD)
    return {
        run.pk: Finding(_with_reason("A permission behind it ended", run.state_reason))
        for run in runs.filter(withheld).only("state_reason")
    }


CONDITIONS: dict[AlertRule.Kind, Condition] = {
    Kind.METRIC: _metric,
    Kind.NOT_FINITE: _not_finite,
    Kind.STALLED: _stalled,
    Kind.STATE: _state,
    Kind.LOST: _lost,
    Kind.SILENT: _silent,
    Kind.WAITING: _waiting,
    Kind.COST: _cost,
    Kind.IDLE: _idle,
    Kind.PERMISSION: _permission,
}


def figure(value: float | None) -> str:
    """Write a number as alerts do: 0.0001, 12.5, 1e-07."""
    if value is None or not math.isfinite(value):
        return "NaN"
    return f"{value:.6g}"


def _series(rule: AlertRule, runs: QuerySet[Run]) -> QuerySet[Series]:
    return Series.objects.filter(run__in=runs, name=rule.metric, count__gt=0).order_by("run")


def _with_reason(words: str, reason: str) -> str:
    return f"{words}. {reason}" if reason else f"{words}."
