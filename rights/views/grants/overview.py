"""The start page of rights: what waits for an answer, and what has ended lately."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from portal.models import Role
from portal.views import signed_in
from rights.access import READERS, is_admin, open_to
from rights.models import Grant, Mandate, Party, Recording, SplitLine
from rights.views.catalogue import relations
from rights.withdrawal import holds


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
    """Return what waits for a rights admin; others see the same, without the buttons."""
    lines = SplitLine.objects.select_related("party", "sheet__recording", "sheet__work")
    mandates = Mandate.objects.visible_to(signed_in(request)).select_related("holder", "agent")
    offered = Grant.objects.visible_to(signed_in(request)).filter(status=Grant.Status.OFFERED)
    return {
        "mandates": mandates.filter(approved_at=None, revoked_at=None)[:10],
        "offered": offered.select_related("grantor", "recording", "work")[:10],
        "offered_count": offered.count(),
        "disputed": lines.filter(sheet__status="disputed").exclude(disputed_at=None)[:10],
        "unanswered": lines.filter(sheet__status="confirming", confirmed_at=None)[:10],
        "ended": holds.latest_endings(),
    } | relations.waiting()
