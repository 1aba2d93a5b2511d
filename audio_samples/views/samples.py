"""Pages and fragments of samples. Each query is limited to what the person may see."""

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
from audio_samples.models import CreditStatement, Sample, SampleQuerySet
from experiments.models import Project, Run
from portal.http import csv_files
from portal.http.playing import audio_response
from portal.http.serving import disposition, ending, gathered, stream_response
from portal.inputs import parameters
from portal.inputs.parameters import Parameters
from portal.inputs.text import matching
from portal.views import signed_in
from rights.usage import crediting

PER_PAGE = 24
# This many downloads of a sample are listed; all are counted.
LISTED = 10
# Of the newest clips, so many are shown on the home page, and of so many it says why they are not.
ON_HOME = 6
EXPLAINED = 50


def visible_sample(request: HttpRequest, pk: int) -> Sample:
    """Return the sample with its credits and holds, or 404."""
    return get_object_or_404(
        clips.with_credits(Sample.objects.visible_to(signed_in(request))), pk=pk
    )


def answer_gone(reason: str) -> HttpResponse:
    """Return 410 with the reason, which no cache may store."""
    response = HttpResponse(reason, status=410, content_type="text/plain; charset=utf-8")
    response.headers["Cache-Control"] = "private, no-store"
    return response


@require_safe
def sample(request: HttpRequest, pk: int) -> HttpResponse:
    sample = visible_sample(request, pk)
    clip = clips.clip(sample, label=sample.name)
    row = clips.ClipRow(key=f"sample:{pk}", title=sample.prompt or sample.name, clips=[clip])
    return render(
        request,
        "audio_samples/sample.html",
        {
            "sample": sample,
            "run": sample.run,
            "project": sample.run.project,
            "clip": clip,
            "row": row,
            "measures": clips.measures(sample),
            "releases": sample.releases.select_related("page", "answered_by"),
            "may_release": releases.may_ask(signed_in(request), sample.run.project),
            "released": sample.releases.live().exists(),
            "downloads": sample.credentials.select_related("by")[:LISTED],
            "download_count": sample.credentials.count(),
            "copy_check": screenings.describe_screening(sample, signed_in(request)),
            "notes": crediting.credit_notes(sample.credit.read()) if sample.credit else None,
        },
    )


@require_safe
def credits_file(request: HttpRequest, pk: int) -> HttpResponse:
    """Send the credit statement as stored, without names; the file's SHA-256 is its digest."""
    sample, statement = _credited(request, pk)
    response = HttpResponse(statement.canonical(), content_type="application/json")
    response["Content-Disposition"] = disposition(_credits_name(sample, "json"), attachment=True)
    response["Cache-Control"] = "private, no-store"
    return response


@require_safe
def credits_table(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Send every recording of the credit statement with its names, as comma-separated values."""
    sample, statement = _credited(request, pk)
    rows = itertools.chain([crediting.TABLE], crediting.table(statement.read()))
    pieces = gathered(csv_files.document(rows))
    return stream_response(request, pieces, "text/csv; charset=utf-8", _credits_name(sample, "csv"))


def _credited(request: HttpRequest, pk: int) -> tuple[Sample, CreditStatement]:
    sample = visible_sample(request, pk)
    if sample.credit is None:
        raise Http404
    return sample, sample.credit


def _credits_name(sample: Sample, extension: str) -> str:
    return f"credits-{sample.run.project.slug}-{sample.run.number}-{sample.pk}.{extension}"


@require_safe
def audio(request: HttpRequest, pk: int) -> HttpResponseBase:
    sample = visible_sample(request, pk)
    if reason := silences.reason_withheld(sample):
        return answer_gone(reason)
    end = ending(sample.file.media_type)
    name = f"{sample.run.project.slug}-{sample.run.number}-{sample.name}-{sample.step}.{end}"
    return audio_response(request, sample.file, name)


@require_safe
def spectrogram(request: HttpRequest, pk: int) -> HttpResponse:
    sample = visible_sample(request, pk)
    if reason := silences.reason_withheld(sample):
        return answer_gone(reason)
    try:
        picture = analysis.spectrogram(sample.file.sha256)
    except FileNotFoundError as error:
        raise Http404 from error
    response = HttpResponse(picture, content_type="image/png")
    response.headers["Cache-Control"] = "private, no-store"
    return response


@require_safe
def project(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project.objects.visible_to(signed_in(request)), slug=slug)
    query = parameters.read_parameters(request)
    filters = {key: query.text(key) for key in ("run", "prompt", "final")}
    samples = filtered(Sample.objects.of_project(project), query)
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
            "project": project,
            "page": page,
            "rows": rows,
            "asked": filters,
            "query": urlencode({key: value for key, value in filters.items() if value}),
        },
    )


def filtered(samples: SampleQuerySet, query: Parameters) -> SampleQuerySet:
    """Return those that `?run=`, `?prompt=` and `?final=` leave, as far as they are given."""
    if (number := query.number("run")) is not None:
        samples = samples.filter(run__number=number)
    if prompt := query.text("prompt"):
        samples = samples.filter(matching(prompt, "prompt"))
    if final := query.text("final"):
        samples = samples.filter(final=final == "yes")
    return samples


@require_safe
def run_samples(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """Show a run's samples, or the `?first=` rows of them; fetched again while the run is open."""
    runs = Run.objects.visible_to(signed_in(request)).select_related("project", "dataset")
    run = get_object_or_404(runs, project__slug=slug, number=number)
    found = clips.of_run(run)
    first = parameters.read_parameters(request).number("first")
    rows = found[:first] if first else found
    context = {
        "run": run,
        "project": run.project,
        "rows": rows,
        "left_out": len(found) - len(rows),
        "silent": clips.silent_rows(rows),
    }
    return render(request, "audio_samples/run_samples.html", context)


@require_safe
def home_fragment(request: HttpRequest) -> HttpResponse:
    """Show the newest clips of the person's projects on their home page, and what is withheld.

    Withheld ones are told of where they would stand among the newest.
    """
    samples = Sample.objects.visible_to(signed_in(request)).filter(final=True)
    newest = list(_newest(samples.audible())[:ON_HOME])
    silent = samples.withheld()
    if len(newest) == ON_HOME:
        silent = silent.filter(created_at__gte=newest[-1].created_at)
    rows = [
        clips.ClipRow(f"home:{sample.pk}", sample.prompt or sample.name, [clips.clip(sample)])
        for sample in newest
    ]
    withheld = silences.by_reason(_newest(silent)[:EXPLAINED])
    context = {"rows": rows, "withheld": withheld, "withheld_count": silent.count()}
    return render(request, "audio_samples/home.html", context)


def _newest(samples: SampleQuerySet) -> SampleQuerySet:
    return clips.with_credits(samples).order_by("-created_at", "-pk")


@require_safe
def grid(request: HttpRequest) -> HttpResponse:
    """Show runs side by side, `?runs=id,id`; those that this person may not see are left out."""
    run_ids = [
        text
        for text in parameters.read_parameters(request).listed("runs", most=12)
        if _is_uuid(text)
    ]
    visible = Run.objects.visible_to(signed_in(request)).select_related("project")
    by_id = {str(run.pk): run for run in visible.filter(pk__in=run_ids)}
    runs = [by_id[str(UUID(text))] for text in run_ids if str(UUID(text)) in by_id]
    mode = "aligned" if parameters.read_parameters(request).text("mode") == "aligned" else "restart"
    rows = clips.grid(runs)
    for row in rows:
        row.mode = mode
    context = {"runs": runs, "rows": rows, "silent": clips.silent_rows(rows), "mode": mode}
    return render(request, "audio_samples/grid.html", context)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
