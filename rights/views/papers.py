"""Agreements and grants: the signed paper, and the permissions made under it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import audit
from portal.models import Role
from portal.serving import ranged
from portal.views import signed_in
from rights import choices, participation
from rights.forms import AgreementForm, GrantForm, ReasonForm
from rights.models import Agreement, Grant, Use
from rights.refused import Refused
from rights.views.access import is_admin, open_to, page_of

LOOKERS = (Role.RIGHTS_ADMIN, Role.OPERATOR, Role.RIGHTSHOLDER)


@require_safe
@open_to(*LOOKERS)
def agreements(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    rows = Agreement.objects.visible_to(signed_in(request)).select_related("counterparty")
    rows = rows.filter(counterparty__name__icontains=query)
    context = {"page": page_of(request, rows), "query": query, "is_admin": is_admin(request)}
    return render(request, "rights/agreements.html", context)


@require_safe
@open_to(*LOOKERS)
def agreement(request: HttpRequest, pk: int) -> HttpResponse:
    rows = Agreement.objects.visible_to(signed_in(request)).select_related("counterparty")
    row = get_object_or_404(rows, pk=pk)
    grants = row.grants.select_related("grantor", "recording", "work")
    context = {"agreement": row, "grants": grants, "is_admin": is_admin(request)}
    return render(request, "rights/agreement.html", context)


@require_safe
@open_to(*LOOKERS)
def agreement_document(request: HttpRequest, pk: int) -> HttpResponseBase:
    rows = Agreement.objects.visible_to(signed_in(request)).exclude(document=None)
    row = get_object_or_404(rows.select_related("document"), pk=pk)
    assert row.document is not None  # noqa: S101 - the query says so
    return ranged(request, row.document, f"{row.title}.pdf", attachment=True)


@require_http_methods(["GET", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def agreement_new(request: HttpRequest) -> HttpResponse:
    initial = {"counterparty": request.GET.get("party")}
    form = AgreementForm(request.POST or None, request.FILES or None, initial=initial)
    if form.is_valid():
        with form.refusals():
            return redirect(form.save(by=signed_in(request)))
    context = {"form": form, "heading": "New agreement", "button": "Enter agreement"}
    return render(request, "rights/form.html", context | {"back": "rights:agreements"})


@require_safe
@open_to(*LOOKERS)
def grants(request: HttpRequest) -> HttpResponse:
    rows = Grant.objects.visible_to(signed_in(request))
    status, use = request.GET.get("status", ""), request.GET.get("use", "")
    if status in Grant.Status.values:
        rows = rows.filter(status=status)
    if use in Use.values:
        rows = rows.filter(use=use)
    rows = rows.select_related("grantor", "agreement", "recording", "work")
    context = {
        "page": page_of(request, rows),
        "status": status,
        "use": use,
        "statuses": Grant.Status.choices,
        "uses": Use.choices,
        "is_admin": is_admin(request),
    }
    return render(request, "rights/grants.html", context)


@require_safe
@open_to(*LOOKERS)
def grant(request: HttpRequest, pk: int) -> HttpResponse:
    row = _grant(request, pk)
    context = {
        "grant": row,
        "exclusions": row.exclusions.select_related("recording").order_by("recording__title"),
        "history": audit.history(row)[:20],
        "is_admin": is_admin(request),
    }
    return render(request, "rights/grant.html", context)


@require_http_methods(["GET", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def grant_new(request: HttpRequest) -> HttpResponse:
    asked = {name: request.GET[name] for name in ("agreement", "recording") if name in request.GET}
    form = GrantForm(request.POST or None, initial=asked)
    if form.is_valid():
        with form.refusals():
            made = form.save(by=signed_in(request))
            messages.success(request, f"{len(made)} offered. They permit nothing until in force.")
            return redirect(made[0].agreement)
    context = {"form": form, "heading": "New grants", "button": "Offer"}
    return render(request, "rights/form.html", context | {"back": "rights:grants"})


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def grant_activate(request: HttpRequest, pk: int) -> HttpResponse:
    row = _grant(request, pk)
    try:
        participation.activate(row, signed_in(request))
    except Refused as error:
        messages.error(request, str(error))
    return redirect(row)


@require_http_methods(["GET", "POST"])
@open_to(Role.RIGHTS_ADMIN, Role.RIGHTSHOLDER)
def grant_withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """GET previews what ending it touches; POST ends it. There is no way back, and it says so."""
    row = _grant(request, pk)
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        with form.refusals():
            participation.withdraw(row, signed_in(request), form.cleaned_data["reason"])
            return redirect(row)
    context = {"form": form, "grant": row, "effect": choices.effect_of_withdrawing(row)}
    return render(request, "rights/withdraw.html", context)


def _grant(request: HttpRequest, pk: int) -> Grant:
    rows = Grant.objects.visible_to(signed_in(request))
    return get_object_or_404(
        rows.select_related("grantor", "agreement", "recording", "work", "drafted_by"), pk=pk
    )
