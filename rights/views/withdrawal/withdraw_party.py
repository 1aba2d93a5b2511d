"""Previews of what would follow: if an offer is put in force, and if a whole party withdraws."""

from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from portal.models import Role
from portal.views import signed_in
from rights import acts
from rights.access import LOOKERS, is_admin, open_to
from rights.forms.cases import LeaveForm
from rights.grants import preview
from rights.models import Grant, Party
from rights.views import confirming
from rights.withdrawal import withdraw_party


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN, Role.RIGHTSHOLDER)
def party_withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """GET previews what ending everything of a party affects; POST ends it, for good."""
    user = signed_in(request)
    rows = Party.objects.all() if is_admin(request) else user.parties.all()
    party = get_object_or_404(rows, pk=pk)
    form = LeaveForm(request.POST or None, own=not is_admin(request))
    done = confirming.perform_if_valid(
        request,
        form,
        lambda data: acts.leaving_with_all(party, by=user, reason=data["reason"]),
    )
    if done is not None:
        messages.success(request, f"Everything that {party} permitted has ended.")
        if len(done.result) == 1:
            return redirect(done.result[0])
        query = urlencode({"q": party.name})
        return redirect(f"{reverse('rights:cases')}?{query}" if done.result else "rights:cases")
    page = confirming.act_page(acts.leaving_with_all(party, by=user))
    context = page.context
    grants = page.preview.grants if page.preview else []
    context |= {
        "party": party,
        "form": form,
        "grants": grants,
        "uses": list(dict.fromkeys(grant.get_use_display() for grant in grants)),
        "effect": page.preview,
        "agents": withdraw_party.agents(party),
        "back": reverse("rights:party", args=[pk]) if is_admin(request) else reverse("rights:mine"),
    }
    return render(request, "rights/party_leave.html", context, status=confirming.status(form))


@require_safe
@open_to(*LOOKERS)
def grant_gain(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what an offered grant would newly allow, as a part of its page or a page by itself."""
    rows = Grant.objects.visible_to(signed_in(request)).filter(status=Grant.Status.OFFERED)
    row = get_object_or_404(rows.select_related("grantor", "recording", "work"), pk=pk)
    fragment = "#gain" if request.headers.get("HX-Request") else ""
    context = {"grant": row, "gain": preview.gain(row)}
    return render(request, f"rights/grant_gain.html{fragment}", context)
