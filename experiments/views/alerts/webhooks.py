"""The webhooks of a project, for its owners: entered, tested, switched off; and what was sent."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from experiments.alerts import outbound, webhooks
from experiments.alerts.forms import WebhookForm
from experiments.models import Project, Webhook
from experiments.views import confirming
from experiments.views.access import requires_view
from portal.inputs import parameters
from portal.views import signed_in

View = Callable[..., HttpResponseBase]
LOGGED = 50


def owner(view: View) -> View:
    """Call the view for owners of the project and operators; others read who may."""

    @wraps(view)
    def guarded(request: HttpRequest, project: Project, **kwargs: Any) -> HttpResponseBase:
        if webhooks.may_change(signed_in(request), project):
            return view(request, project, **kwargs)
        sentence = "An owner of the project, or an operator, sets up its webhooks."
        context = {"project": project, "sentence": sentence}
        return render(request, "experiments/refused.html", context, status=403)

    return requires_view(guarded)


@require_safe
@owner
def hooks(request: HttpRequest, project: Project) -> HttpResponse:
    """Show a project's webhooks."""
    rows = [(webhook, webhooks.address_of(webhook)) for webhook in project.webhooks.all()]
    context = {"project": project, "webhooks": rows}
    return render(request, "experiments/alerts/webhooks.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@owner
def webhook_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Enter a webhook; the answer shows its secret, this once."""
    form = WebhookForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            webhook, secret = webhooks.create(
                by=signed_in(request), project=project, **form.cleaned_data
            )
        except (outbound.Forbidden, webhooks.TooMany) as refusal:
            form.add_error(None, str(refusal))
        else:
            return _page(request, webhook, secret=secret)
    context = {"project": project, "form": form}
    status = 422 if form.errors else 200
    return render(request, "experiments/alerts/webhook_new.html", context, status=status)


@require_safe
@owner
def webhook(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Show one webhook: what was sent, what was answered, what waits."""
    return _page(request, _webhook(project, pk))


@require_POST
@owner
def webhook_change(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Change name, address, or what is sent."""
    webhook, form = _webhook(project, pk), WebhookForm(request.POST, changing=True)
    if not form.is_valid():
        return _page(request, webhook, form=form)
    webhooks.change(by=signed_in(request), webhook=webhook, **form.cleaned_data)
    messages.success(request, "Changed.")
    return redirect("experiments:webhook", project.slug, pk)


@require_POST
@owner
def webhook_test(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Send a message that says it is a test."""
    webhooks.send_test(by=signed_in(request), webhook=_webhook(project, pk))
    messages.info(request, "On its way: the log below says what was answered.")
    return redirect("experiments:webhook", project.slug, pk)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@owner
def webhook_secret(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Ask whether the secret should change; POST makes a new one and shows it, this once."""
    webhook = _webhook(project, pk)
    question = confirming.Question(
        name=f"webhook.secret:{pk}",
        facts=[webhook.name, webhook.nonce],
        heading=f"A new secret for “{webhook.name}”",
        words="What is sent from now on is signed with the new one, so the receiver needs it next.",
        button="Make a new secret",
        back=reverse("experiments:webhook", args=[project.slug, pk]),
    )
    if page := confirming.ask(request, project, question):
        return page
    secret = webhooks.renew_secret(by=signed_in(request), webhook=webhook)
    return _page(request, webhook, secret=secret)


@require_POST
@owner
def webhook_switch(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Switch a webhook on or off."""
    on = parameters.posted_parameters(request).choice("on", ("yes", "no"), "no") == "yes"
    webhooks.switch(by=signed_in(request), webhook=_webhook(project, pk), on=on)
    messages.success(request, f"It is {'on' if on else 'off'}.")
    return redirect("experiments:webhook", project.slug, pk)


@require_http_methods(["GET", "HEAD", "POST"])
@owner
def webhook_delete(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Ask whether a webhook should go; POST deletes it with its log."""
    webhook = _webhook(project, pk)
    question = confirming.Question(
        name=f"webhook.delete:{pk}",
        facts=[webhook.name, webhook.host],
        heading=f"Delete the webhook “{webhook.name}”",
        words=f"Nothing more goes to {webhook.host}. Its secret and its log are deleted.",
        button=f"Delete {webhook.name}",
        back=reverse("experiments:webhook", args=[project.slug, pk]),
    )
    if page := confirming.ask(request, project, question):
        return page
    webhooks.delete(by=signed_in(request), webhook=webhook)
    messages.success(request, f"“{webhook.name}” is deleted.")
    return redirect("experiments:webhooks", project.slug)


def _webhook(project: Project, pk: int) -> Webhook:
    return get_object_or_404(project.webhooks.select_related("project", "created_by"), pk=pk)


def _page(
    request: HttpRequest, webhook: Webhook, *, secret: str = "", form: WebhookForm | None = None
) -> HttpResponse:
    initial = {
        "name": webhook.name,
        "least_level": webhook.least_level,
        "comments": webhook.comments,
    }
    deliveries = list(webhook.deliveries.order_by("-created_at")[:LOGGED])
    context = {
        "project": webhook.project,
        "webhook": webhook,
        "address": webhooks.address_of(webhook),
        "secret": secret,
        "form": form or WebhookForm(changing=True, initial=initial),
        "deliveries": deliveries,
        "waits": any(row.state == "waiting" for row in deliveries),
    }
    status = 422 if form is not None else 200
    return render(request, "experiments/alerts/webhook.html", context, status=status)
