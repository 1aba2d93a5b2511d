"""Pages of split sheets: propose shares; each holder confirms or disputes them."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from portal.confirmation import Act
from portal.models import Role
from portal.views import signed_in
from rights import acts
from rights.access import is_admin, open_to
from rights.errors import Refused
from rights.forms import ReasonForm, SplitForm
from rights.models import Party, Recording, SplitSheet, Work
from rights.parties import splits
from rights.views import confirming


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def recording_split(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Recording.objects.visible_to(signed_in(request)), pk=pk)
    return _split(request, row)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def work_split(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Work.objects.visible_to(signed_in(request)), pk=pk)
    return _split(request, row)


def _split(request: HttpRequest, subject: Recording | Work) -> HttpResponse:
    sheet = subject.splits.current().first()
    initial: dict[str, object] = {}
    for number, line in enumerate(sheet.lines.order_by("pk") if sheet else [], start=1):
        initial |= {f"party_{number}": line.party_id, f"share_{number}": line.ppm / 10_000}
    form = SplitForm(request.POST or None, initial=initial)
    user = signed_in(request)

    def act(data: dict[str, Any]) -> Act[list[object], SplitSheet]:
        return acts.proposing(subject, data["lines"], by=user)

    done, context = confirming.perform_or_preview(request, form, act)
    if done is not None:
        return redirect(subject)
    context |= {"form": form, "subject": subject, "sheet": sheet}
    return render(request, "rights/split.html", context, status=confirming.status(form))


@require_POST
def split_confirm(request: HttpRequest, pk: int, party_pk: int) -> HttpResponse:
    sheet, party = _line(request, pk, party_pk)
    try:
        splits.confirm(sheet=sheet, party=party, by=signed_in(request))
    except Refused as error:
        messages.error(request, str(error))
    return _back(request, sheet)


@require_http_methods(["GET", "HEAD", "POST"])
def split_dispute(request: HttpRequest, pk: int, party_pk: int) -> HttpResponse:
    sheet, party = _line(request, pk, party_pk)
    subject = sheet.recording or sheet.work
    form = ReasonForm(request.POST or None)
    user = signed_in(request)
    if confirming.perform_if_valid(
        request, form, lambda data: acts.disputing(sheet, party, by=user, **data)
    ):
        return _back(request, sheet)
    page = confirming.act_page(acts.disputing(sheet, party, by=user))
    context = page.context
    context |= {"form": form, "sheet": sheet, "party": party, "subject": subject}
    return render(request, "rights/dispute.html", context, status=confirming.status(form))


def _back(request: HttpRequest, sheet: SplitSheet) -> HttpResponse:
    """Redirect to the sheet's recording or work; rightsholders go to their own, plainer pages."""
    if not is_admin(request):
        if sheet.recording_id:
            return redirect("rights:mine_recording", pk=sheet.recording_id)
        return redirect("rights:mine_agreements")
    return redirect(sheet.recording or sheet.work or "rights:home")


def _line(request: HttpRequest, pk: int, party_pk: int) -> tuple[SplitSheet, Party]:
    """Return the open sheet and a party on it that the user speaks for (a rights admin: any)."""
    parties = Party.objects.all() if is_admin(request) else signed_in(request).parties.all()
    party = get_object_or_404(parties, pk=party_pk)
    sheets = SplitSheet.objects.current()
    return get_object_or_404(sheets, pk=pk, lines__party=party), party
