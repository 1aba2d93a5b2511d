"""Pages of imports: send a file, say how to read it, see what it would change, enter it."""

from collections.abc import Callable, Iterator

from django.contrib import messages
from django.db import models, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import confirmation
from portal.confirmation import PreviewChanged
from portal.database import commit_order
from portal.http import csv_files
from portal.http.serving import gathered, stream_response
from portal.inputs import parameters
from portal.models import Role, User
from portal.views import signed_in
from rights.access import open_to, page_of
from rights.errors import Refused
from rights.exchange.importing import jobs
from rights.exchange.importing.previews import preview_of
from rights.forms.imports import (
    CheckForm,
    ImportForm,
    PartiesForm,
    ReadingForm,
    SignalForm,
    reading_asked,
)
from rights.models import ImportJob, ImportProblem, Party, Signal
from rights.tdm import signals as noting
from rights.views import confirming
from rights.views.frames import form_page

State = ImportJob.State
IN_PROGRESS = (State.CHECKING, State.WAITING, State.RUNNING)


@require_safe
@open_to(Role.RIGHTS_ADMIN)
def imports(request: HttpRequest) -> HttpResponse:
    rows = ImportJob.objects.visible_to(signed_in(request)).select_related("made_by")
    return render(request, "rights/imports.html", {"page": page_of(request, rows)})


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def import_new(request: HttpRequest) -> HttpResponse:
    form = ImportForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        with form.refusals():
            return redirect(form.save(by=signed_in(request)))
    context = {
        "form": form,
        "heading": "New import",
        "button": "Send",
        "back": reverse("rights:imports"),
    }
    return render(request, "rights/form.html", context)


@require_safe
@open_to(Role.RIGHTS_ADMIN)
def import_job(request: HttpRequest, pk: int) -> HttpResponse:
    job = _job(request, pk)
    return render(request, "rights/import.html", _context(request, job))


@require_safe
@open_to(Role.RIGHTS_ADMIN)
def import_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Render the part of the page that changes; polled every two seconds while a worker runs."""
    job = _job(request, pk)
    response = render(request, "rights/import.html#progress", _context(request, job))
    if job.state not in IN_PROGRESS:
        # The buttons for what may be done now are elsewhere on the page.
        response.headers["HX-Refresh"] = "true"
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def import_check(request: HttpRequest, pk: int) -> HttpResponse:
    """GET asks which column holds what; POST has the file checked. It enters nothing."""
    job = _job(request, pk)
    preview = None
    if job.format in jobs.TABLES:
        sent = (
            parameters.posted_parameters(request)
            if request.method == "POST"
            else parameters.read_parameters(request)
        )
        reading = reading_asked(sent.given(*ReadingForm.base_fields), jobs.reading_of(job))
        try:
            preview = preview_of(job, reading)
        except FileNotFoundError:
            messages.error(request, "The file is missing from storage.")
            return redirect(job)
    form = CheckForm(request.POST or None, job=job, preview=preview)
    problem = preview.problem if preview else ""
    if request.method == "POST" and not problem and form.is_valid():
        with form.refusals():
            return redirect(form.save(by=signed_in(request)))
    context = {
        "job": job,
        "form": form,
        "preview": preview,
        "reading_form": ReadingForm(preview=preview) if preview else None,
    }
    status = 422 if problem or form.errors else 200
    return render(request, "rights/import_check.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def import_parties(request: HttpRequest, pk: int) -> HttpResponse:
    """GET lists the parties that would be added, with like names; POST says which of them are
    parties of the catalogue, and has the file checked again."""
    job, user = _job(request, pk), signed_in(request)
    page = page_of(request, job.new_parties.order_by("similar_first", "row", "pk"))
    chosen = jobs.same_parties(job)
    found = Party.objects.in_bulk(chosen.values())
    same = {name: found[number] for name, number in chosen.items()}
    form = PartiesForm(request.POST or None, new_parties=list(page), same=same)
    if form.is_valid():
        with form.refusals():
            return redirect(form.save(job, by=user))
    context = {
        "job": job,
        "page": page,
        "form": form,
        "may_identify": job.state == State.CHECKED,
    }
    status = 422 if form.errors else 200
    return render(request, "rights/import_parties.html", context, status=status)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def import_start(request: HttpRequest, pk: int) -> HttpResponse:
    """Enter the checked file, if its check is still the one that the page showed."""
    seal, user = confirmation.posted(request), signed_in(request)

    def start(job: ImportJob, *, by: User) -> ImportJob:
        with transaction.atomic():
            commit_order.moment()
            job.refresh_from_db()
            facts = _check_facts(job)
            started = jobs.start(job, by=by)
            confirmation.check(seal, by=user, name=_start_of(job), facts=facts)
        return started

    return _act(request, pk, start)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def import_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    return _act(request, pk, jobs.cancel)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def import_resume(request: HttpRequest, pk: int) -> HttpResponse:
    return _act(request, pk, jobs.resume)


def _act(request: HttpRequest, pk: int, verb: Callable[..., ImportJob]) -> HttpResponse:
    job = _job(request, pk)
    by: User = signed_in(request)
    try:
        verb(job, by=by)
    except (Refused, PreviewChanged) as error:
        messages.error(request, str(error))
    return redirect(job)


@require_safe
@open_to(Role.RIGHTS_ADMIN)
def import_problems(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stream all problems as CSV, each with what a reader of the file needs to find the row."""
    job = _job(request, pk)
    lines = csv_files.document(_problem_lines(job.problems.order_by("row", "pk")))
    return stream_response(request, gathered(lines), "text/csv", f"problems of {job.name}.csv")


def _problem_lines(rows: models.QuerySet[ImportProblem]) -> Iterator[list[object]]:
    yield ["row", "field", "problem", "kind"]
    start, size = 0, 1_000
    while batch := list(rows[start : start + size]):
        for problem in batch:
            kind = "warning" if problem.warning else "problem"
            yield [problem.row, problem.field, problem.sentence, kind]
        start += size


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def signal_new(request: HttpRequest) -> HttpResponse:
    """Note what a site or a file declares to machines. It gives no permission; if it ends some,
    that is shown first."""
    form, user = SignalForm(request.POST or None, request.FILES or None), signed_in(request)
    done, context = confirming.perform_or_preview(request, form, lambda _: form.act(by=user))
    if done is not None:
        denies, message = noting.in_words(*done.result)
        (messages.success if denies else messages.warning)(request, message)
        return redirect("rights:signals")
    return form_page(
        request,
        form,
        heading="Note a signal",
        button="Note it, and end what is listed" if context else "Note it",
        back=reverse("rights:signals"),
        context=context,
    )


@require_safe
@open_to(Role.RIGHTS_ADMIN, Role.OPERATOR)
def signals(request: HttpRequest) -> HttpResponse:
    rows = Signal.objects.visible_to(signed_in(request)).select_related("recording", "party")
    context = {
        "page": page_of(request, rows),
        "is_admin": signed_in(request).has_role(Role.RIGHTS_ADMIN),
    }
    return render(request, "rights/signals.html", context)


def _job(request: HttpRequest, pk: int) -> ImportJob:
    rows = ImportJob.objects.visible_to(signed_in(request)).select_related("made_by")
    return get_object_or_404(rows, pk=pk)


def _start_of(job: ImportJob) -> str:
    return f"import.start:{job.pk}"


def _check_facts(job: ImportJob) -> list[object]:
    """Return what the page shows of the check: how the file was read, and what it would change."""
    counts = [job.rows, job.added, job.changed, job.unchanged, job.refused]
    return [str(job.file_id), str(job.format), job.options, job.columns, counts]


def _context(request: HttpRequest, job: ImportJob) -> dict[str, object]:
    problems = job.problems.all()
    kind = parameters.read_parameters(request).choice("kind", ("problem", "warning"))
    if kind:
        problems = problems.filter(warning=kind == "warning")
    may_start = job.state == State.CHECKED and job.added + job.changed > 0
    user = signed_in(request)
    seal = confirmation.seal(by=user, name=_start_of(job), facts=_check_facts(job))
    return {
        "job": job,
        "shown": {"seal": seal} if may_start else None,
        "says_no": job.format == ImportJob.Format.PARTICIPATION,
        "at_work": job.state in IN_PROGRESS,
        "may_check": job.state in (State.UPLOADED, State.CHECKED, State.FAILED) and not job.done,
        "may_start": may_start,
        "may_cancel": job.state in IN_PROGRESS,
        "may_resume": job.state == State.CANCELLED or (job.state == State.FAILED and job.done > 0),
        "page": page_of(request, problems),
        "kind": kind,
        "new_parties": job.new_parties.count(),
        "like_others": job.new_parties.filter(similar_first=0).order_by("row", "pk")[:10],
        "same": len(jobs.same_parties(job)),
        "dry": job.state in (State.UPLOADED, State.CHECKING, State.CHECKED),
    }
