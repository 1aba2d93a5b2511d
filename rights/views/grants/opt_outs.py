"""Pages that opt a recording out of a use: the preview of what would end, and the act."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from portal.confirmation import REHEARSAL_REASON, Act
from portal.models import Role, User
from portal.views import signed_in
from rights import acts
from rights.access import is_admin, open_to
from rights.forms import OptOutForm
from rights.grants import choices
from rights.models import Party, Recording, Use
from rights.views import confirming
from rights.withdrawal import impact


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN, Role.RIGHTSHOLDER)
def opt_out(request: HttpRequest, pk: int) -> HttpResponse:
    """GET asks for the use and the holder, with neither preselected; POST ends the permission that
    was shown."""
    row, form = _opting_out(request, pk)
    user = signed_in(request)
    if (
        confirming.perform_if_valid(request, form, lambda data: _opt_out_act(row, user, **data))
        is not None
    ):
        return redirect(row)
    return _opt_out_page(request, row, form)


@require_POST
@open_to(Role.RIGHTS_ADMIN, Role.RIGHTSHOLDER)
def opt_out_preview(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what an opt-out would end, before it is confirmed. Nothing is stored."""
    row, form = _opting_out(request, pk, look=True)
    return _opt_out_page(request, row, form)


def _opting_out(
    request: HttpRequest, pk: int, *, look: bool = False
) -> tuple[Recording, OptOutForm]:
    user = signed_in(request)
    row = get_object_or_404(Recording.objects.visible_to(user), pk=pk)
    parties = choices.may_choose_for(user, row, sees_all=is_admin(request))
    allowed = {grant.use for party in parties for grant in choices.open_grants(party, row)}
    uses = [use for use in Use if use.value in allowed]
    return row, OptOutForm(request.POST or None, uses=uses, parties=parties, preview_only=look)


def _opt_out_act(
    row: Recording, by: User, *, use: str, party: Party, reason: str
) -> Act[impact.Effect, None]:
    return acts.opting_out(row, Use(use), [party], by=by, reason=reason or REHEARSAL_REASON)


def _opt_out_page(request: HttpRequest, row: Recording, form: OptOutForm) -> HttpResponse:
    """Render the page, with the effect of the opt-out if use and holder are chosen."""
    context: dict[str, object] = {"recording": row, "form": form}
    if form.is_bound and (chosen := form.chosen()):
        use, party = chosen
        act = _opt_out_act(row, signed_in(request), use=use, party=party, reason="")
        page = confirming.act_page(act)
        context |= page.context | {"effect": page.preview, "use": use, "party": party}
    return render(request, "rights/opt_out.html", context, status=confirming.status(form))
