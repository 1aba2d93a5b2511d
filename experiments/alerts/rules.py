"""The rules of a project, and people's own: made, changed, switched off, deleted."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone

from experiments.alerts.conditions import figure
from experiments.clearance.permission import NotPermitted
from experiments.models import AlertRule, Project, RuleWatch, Run
from portal import audit
from portal.models import User

# Of one project: each is evaluated in each pass.
MOST = 100
Kind, Audience = AlertRule.Kind, AlertRule.Audience


class TooMany(ValueError):
    """The project has as many rules as are evaluated."""

    code = "too_many_rules"


def create(*, by: User, project: Project, **fields: Any) -> AlertRule:
    """Make a rule. Anybody who sees the project may watch for themselves; members, for others."""
    _require(by, project, Audience(fields["audience"]))
    if project.alert_rules.count() >= MOST:
        raise TooMany(f"This project has {MOST} rules already. Delete one that nobody needs.")
    with transaction.atomic():
        rule = AlertRule(project=project, created_by=by, **fields)
        rule.name = rule.name or describe(rule)
        rule.save()
        audit.record(by=by, verb="alert_rule.created", subject=rule, **_told(rule))
    return rule


def change(*, by: User, rule: AlertRule, **fields: Any) -> AlertRule:
    """Change a rule. It starts anew: what holds already is told once more, what ended is not."""
    _require(by, rule.project, Audience(rule.audience), rule)
    _require(by, rule.project, Audience(fields["audience"]), rule)
    with transaction.atomic():
        for name, value in fields.items():
            setattr(rule, name, value)
        rule.name = rule.name or describe(rule)
        _begin_anew(rule)
        audit.record(by=by, verb="alert_rule.changed", subject=rule, **_told(rule))
    return rule


def switch(*, by: User, rule: AlertRule, on: bool) -> None:
    """Switch a rule on or off. Switched on, it starts anew."""
    _require(by, rule.project, Audience(rule.audience), rule)
    with transaction.atomic():
        if AlertRule.objects.filter(pk=rule.pk, enabled=not on).update(enabled=on):
            rule.enabled = on
            if on:
                _begin_anew(rule)
            audit.record(by=by, verb="alert_rule.switched", subject=rule, on=on)


def delete(*, by: User, rule: AlertRule) -> None:
    """Delete a rule; the alerts that it raised stay."""
    _require(by, rule.project, Audience(rule.audience), rule)
    with transaction.atomic():
        audit.record(by=by, verb="alert_rule.deleted", subject=rule, **_told(rule))
        rule.delete()


def _begin_anew(rule: AlertRule) -> None:
    rule.since, rule.checked_at, rule.problem = timezone.now(), None, ""
    rule.save()
    RuleWatch.objects.filter(rule=rule).update(holds=False, told_at=None)


def _require(
    by: User, project: Project, audience: AlertRule.Audience, rule: AlertRule | None = None
) -> None:
    if audience == Audience.ME:
        if rule is not None and rule.audience == Audience.ME and rule.created_by_id != by.pk:
            raise NotPermitted("This rule is another person's own.")
        return
    if not may_watch_for_others(by, project):
        raise NotPermitted(
            "You may look and listen in this project: you can be told of what happens in it "
            "yourself, but not set up what others are told."
        )


# --- Reads ----------------------------------------------------------------------------------


def may_watch_for_others(user: User, project: Project) -> bool:
    return project.is_open_to(user)


def may_change(user: User, rule: AlertRule) -> bool:
    if rule.audience == Audience.ME:
        return bool(rule.created_by_id == user.pk)
    return may_watch_for_others(user, rule.project)


def describe(rule: AlertRule) -> str:
    """Return the rule in words: "loss, the last value, above 10"."""
    number = figure(rule.value)
    match rule.kind:
        case Kind.METRIC:
            summary, comparison = rule.get_summary_display(), rule.get_comparison_display()
            words = f"{rule.metric}: {summary} {comparison} {number}"
        case Kind.NOT_FINITE:
            words = f"{rule.metric} is NaN or infinite"
        case Kind.STALLED:
            words = f"{rule.metric} has not improved for {number} steps"
        case Kind.STATE:
            words = " or ".join(Run.State(state).label for state in rule.states)
        case Kind.SILENT:
            words = f"Silent for {number} min"
        case Kind.WAITING:
            words = f"Waits for more than {number} min"
        case Kind.COST:
            words = f"Costs more than {number}"
        case _:
            words = rule.get_kind_display()
    return words[:100]


def _told(rule: AlertRule) -> Mapping[str, Any]:
    return {"project": rule.project.pk, "kind": rule.kind, "audience": rule.audience}
