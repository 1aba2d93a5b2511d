"""The alerts of a project, and the rules that raise them."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.forms import model_to_dict
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from experiments.alerts import rules, webhooks
from experiments.alerts.forms import COMMON, FIELDS, RuleForm
from experiments.clearance.permission import NotPermitted
from experiments.models import Alert, AlertRule, Level, Project, Series
from experiments.models.inbox import LEVELS
from experiments.runs import costs
from experiments.views import confirming
from experiments.views.access import requires_view
from portal.inputs import parameters
from portal.views import signed_in

PER_PAGE = 50
# Of these the names of metrics are suggested.
NEWEST_RUNS = 20
MOST_NAMES = 300
BEGINS_WITH = ("metric", "summary", "comparison", "better", "value", "scope", "query", "audience")


@require_safe
@requires_view
def alerts(request: HttpRequest, project: Project) -> HttpResponse:
    """Show a project's alerts, newest first, and the rules that raise them."""
    user, query = signed_in(request), parameters.read_parameters(request)
    rows = Alert.objects.visible_to(user).filter(project=project)
    level = query.choice("level", LEVELS)
    if level:
        rows = rows.filter(level__in=LEVELS[LEVELS.index(Level(level)) :])
    rule, run = query.number("rule"), query.number("run")
    if rule is not None:
        rows = rows.filter(rule=rule)
    if run is not None:
        rows = rows.filter(run__number=run)
    own = AlertRule.objects.visible_to(user).filter(project=project).select_related("created_by")
    context = {
        "project": project,
        "page": Paginator(rows.select_related("run", "rule"), PER_PAGE).get_page(query.page()),
        "rules": [(rule, rules.describe(rule), rules.may_change(user, rule)) for rule in own],
        "level": level,
        "levels": Level.choices,
        "rule": rule,
        "run_number": run,
        "may_see_webhooks": webhooks.may_change(user, project),
        "webhooks": project.webhooks.count(),
    }
    return render(request, "experiments/alerts/alerts.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires_view
def rule_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Choose what to watch for; then a form for that. POST makes the rule."""
    user, query = signed_in(request), parameters.read_parameters(request)
    kind = query.choice("kind", AlertRule.Kind.values)
    if not kind:
        return _kinds(request, project)
    new = AlertRule(kind=kind, project=project, created_by=user)
    # A link may say what the form begins with: a metric, the query of one run.
    given = query.given(*BEGINS_WITH)
    initial = {**given, "states": query.texts("states")}
    form = RuleForm(request.POST or None, rule=new, user=user, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            rule = rules.create(by=user, project=project, kind=kind, **form.cleaned_data)
        except (NotPermitted, rules.TooMany) as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, f"“{rule.name}” watches from now on.")
            return redirect("experiments:alerts", project.slug)
    return _form(request, project, form, kind)


@require_http_methods(["GET", "HEAD", "POST"])
@requires_view
def rule(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Show a rule in its form; POST changes it."""
    user, rule = signed_in(request), _rule(request, project, pk)
    fields = (*FIELDS.get(rule.kind, ()), *COMMON)
    initial = model_to_dict(rule, fields)
    form = RuleForm(request.POST or None, rule=rule, user=user, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            rules.change(by=user, rule=rule, **form.cleaned_data)
        except NotPermitted as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, "Changed. It starts anew: what holds now is told once more.")
            return redirect("experiments:alerts", project.slug)
    return _form(request, project, form, rule.kind, rule=rule)


@require_POST
@requires_view
def rule_switch(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Switch a rule on or off."""
    on = parameters.posted_parameters(request).choice("on", ("yes", "no"), "no") == "yes"
    rule = _rule(request, project, pk)
    try:
        rules.switch(by=signed_in(request), rule=rule, on=on)
    except NotPermitted as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"“{rule.name}” is {'on' if on else 'off'}.")
    return redirect("experiments:alerts", project.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@requires_view
def rule_delete(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Ask whether a rule should go; POST deletes it, and its alerts stay."""
    rule = _rule(request, project, pk)
    question = confirming.Question(
        name=f"rule.delete:{pk}",
        facts=[rule.name],
        heading=f"Delete the rule “{rule.name}”",
        words="It watches no more, for anybody. The alerts that it raised stay.",
        button=f"Delete {rule.name}",
        back=reverse("experiments:alerts", args=[project.slug]),
    )
    allowed = rules.may_change(signed_in(request), rule)
    if allowed and (page := confirming.ask(request, project, question)):
        return page
    try:
        rules.delete(by=signed_in(request), rule=rule)
    except NotPermitted as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"“{rule.name}” is deleted. What it said stays.")
    return redirect("experiments:alerts", project.slug)


def _rule(request: HttpRequest, project: Project, pk: int) -> AlertRule:
    visible = AlertRule.objects.visible_to(signed_in(request)).filter(project=project)
    return get_object_or_404(visible.select_related("project"), pk=pk)


def _kinds(request: HttpRequest, project: Project) -> HttpResponse:
    context = {"project": project, "kinds": AlertRule.Kind.choices, "priced": bool(costs.prices())}
    return render(request, "experiments/alerts/kinds.html", context)


def _form(
    request: HttpRequest, project: Project, form: RuleForm, kind: str, **more: Any
) -> HttpResponse:
    newest = project.runs.order_by("-queued_at").values("pk")[:NEWEST_RUNS]
    names = Series.objects.filter(run__in=list(newest.values_list("pk", flat=True)))
    context = {
        "project": project,
        "form": form,
        "kind_words": AlertRule.Kind(kind).label,
        "metric_names": list(names.order_by("name").values_list("name", flat=True).distinct())[
            :MOST_NAMES
        ],
        **more,
    }
    status = 422 if form.errors else 200
    return render(request, "experiments/alerts/rule.html", context, status=status)
