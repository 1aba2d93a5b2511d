"""The pass over all rules: finds where a condition has come true, and raises one alert for that.

What a rule found last is in a row for each run (RuleWatch), moved by compare-and-set in the
transaction that raises the alert. So a pass may be killed between any two lines, run twice at once
or late, and each crossing is told exactly once:

    the condition holds and did not        a crossing, told
    it holds as before                     nothing
    it holds again, of another episode     a crossing: the run failed once more, another attempt
    it does not hold any more              the next time is a crossing
    it comes true within the cooldown      nothing yet; a crossing if it still holds after it

A rule speaks of runs that are open, and of those that ended since it was made or changed: what was
over before is nobody's news, what holds now is.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from experiments.alerts import alerts, conditions
from experiments.alerts.conditions import Finding, Findings
from experiments.models import AlertRule, Project, RuleWatch, Run
from experiments.run_table import query
from portal.database import bulk

log = logging.getLogger(__name__)

# Metrics of a run that has ended may still arrive; so long it is looked at again.
LATE = timedelta(minutes=10)
# `checked_at` moves this seldom, so that a quiet pass writes nothing.
NOTE_EVERY = timedelta(minutes=1)
# Crossings in one transaction.
TOGETHER = 25
# Runs that are looked up once for all rules.
FEW = 1_000


def run_pass(now: datetime | None = None) -> int:
    """Evaluate every rule that is on; return the number of alerts. An error with one rule is logged
    and does not stop the others."""
    now = now or timezone.now()
    raised = 0
    rows = AlertRule.objects.filter(enabled=True, created_by__is_active=True)
    rows = rows.select_related("project", "created_by").order_by("project", "pk")
    for project, group in groupby(rows, key=lambda rule: rule.project):
        rules = list(group)
        within = _recent(project, min(_since(rule) for rule in rules))
        for rule in rules:
            try:
                raised += evaluate(rule, now, within=within)
            except Exception:
                log.exception("Alert rule %s could not be evaluated; the next pass tries.", rule.pk)
    return raised


def evaluate(rule: AlertRule, now: datetime, *, within: QuerySet[Run]) -> int:
    """Raise the alerts of one rule that are due; return how many. `within` are the runs that any
    rule of the project speaks of."""
    try:
        runs = _candidates(rule, within)
    except query.BadQuery as refusal:
        _note_problem(rule, f"Its query cannot be read: {refusal}")
        return 0
    _note_problem(rule, "")
    found = conditions.findings(rule, runs, now)
    _rearm(rule, runs, found)
    raised = _raise_all(rule, _crossings(rule, found, now), now)
    if rule.checked_at is None or now - rule.checked_at > NOTE_EVERY:
        AlertRule.objects.filter(pk=rule.pk, since=rule.since).update(checked_at=now)
    return raised


def _since(rule: AlertRule) -> datetime:
    """Return since when runs have ended that the rule has not looked at for the last time."""
    return max(rule.since, (rule.checked_at or rule.since) - LATE)


def _recent(project: Project, since: datetime) -> QuerySet[Run]:
    """Return the runs that are open or have ended since. Where they are few they are looked up once
    for all rules of the project: to find them among tens of thousands takes longest."""
    runs = Run.objects.filter(project=project, deleted_at=None).order_by()
    runs = runs.filter(Q(state__in=Run.OPEN_STATES) | Q(ended_at__gte=since))
    ids = list(runs.values_list("pk", flat=True)[: FEW + 1])
    return Run.objects.filter(pk__in=ids).order_by() if len(ids) <= FEW else runs


def _candidates(rule: AlertRule, within: QuerySet[Run]) -> QuerySet[Run]:
    """Return the runs that the rule speaks of."""
    runs = within.filter(Q(state__in=Run.OPEN_STATES) | Q(ended_at__gte=_since(rule)))
    if rule.scope == AlertRule.Scope.MINE:
        runs = runs.filter(submitted_by=rule.created_by)
    return query.apply(runs, rule.query) if rule.scope == AlertRule.Scope.QUERY else runs


def _note_problem(rule: AlertRule, problem: str) -> None:
    if rule.problem != problem[:300]:
        AlertRule.objects.filter(pk=rule.pk).update(problem=problem[:300])


def _rearm(rule: AlertRule, runs: QuerySet[Run], found: Findings) -> None:
    """Note for which runs the condition holds no more."""
    holding = RuleWatch.objects.filter(rule=rule, holds=True, run__in=runs)
    over = [pk for pk, run in holding.values_list("pk", "run") if run not in found]
    for part in bulk.parts(over, 500):
        RuleWatch.objects.filter(pk__in=part).update(holds=False)


def _crossings(rule: AlertRule, found: Findings, now: datetime) -> list[tuple[UUID, Finding]]:
    """Return the findings that are crossings: not told before, and not within the cooldown."""
    known: dict[UUID, RuleWatch] = {}
    for part in bulk.parts(list(found), 500):
        known |= {row.run_id: row for row in RuleWatch.objects.filter(rule=rule, run__in=part)}
    cooled = now - timedelta(minutes=rule.cooldown_minutes)

    def is_due(run: UUID, finding: Finding) -> bool:
        watch = known.get(run)
        if watch is None:
            return True
        if watch.holds and watch.episode == finding.episode:
            return False
        return watch.told_at is None or watch.told_at <= cooled

    # In one order, so that two workers never wait for each other.
    return sorted((run, found[run]) for run in found if is_due(run, found[run]))


def _raise_all(rule: AlertRule, crossings: Sequence[tuple[UUID, Finding]], now: datetime) -> int:
    raised = 0
    for part in bulk.parts(crossings, TOGETHER):
        runs = Run.objects.filter(pk__in=[run for run, _ in part])
        by_id = {run.pk: run for run in runs.select_related("project", "submitted_by")}
        with transaction.atomic():
            raised += sum(_tell(rule, by_id, pk, finding, now) for pk, finding in part)
    return raised


def _tell(
    rule: AlertRule, runs: Mapping[UUID, Run], pk: UUID, finding: Finding, now: datetime
) -> bool:
    """Tell of one crossing; false if another worker has."""
    run = runs.get(pk)
    if run is None:
        return False
    watch, _ = RuleWatch.objects.get_or_create(rule=rule, run=run)
    if watch.holds and watch.episode == finding.episode:
        return False
    moved = RuleWatch.objects.filter(pk=watch.pk, crossings=watch.crossings).update(
        holds=True, episode=finding.episode, crossings=F("crossings") + 1, told_at=now
    )
    if not moved:
        return False
    alert = alerts.raise_by_rule(rule, run, crossing=watch.crossings + 1, text=finding.text, at=now)
    return alert is not None
