"""What an artist takes away: statements of use, and everything that is kept about them."""

from datetime import date

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from portal import asking
from portal.serving import disposition, gathered, streamed
from portal.views import signed_in
from rights import disclosure, mine, statements
from rights.forms.mine import PeriodForm
from rights.models import Party
from rights.statements import Statement
from rights.views.mine import holders


@require_safe
@holders
def files(request: HttpRequest) -> HttpResponse:
    """Choose a party and a period; each statement as a page, a table or data."""
    user = signed_in(request)
    parties = mine.parties_of(user)
    form = PeriodForm(asking.of(request).data())
    chosen = next(
        (one for one in parties if str(one.pk) == asking.of(request).text("party")),
        parties[0] if parties else None,
    )
    context: dict[str, object] = {
        "tab": "files",
        "parties": parties,
        "party": chosen,
        "form": form,
        "period": asking.of(request).encoded(),
    }
    if chosen is not None and (not form.is_bound or form.is_valid()):
        context["statement"] = statements.of(chosen, *_days(form))
    return render(request, "rights/mine_files.html", context)


def _days(form: PeriodForm) -> tuple[date | None, date | None]:
    if not form.is_bound:
        return None, None
    return form.cleaned_data["first"], form.cleaned_data["last"]


def _statement(request: HttpRequest, pk: int) -> Statement | None:
    """The party's statement of the period in the address; None for days that are none."""
    party = get_object_or_404(Party, pk=pk, people=signed_in(request))
    form = PeriodForm(asking.of(request).data())
    if form.is_bound and not form.is_valid():
        return None
    return statements.of(party, *_days(form))


@require_safe
@holders
def statement(request: HttpRequest, pk: int) -> HttpResponse:
    """One statement as a page that prints well."""
    found = _statement(request, pk)
    if found is None:
        return _bad_days()
    return render(request, "rights/mine_statement.html", {"statement": found})


@require_safe
@holders
def statement_csv(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The same lines as comma-separated values."""
    found = _statement(request, pk)
    if found is None:
        return _bad_days()
    lines = gathered(statements.as_csv(found))
    return streamed(request, lines, "text/csv; charset=utf-8", _name(found, "csv"))


@require_safe
@holders
def statement_json(request: HttpRequest, pk: int) -> HttpResponse:
    """The same lines as JSON; decimals are text."""
    found = _statement(request, pk)
    if found is None:
        return _bad_days()
    response = JsonResponse(statements.as_json(found), json_dumps_params={"ensure_ascii": False})
    response.headers["Content-Disposition"] = disposition(_name(found, "json"), attachment=True)
    response.headers["Cache-Control"] = "private, no-store"
    return response


@require_safe
@holders
def everything(request: HttpRequest) -> HttpResponseBase:
    """Everything that is kept about me, as one JSON document, written as it is read."""
    user = signed_in(request)
    name = f"backline-{user.username}-{timezone.now():%Y-%m-%d}.json"
    pieces = disclosure.document(user)
    return streamed(request, gathered(pieces), "application/json", name)


def _name(found: Statement, ending: str) -> str:
    return f"statement-{found.party.name}-{found.made_at:%Y-%m-%d}.{ending}"


def _bad_days() -> HttpResponse:
    return HttpResponse(
        "Give days as 2026-12-31, the first before the last.",
        status=422,
        content_type="text/plain; charset=utf-8",
    )
