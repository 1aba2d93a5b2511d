"""Pages of mandates: who may sign for whom, once a second person has approved it."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import audit
from portal.inputs import parameters
from portal.inputs.text import matching
from portal.models import Role
from portal.views import signed_in
from rights import acts
from rights.access import LOOKERS, is_admin, open_to, page_of
from rights.errors import Refused
from rights.forms import MandateForm, ReasonForm
from rights.grants import choices
from rights.models import Mandate, Recording, Use
from rights.parties import parties
from rights.views import confirming
from rights.views.frames import form_page


@require_safe
@open_to(*LOOKERS)
def mandates(request: HttpRequest) -> HttpResponse:
    rows = Mandate.objects.visible_to(signed_in(request)).select_related("holder", "agent")
    query = parameters.read_parameters(request).text("q")
    if query:
        rows = rows.filter(matching(query, "holder__name", "agent__name"))
    context = {"page": page_of(request, rows), "query": query, "is_admin": is_admin(request)}
    return render(request, "rights/mandates.html", context)


@require_safe
@open_to(*LOOKERS)
def mandate(request: HttpRequest, pk: int) -> HttpResponse:
    row, user = _mandate(request, pk), signed_in(request)
    admins = [admin for admin in choices.rights_admins() if admin.pk != row.entered_by_id]
    context = {
        "mandate": row,
        "resting": _recordings_by_use(row),
        "may_approve": is_admin(request) and user.pk != row.entered_by_id,
        "may_revoke": _may_revoke(request, row),
        "approvers": admins,
        "history": audit.history(row)[:20],
        "is_admin": is_admin(request),
    }
    return render(request, "rights/mandate.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def mandate_new(request: HttpRequest) -> HttpResponse:
    initial = parameters.read_parameters(request).given("holder", "agent")
    form = MandateForm(request.POST or None, initial=initial)
    if form.is_valid():
        with form.refusals():
            return redirect(form.save(by=signed_in(request)))
    return form_page(
        request,
        form,
        heading="New mandate",
        button="Enter mandate",
        back=reverse("rights:mandates"),
        words="Grants of the one who signs then cover the holder's share too. It counts once "
        "another rights admin has seen the paper and approved it.",
    )


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def mandate_approve(request: HttpRequest, pk: int) -> HttpResponse:
    row = _mandate(request, pk)
    try:
        parties.approve_mandate(row, signed_in(request))
    except Refused as error:
        messages.error(request, str(error))
    return redirect(row)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN, Role.RIGHTSHOLDER)
def mandate_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """GET previews what would lose its permission; POST ends the mandate for good."""
    row = _mandate(request, pk)
    if not _may_revoke(request, row):
        raise Http404
    user = signed_in(request)
    form = ReasonForm(request.POST or None)
    if confirming.perform_if_valid(request, form, lambda data: acts.revoking(row, by=user, **data)):
        return redirect(row)
    page = confirming.act_page(acts.revoking(row, by=user))
    context = page.context
    affected = (
        [(str(Use(use).label), rows) for use, rows in page.preview.items()] if page.preview else []
    )
    context |= {"form": form, "mandate": row, "resting": affected}
    return render(request, "rights/mandate_revoke.html", context, status=confirming.status(form))


def _mandate(request: HttpRequest, pk: int) -> Mandate:
    rows = Mandate.objects.visible_to(signed_in(request))
    return get_object_or_404(
        rows.select_related("holder", "agent", "entered_by", "approved_by"), pk=pk
    )


def _may_revoke(request: HttpRequest, row: Mandate) -> bool:
    """Return whether the user is a rights admin or speaks for the holder; the agent has no say."""
    user = signed_in(request)
    speaks_for_holder = (
        user.has_role(Role.RIGHTSHOLDER) and row.holder.people.filter(pk=user.pk).exists()
    )
    return is_admin(request) or speaks_for_holder


def _recordings_by_use(row: Mandate) -> list[tuple[str, list[Recording]]]:
    """Return, by label of the use, the recordings permitted through the mandate alone."""
    return [
        (str(Use(use).label), recordings) for use, recordings in acts.permitted_through(row).items()
    ]
