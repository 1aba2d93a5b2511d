"""The catalogue as streamed files, and what the portal declares to machines about it."""

from collections.abc import Callable, Iterator

from django.contrib.auth.decorators import login_not_required
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from portal.http.serving import gathered, stream_response
from portal.inputs import parameters
from portal.models import Role
from portal.views import signed_in
from rights.access import open_to
from rights.exchange.exporting.ern import as_ern
from rights.exchange.exporting.writing import as_csv, as_json, as_participation
from rights.grants import choices
from rights.models import Party, Recording, RecordingQuerySet
from rights.tdm import signals

EXPORTERS = (Role.RIGHTS_ADMIN, Role.OPERATOR)
FORMATS: dict[str, tuple[str, Callable[[RecordingQuerySet], Iterator[str]]]] = {
    "csv": ("text/csv", as_csv),
    "json": ("application/json", as_json),
    "xml": ("application/xml", as_ern),
}


@require_safe
@open_to(*EXPORTERS, Role.RIGHTSHOLDER)
def exports(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    rows = _rows(request)
    parties = Party.objects.all() if user.has_role(*EXPORTERS) else user.parties.all()
    context = {
        "query": parameters.read_parameters(request).text("q"),
        "count": rows.count(),
        "parties": parties.filter(grants__isnull=False).distinct().order_by("name"),
        "in_lab": user.has_role(*EXPORTERS),
    }
    return render(request, "rights/exports.html", context)


@require_safe
@open_to(*EXPORTERS, Role.RIGHTSHOLDER)
def export(request: HttpRequest, extension: str) -> HttpResponseBase:
    """Stream the recordings that `?q=` finds, as CSV, JSON or an ERN message."""
    if extension not in FORMATS:
        raise Http404
    media_type, write = FORMATS[extension]
    pieces = gathered(write(_rows(request)))
    return stream_response(request, pieces, media_type, f"recordings.{extension}")


@require_safe
@open_to(*EXPORTERS, Role.RIGHTSHOLDER)
def export_participation(request: HttpRequest) -> HttpResponseBase:
    """Stream the yes or no of `?party=` to each use of its recordings, by ISRC."""
    user = signed_in(request)
    parties = Party.objects.all() if user.has_role(*EXPORTERS) else user.parties.all()
    party = get_object_or_404(parties, pk=parameters.read_parameters(request).number("party"))
    pieces = gathered(as_participation(_rows(request), party))
    return stream_response(request, pieces, "text/csv", f"participation of {party}.csv")


@require_safe
def training_mining(request: HttpRequest, pk: int) -> HttpResponse:
    """Return the recording's CAWG assertion, from the lab's current grants."""
    row = get_object_or_404(Recording.objects.visible_to(signed_in(request)), pk=pk)
    return JsonResponse(signals.assertion(row))


@login_not_required
@require_safe
def tdmrep(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    """Tell crawlers that all of this site is reserved."""
    return JsonResponse(signals.site_rules(), safe=False)


def _rows(request: HttpRequest) -> RecordingQuerySet:
    """Return what `?q=` finds; for a rightsholder without another role, only what is theirs."""
    user = signed_in(request)
    rows = Recording.objects.all()
    if not user.has_role(*EXPORTERS):
        own = Recording.objects.filter(
            Q(splits__lines__party__people=user) | Q(works__splits__lines__party__people=user)
        )
        rows = rows.filter(pk__in=own.values("pk"))
    matches = choices.search(rows, parameters.read_parameters(request).text("q"))
    return Recording.objects.filter(pk__in=matches.order_by().values("pk"))
