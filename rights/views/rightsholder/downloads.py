"""What an artist can download: statements of use, and everything that is stored about them."""

from datetime import date

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from portal.http.serving import disposition, gathered, stream_response
from portal.inputs import parameters
from portal.views import signed_in
from rights.forms.rightsholder import PeriodForm
from rights.models import Party
from rights.rightsholder import gdpr_export, overview
from rights.usage import statements
from rights.usage.statements import Statement
from rights.views.rightsholder.overview import holders


@require_safe
@holders
def files(request: HttpRequest) -> HttpResponse:
    """Choose a party and a period; the statement is there as a page, a table or data."""
    user = signed_in(request)
    parties = overview.parties_of(user)
    form = PeriodForm(parameters.read_parameters(request).data())
    chosen = next(
        (
            party
            for party in parties
            if str(party.pk) == parameters.read_parameters(request).text("party")
        ),
        parties[0] if parties else None,
    )
    context: dict[str, object] = {
        "tab": "files",
        "parties": parties,
        "party": chosen,
        "form": form,
        "period": parameters.read_parameters(request).encoded(),
    }
    if chosen is not None and (not form.is_bound or form.is_valid()):
        context["statement"] = statements.statement_for(chosen, *_days(form))
    return render(request, "rights/mine_statements.html", context)


def _days(form: PeriodForm) -> tuple[date | None, date | None]:
    if not form.is_bound:
        return None, None
    return form.cleaned_data["first"], form.cleaned_data["last"]


def _statement(request: HttpRequest, pk: int) -> Statement | None:
    """Return the party's statement of the period in the URL; None if its days are invalid."""
    party = get_object_or_404(Party, pk=pk, people=signed_in(request))
    form = PeriodForm(parameters.read_parameters(request).data())
    if form.is_bound and not form.is_valid():
        return None
    return statements.statement_for(party, *_days(form))


@require_safe
@holders
def statement(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one statement as a page that prints well."""
    statement = _statement(request, pk)
    if statement is None:
        return _bad_days()
    return render(request, "rights/mine_statement.html", {"statement": statement})


@require_safe
@holders
def statement_csv(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stream the same lines as comma-separated values."""
    statement = _statement(request, pk)
    if statement is None:
        return _bad_days()
    lines = gathered(statements.as_csv(statement))
    return stream_response(request, lines, "text/csv; charset=utf-8", _name(statement, "csv"))


@require_safe
@holders
def statement_json(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the same lines as JSON; decimals are text."""
    statement = _statement(request, pk)
    if statement is None:
        return _bad_days()
    response = JsonResponse(
        statements.as_json(statement), json_dumps_params={"ensure_ascii": False}
    )
    response.headers["Content-Disposition"] = disposition(_name(statement, "json"), attachment=True)
    response.headers["Cache-Control"] = "private, no-store"
    return response


@require_safe
@holders
def everything(request: HttpRequest) -> HttpResponseBase:
    """Stream all that is stored about the user as one JSON document, written as it is read."""
    user = signed_in(request)
    name = f"backline-{user.username}-{timezone.now():%Y-%m-%d}.json"
    pieces = gdpr_export.document(user)
    return stream_response(request, gathered(pieces), "application/json", name)


def _name(statement: Statement, extension: str) -> str:
    return f"statement-{statement.party.name}-{statement.made_at:%Y-%m-%d}.{extension}"


def _bad_days() -> HttpResponse:
    return HttpResponse(
        "Give days as 2026-12-31, the first before the last.",
        status=422,
        content_type="text/plain; charset=utf-8",
    )
