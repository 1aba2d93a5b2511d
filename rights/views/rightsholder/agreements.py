"""The artist's agreements, mandates, splits to answer, and grants that either side drafted."""

from collections.abc import Collection
from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from portal import audit
from portal.confirmation import Act
from portal.inputs import parameters
from portal.models import User
from portal.views import signed_in
from rights import acts
from rights.access import READERS, page_of
from rights.consent import opt_outs
from rights.forms import VerbForm
from rights.forms.rightsholder import EndForm
from rights.grants import lifecycle, plain_language
from rights.models import Agreement, Grant, Mandate, Use, WithdrawalCase
from rights.views import confirming
from rights.views.rightsholder.overview import Effect, holders, offers_to, unanswered
from rights.withdrawal import impact

SHOWN = 20


@require_safe
@holders
def agreements(request: HttpRequest) -> HttpResponse:
    """List what waits for the user's answer first, then everything that is signed."""
    user = signed_in(request)
    grants = _grants(user)
    state = parameters.read_parameters(request).choice("state", ("open", "all"), "open")
    if state == "open":
        grants = grants.filter(status__in=Grant.OPEN_STATUSES)
    page = page_of(request, grants.order_by("-created_at", "-pk"))
    own = Q(holder__people=user) | Q(agent__people=user)
    mandates = Mandate.objects.filter(own).distinct().select_related("holder", "agent")
    cases = WithdrawalCase.objects.filter(party__people=user).distinct().order_by("-opened_at")
    context = {
        "tab": "papers",
        "asked": offers_to(user),
        "unanswered": unanswered(user),
        "agreements": Agreement.objects.filter(counterparty__people=user).distinct(),
        "mandates": [(row, plain_language.territory_names(row.territories)) for row in mandates],
        "own": set(user.parties.values_list("pk", flat=True)),
        "page": page,
        "rows": [(row, plain_language.state(row, ours=_offered_by_grantor(row))) for row in page],
        "state": state,
        "cases": cases[:SHOWN],
    }
    return render(request, "rights/mine_agreements.html", context)


@require_safe
@holders
def grant(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one of the user's grants in plain words, with what both sides did to it."""
    user = signed_in(request)
    row = get_object_or_404(_grants(user), pk=pk)
    opt_out_rows = opt_outs.keeping_out_of(row)
    context = {
        "grant": row,
        "subject": plain_language.subject(row),
        "scope": plain_language.scope(row),
        "policy": plain_language.policy(row),
        "meaning": Use(row.use).facts.meaning,
        "right": plain_language.RIGHT,
        "ours": _offered_by_grantor(row),
        "state": plain_language.state(row, ours=_offered_by_grantor(row)),
        "also_for": [
            plain_language.also_for(mandate) for mandate in opt_outs.mandates_of_agent(row)
        ],
        "may_answer": row.status == Grant.Status.OFFERED and not _offered_by_grantor(row),
        "versions": _grants(user).filter(Q(pk=row.replaces_id) | Q(replaces=row)),
        "left_out": opt_out_rows[:SHOWN],
        "more_left_out": max(0, opt_out_rows.count() - SHOWN),
        "history": _history(user, row),
    }
    return render(request, "rights/mine_grant.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@holders
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """POST puts a grant that the lab drafted in force; GET shows what that ends."""
    user = signed_in(request)
    row = get_object_or_404(_grants(user), pk=pk)
    if _offered_by_grantor(row):
        messages.error(request, "You offered it yourself: the lab answers it.")
        return redirect("rights:mine_grant", pk=row.pk)
    form = VerbForm(request.POST if request.method == "POST" else None)
    act = acts.activating(row, by=user)
    done, _ = confirming.perform_or_preview(request, form, lambda _: act)
    if done is not None:
        messages.success(request, "Allowed. It is in force from now on.")
        return redirect("rights:mine_grant", pk=row.pk)
    page = confirming.act_page(act)
    context = page.context
    context |= {
        "form": form,
        "grant": row,
        "subject": plain_language.subject(row),
        "scope": plain_language.scope(row),
        "replaced": row.replaces if acts.replaces_open(row) else None,
        "effect": Effect.shown(page.preview),
    }
    return render(request, "rights/mine_approve.html", context, status=confirming.status(form))


@require_http_methods(["GET", "HEAD", "POST"])
@holders
def decline(request: HttpRequest, pk: int) -> HttpResponse:
    """Decline what the lab has drafted, or take back the user's own offer."""
    user = signed_in(request)
    row = get_object_or_404(_grants(user), pk=pk)
    form = EndForm(request.POST or None)

    def act(data: dict[str, Any]) -> Act[list[object], Grant]:
        return acts.answering(row, lifecycle.decline, by=user, **data)

    if confirming.perform_if_valid(request, form, act):
        messages.success(request, "Done. It never comes into force.")
        return redirect("rights:mine_grant", pk=row.pk)
    page = confirming.act_page(act({}))
    context = page.context
    context |= {
        "form": form,
        "grant": row,
        "subject": plain_language.subject(row),
        "ours": _offered_by_grantor(row),
    }
    return render(request, "rights/mine_decline.html", context, status=confirming.status(form))


@require_http_methods(["GET", "HEAD", "POST"])
@holders
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """GET previews what ending this one permission affects; POST ends it, for good."""
    user = signed_in(request)
    row = get_object_or_404(_grants(user), pk=pk)
    form = EndForm(request.POST or None)

    def act(data: dict[str, Any]) -> Act[impact.Effect, Grant]:
        return acts.withdrawing(row, by=user, **data)

    if confirming.perform_if_valid(request, form, act):
        messages.success(request, "Ended. What follows from it has begun.")
        return redirect("rights:mine_grant", pk=row.pk)
    page = confirming.act_page(act({}))
    context = page.context
    context |= {
        "form": form,
        "grant": row,
        "subject": plain_language.subject(row),
        "use": Use(row.use),
        "effect": Effect.shown(page.preview),
    }
    return render(request, "rights/mine_off.html", context, status=confirming.status(form))


def _grants(user: User) -> QuerySet[Grant]:
    rows = Grant.objects.filter(grantor__people=user).prefetch_related("grantor__people")
    return rows.select_related(
        "grantor", "agreement", "recording", "work", "drafted_by", "replaces"
    )


def _offered_by_grantor(row: Grant) -> bool:
    """Return whether the grantor's own people offered it, so that the lab has to answer."""
    return any(person.pk == row.drafted_by_id for person in row.grantor.people.all())


def _history(user: User, row: Grant) -> list[dict[str, object]]:
    """Return what was done to the grant; people of the lab appear as “the lab”."""
    own = set(row.grantor.people.values_list("pk", flat=True))
    verbs = {
        "grant.offered": "Drafted",
        "grant.activated": "Put in force",
        "grant.suspended": "Paused",
        "grant.resumed": "In force again",
        "grant.declined": "Declined or taken back",
        "grant.withdrawn": "Ended",
        "grant.expired": "Ran out",
        "grant.superseded": "Replaced by a new version",
        "grant.excluded": "A recording taken out",
        "hold.placed": "Uses of what lost its permission stopped",
    }
    return [
        {
            "at": event.at,
            "what": verbs.get(event.verb, event.verb.replace(".", ": ").replace("_", " ")),
            "by": _who(event.actor, user, own),
        }
        for event in audit.history(row).select_related("actor")[:50]
    ]


def _who(actor: User | None, user: User, own: Collection[int]) -> str:
    if actor is None:
        return "the portal"
    if actor.pk == user.pk:
        return "you"
    if actor.pk in own:
        return "your side"
    # A holder for whom the grantor signs may take a recording out.
    return "the lab" if actor.has_role(*READERS) else "another holder"
