"""What waits, what is allowed and why, and opting out. The artist's own pages are in mine.py."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from portal.models import Role
from portal.views import signed_in
from rights import choices, holds, participation
from rights.forms import OptOutForm
from rights.models import Grant, Mandate, Party, Recording, SplitLine, Use
from rights.views import relations
from rights.views.access import READERS, is_admin, open_to


@require_safe
@open_to(*READERS)
def home(request: HttpRequest) -> HttpResponse:
    counts = {
        "parties": Party.objects.count(),
        "recordings": Recording.objects.count(),
        "in_force": Grant.objects.in_force(timezone.now()).count(),
    }
    context = {"counts": counts, "is_admin": is_admin(request)} | _waiting(request)
    return render(request, "rights/home.html", context)


@require_safe
@open_to(Role.RIGHTS_ADMIN)
def home_fragment(request: HttpRequest) -> HttpResponse:
    return render(request, "rights/home.html#waiting", _waiting(request))


def _waiting(request: HttpRequest) -> dict[str, object]:
    """What a rights admin has to see to; others see the same, without the buttons."""
    lines = SplitLine.objects.select_related("party", "sheet__recording", "sheet__work")
    mandates = Mandate.objects.visible_to(signed_in(request)).select_related("holder", "agent")
    offered = Grant.objects.visible_to(signed_in(request)).filter(status=Grant.Status.OFFERED)
    return {
        "mandates": mandates.filter(approved_at=None, revoked_at=None)[:10],
        "offered": offered.select_related("grantor", "recording", "work")[:10],
        "offered_count": offered.count(),
        "disputed": lines.filter(sheet__status="disputed").exclude(disputed_at=None)[:10],
        "unanswered": lines.filter(sheet__status="confirming", confirmed_at=None)[:10],
        "ended": holds.lately(),
    } | relations.waiting()


@require_http_methods(["GET", "POST"])
@open_to(Role.RIGHTS_ADMIN, Role.RIGHTSHOLDER)
def opt_out(request: HttpRequest, pk: int) -> HttpResponse:
    """GET previews what it touches; POST ends the permission. It says that it is for good."""
    user = signed_in(request)
    row = get_object_or_404(Recording.objects.visible_to(user), pk=pk)
    parties = choices.may_choose_for(user, row, everybody=is_admin(request))
    open_uses = {grant.use for party in parties for grant in choices.open_grants(party, row)}
    uses = [use.value for use in Use if use.value in open_uses]
    asked = {name: request.GET[name] for name in ("use", "party") if name in request.GET}
    form = OptOutForm(request.POST or None, initial=asked, uses=uses, parties=parties)
    if form.is_valid():
        data = form.cleaned_data
        with form.refusals():
            participation.opt_out(row, data["use"], data["party"], user, data["reason"])
            return redirect(row)
    context: dict[str, object] = {"recording": row, "form": form, "uses": uses}
    use = form["use"].value() or (uses[0] if uses else None)
    party = parties.filter(pk=_number(form["party"].value())).first() or parties.first()
    if use in uses and party:
        effect = choices.effect_of_opting_out(row, str(use), party)
        context |= {"effect": effect, "use": Use(str(use)), "party": party}
    return render(request, "rights/opt_out.html", context)


def _number(text: object) -> int:
    return int(str(text)) if str(text).isdecimal() else 0
