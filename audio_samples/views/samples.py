"""Pages and fragments of samples. Everything is fetched through what the person may see."""

import itertools
from urllib.parse import urlencode
from uuid import UUID

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from audio_samples import analysis, clips, releases
from audio_samples.audibility import silences
from audio_samples.copy_check import screenings
from audio_samples.models import CreditStatement, Sample
from experiments.models import Project, Run
from portal import storage
from portal.http import csv_files
from portal.http.serving import disposition, ending, gathered, ranged, streamed
from portal.inputs import parameters
from portal.views import signed_in
from rights.usage import crediting

PER_PAGE = 24
# So many of the times that a sample was downloaded are listed; all are counted.
LISTED = 10


def visible_sample(request: HttpRequest, pk: int) -> Sample:
    """The sample with its credits and holds, or 404."""
    return get_object_or_404(
        clips.with_credits(Sample.objects.visible_to(signed_in(request))), pk=pk
    )


def answer_gone(reason: str) -> HttpResponse:
    """410 with the sentence; kept nowhere on the way."""
    refusal = HttpResponse(reason, status=410, content_type="text/plain; charset=utf-8")
    refusal.headers["Cache-Control"] = "private, no-store"
    return refusal


@require_safe
def sample(request: HttpRequest, pk: int) -> HttpResponse:
    found = visible_sample(request, pk)
    clip = clips.clip(found, label=found.name)
    row = clips.ClipRow(key=f"sample:{pk}", title=found.prompt or found.name, clips=[clip])
    return render(
        request,
        "audio_samples/sample.html",
        {
            "sample": found,
            "run": found.run,
            "project": found.run.project,
            "clip": clip,
            "row": row,
            "measures": clips.measures(found),
            "releases": found.releases.select_related("page", "answered_by"),
            "may_release": releases.may_ask(signed_in(request), found.run.project),
            "released": found.releases.live().exists(),
            "downloads": found.credentials.select_related("by")[:LISTED],
            "download_count": found.credentials.count(),
            "copy_check": screenings.describe_screening(found, signed_in(request)),
            "notes": crediting.notes(found.credit.read()) if found.credit else None,
        },
    )


@require_safe
def credits_file(request: HttpRequest, pk: int) -> HttpResponse:
    """The credit statement as it is kept, without names; the file's SHA-256 is its digest."""
    found, statement = _credited(request, pk)
    answer = HttpResponse(statement.canonical(), content_type="application/json")
    answer["Content-Disposition"] = disposition(_credits_name(found, "json"), attachment=True)
    answer["Cache-Control"] = "private, no-store"
    return answer


@require_safe
def credits_table(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Every recording of the credit statement with its names, as comma-separated values."""
    found, statement = _credited(request, pk)
    rows = itertools.chain([crediting.TABLE], crediting.table(statement.read()))
    pieces = gathered(csv_files.line(row) for row in rows)
    return streamed(request, pieces, "text/csv; charset=utf-8", _credits_name(found, "csv"))


def _credited(request: HttpRequest, pk: int) -> tuple[Sample, CreditStatement]:
    found = visible_sample(request, pk)
    if found.credit is None:
        raise Http404
    return found, found.credit


def _credits_name(found: Sample, ending: str) -> str:
    return f"credits-{found.run.project.slug}-{found.run.number}-{found.pk}.{ending}"


@require_safe
def audio(request: HttpRequest, pk: int) -> HttpResponseBase:
    found = visible_sample(request, pk)
    if reason := silences.reason_withheld(found):
        return answer_gone(reason)
    end = ending(found.audio.media_type)
    name = f"{found.run.project.slug}-{found.run.number}-{found.name}-{found.step}.{end}"
    return ranged(request, found.audio, name)


@require_safe
def spectrogram(request: HttpRequest, pk: int) -> HttpResponse:
    found = visible_sample(request, pk)
    if reason := silences.reason_withheld(found):
        return answer_gone(reason)
    try:
        with storage.open_blob(found.audio_id) as file:
            picture = analysis.spectrogram(file)
    except FileNotFoundError as error:
        raise Http404 from error
    response = HttpResponse(picture, content_type="image/png")
    response.headers["Cache-Control"] = "private, no-store"
    return response


@require_safe
def project(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Project.objects.visible_to(signed_in(request)), slug=slug)
    query = parameters.read_parameters(request)
    asked = {key: query.text(key) for key in ("run", "prompt", "final")}
    samples = Sample.objects.filter(run__project=found)
    if (number := query.number("run")) is not None:
        samples = samples.filter(run__number=number)
    if asked["prompt"]:
        samples = samples.filter(prompt__icontains=asked["prompt"])
    if asked["final"]:
        samples = samples.filter(final=asked["final"] == "yes")
    newest = clips.with_credits(samples).order_by("-created_at", "-pk")
    page = Paginator(newest, PER_PAGE).get_page(query.page())
    rows = [
        clips.ClipRow(f"list:{sample.pk}", sample.prompt or sample.name, [clips.clip(sample)])
        for sample in page
    ]
    return render(
        request,
        "audio_samples/project.html",
        {
            "project": found,
            "page": page,
            "rows": rows,
            "asked": asked,
            "query": urlencode({key: value for key, value in asked.items() if value}),
        },
    )


@require_safe
def run_samples(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The run page's samples; fetched every few seconds while the run is open."""
    runs = Run.objects.visible_to(signed_in(request)).select_related("project", "dataset")
    run = get_object_or_404(runs, project__slug=slug, number=number)
    return render(
        request,
        "audio_samples/run_samples.html",
        {"run": run, "project": run.project, "rows": clips.of_run(run)},
    )


@require_safe
def home_fragment(request: HttpRequest) -> HttpResponse:
    """The newest clips of the person's projects, for their home page."""
    samples = Sample.objects.visible_to(signed_in(request)).audible().filter(final=True)
    newest = clips.with_credits(samples).order_by("-created_at", "-pk")[:6]
    rows = [
        clips.ClipRow(f"home:{sample.pk}", sample.prompt or sample.name, [clips.clip(sample)])
        for sample in newest
    ]
    return render(request, "audio_samples/home.html", {"rows": rows})


@require_safe
def grid(request: HttpRequest) -> HttpResponse:
    """Runs side by side, `?runs=id,id`; those that this person may not see are left out."""
    asked = [
        text
        for text in parameters.read_parameters(request).listed("runs", most=12)
        if _is_uuid(text)
    ]
    visible = Run.objects.visible_to(signed_in(request)).select_related("project")
    by_id = {str(run.pk): run for run in visible.filter(pk__in=asked)}
    runs = [by_id[str(UUID(text))] for text in asked if str(UUID(text)) in by_id]
    mode = "aligned" if parameters.read_parameters(request).text("mode") == "aligned" else "restart"
    rows = clips.grid(runs)
    for row in rows:
        row.mode = mode
    return render(request, "audio_samples/grid.html", {"runs": runs, "rows": rows, "mode": mode})


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
