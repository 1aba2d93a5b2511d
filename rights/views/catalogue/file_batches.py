"""Pages of file batches: send many files, read whose each is, confirm it, see what is left over."""

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import confirmation
from portal.confirmation import PreviewChanged
from portal.http import csv_files
from portal.http.serving import stream_response
from portal.inputs import parameters
from portal.models import Role
from portal.views import signed_in
from rights.access import open_to, page_of
from rights.catalogue import sound_questions
from rights.catalogue.file_batches import batches
from rights.errors import Refused
from rights.forms import VerbForm
from rights.forms.file_batches import ChooseForm, FilesForm
from rights.forms.picks import label
from rights.models import BatchFile, FileBatch, Recording
from rights.views.catalogue.arrivals import question_words
from rights.views.frames import form_page

State = BatchFile.State
# What the page shows together, by the word in its address; the first that is not empty is shown.
GROUPS: Mapping[str, tuple[str, tuple[State, ...]]] = MappingProxyType({
    "matched": ("Matched", (State.MATCHED,)),
    "unmatched": (
        "Not matched", (State.AMBIGUOUS, State.UNMATCHED, State.HAS_FILE, State.LEFT_OUT),
    ),
    "refused": ("Refused", (State.REFUSED,)),
    "attached": ("Attached", (State.ATTACHING, State.ATTACHED)),
    "nothing": (
        "Nothing to do", (State.HERE, State.TWICE, State.PASSED_OVER, State.UNPACKED),
    ),
    "waiting": ("Waiting", (State.WAITING, State.LOOKED_AT)),
})  # fmt: skip


@require_safe
@open_to(Role.RIGHTS_ADMIN)
def file_batches(request: HttpRequest) -> HttpResponse:
    rows = FileBatch.objects.visible_to(signed_in(request)).select_related("made_by")
    page = page_of(request, rows)
    by_batch: dict[int, Counter[str]] = {batch.pk: Counter() for batch in page}
    found = BatchFile.objects.filter(batch__in=by_batch).order_by().values_list("batch", "state")
    for pk, state, count in found.annotate(Count("pk")):
        by_batch[pk][state] = count
    listed = [(batch, _counts(by_batch[batch.pk])) for batch in page]
    return render(request, "rights/file_batches.html", {"page": page, "listed": listed})


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def file_batch_new(request: HttpRequest) -> HttpResponse:
    """Take files, folders and zips. Nothing is attached by sending them."""
    form = FilesForm(request.POST, request.FILES) if request.method == "POST" else FilesForm()
    if form.is_valid():
        with form.refusals():
            return redirect(form.save(by=signed_in(request)))
    context = {
        "form": form,
        "announced": _announced().count(),
        "most_files": settings.DATA_UPLOAD_MAX_NUMBER_FILES,
        "kept_days": batches.KEPT.days,
    }
    return render(request, "rights/file_batch_new.html", context)


@require_safe
@open_to(Role.RIGHTS_ADMIN)
def file_batch(request: HttpRequest, pk: int) -> HttpResponse:
    return _page(request, _batch(request, pk))


@require_safe
@open_to(Role.RIGHTS_ADMIN)
def file_batch_progress(request: HttpRequest, pk: int) -> HttpResponse:
    """Render the part of the page that changes; polled every two seconds while a worker runs."""
    batch = _batch(request, pk)
    response = render(request, "rights/file_batch.html#progress", _frame(batch))
    if batch.state not in batches.AT_WORK:
        # What may be done now is elsewhere on the page.
        response.headers["HX-Refresh"] = "true"
    return response


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def file_batch_attach(request: HttpRequest, pk: int) -> HttpResponse:
    """Attach the files that are ticked, if the matches are still those that the page showed."""
    ticked = parameters.posted_parameters(request).numbers("file")
    return _attach(request, pk, ticked)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def file_batch_attach_all(request: HttpRequest, pk: int) -> HttpResponse:
    """Attach all matched files, if the matches are still those that the page showed."""
    return _attach(request, pk, None)


def _attach(request: HttpRequest, pk: int, files: list[int] | None) -> HttpResponse:
    batch, user = _batch(request, pk), signed_in(request)
    try:
        with confirmation.as_shown(
            confirmation.posted(request),
            by=user,
            name=_attaching(batch),
            facts=lambda: batches.proposals(batch),
        ):
            batches.attach(batch, by=user, files=files)
    except (Refused, PreviewChanged) as error:
        messages.error(request, str(error))
    return redirect(batch)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def file_batch_choose(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Say which recording a file belongs to; it is attached only when that is confirmed."""
    batch, file = _file(request, pk, number)
    form = ChooseForm(request.POST, auto_id=f"id_{file.pk}_%s")
    if form.is_valid():
        with form.refusals():
            form.save(by=signed_in(request), file=file)
            messages.success(request, f"“{file}” is matched with “{file.recording}”.")
            return redirect(_shown_again(request, batch))
    return _page(request, batch, status=422, forms={file.pk: form})


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def file_batch_leave_out(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """Say that a file belongs to no recording here."""
    batch, file = _file(request, pk, number)
    try:
        batches.leave_out(file, by=signed_in(request))
    except Refused as error:
        messages.error(request, str(error))
    return redirect(_shown_again(request, batch))


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def file_batch_again(request: HttpRequest, pk: int) -> HttpResponse:
    """Match once more with what is announced by now."""
    return _act(request, pk, batches.match_again)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def file_batch_discard(request: HttpRequest, pk: int) -> HttpResponse:
    """GET says what is discarded; POST discards it."""
    batch, user = _batch(request, pk), signed_in(request)
    form = VerbForm(request.POST) if request.method == "POST" else VerbForm()
    if form.is_valid():
        with (
            form.refusals(),
            confirmation.as_shown(
                confirmation.posted(request),
                by=user,
                name=_discarding(batch),
                facts=lambda: _discarded(batch),
            ),
        ):
            batches.discard(batch, by=user)
            return redirect(batch)
    count = batches.with_bytes(batch).count()
    files = "1 file" if count == 1 else f"{count:,} files"
    seal = confirmation.seal(by=user, name=_discarding(batch), facts=_discarded(batch))
    return form_page(
        request,
        form,
        heading=f"Discard what is left of {batch}",
        button=f"Discard {files}",
        back=batch.get_absolute_url(),
        words=f"{files} that no recording has will be removed from storage, for good. What is "
        "attached stays, and the list of the files too.",
        # The button is of the colour of harm.
        context={"shown": {"seal": seal}, "ends": {"count": count}},
    )


@require_safe
@open_to(Role.RIGHTS_ADMIN)
def file_batch_left_over(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Stream the files that came to nothing as CSV, each with the reason."""
    batch = _batch(request, pk)
    rows = batch.files.filter(state__in=BatchFile.LEFT_OVER).order_by("path", "pk")
    return stream_response(request, _lines(rows), "text/csv", f"left over of {batch.name}.csv")


def _lines(rows: QuerySet[BatchFile]) -> Generator[bytes, None, None]:
    heads = ["file", "state", "reason", "possible recordings", "bytes", "sha256"]
    yield csv_files.line(heads).encode("utf-8-sig")
    start, size = 0, 500
    while batch := list(rows[start : start + size]):
        recordings = _recordings(batch)
        lines = [
            csv_files.line(
                [
                    row.path,
                    row.get_state_display(),
                    row.sentence,
                    "; ".join(label(one) for one in _possible(row, recordings)),
                    row.size,
                    row.sha256,
                ]
            )
            for row in batch
        ]
        yield "".join(lines).encode()
        start += size


# --- The page of a batch ----------------------------------------------------------------------


def _page(
    request: HttpRequest,
    batch: FileBatch,
    *,
    status: int = 200,
    forms: Mapping[int, ChooseForm] = MappingProxyType({}),
) -> HttpResponse:
    frame = _frame(batch)
    counts: Counter[str] = frame["counts"]
    first = next((name for name in GROUPS if counts[name]), "matched")
    if batch.state == FileBatch.State.ATTACHING:
        first = "attached"
    show = parameters.read_parameters(request).choice("show", tuple(GROUPS), first)
    rows = batch.files.select_related("recording", "decided_by")
    rows = rows.prefetch_related("recording__credits__party")
    if forms:
        # The file that was filled in wrongly, wherever it stands in the list.
        rows = rows.filter(pk__in=forms)
        show = next((name for name, (_, states) in GROUPS.items() if rows[0].state in states), show)
    else:
        rows = rows.filter(state__in=GROUPS[show][1])
    page = page_of(request, rows)
    ready = batch.state == FileBatch.State.READY
    seal = confirmation.seal(
        by=signed_in(request), name=_attaching(batch), facts=batches.proposals(batch)
    )
    context = frame | {
        "groups": [(name, words, counts[name]) for name, (words, _) in GROUPS.items()],
        "show": show,
        "page": page,
        "rows": _rows(list(page), forms) if ready else _rows(list(page), None),
        "ready": ready,
        "shown": {"seal": seal} if ready and counts["matched"] else None,
        "left_over": sum(frame["by_state"][state] for state in BatchFile.LEFT_OVER),
        "discarded_on": batches.discarded_on(batch),
        "with_bytes": batches.with_bytes(batch).count(),
    }
    return render(request, "rights/file_batch.html", context, status=status)


def _frame(batch: FileBatch) -> dict[str, Any]:
    """Return what the page shows of the batch as a whole."""
    by_state = _by_state(batch)
    counts = _counts(by_state)
    looking = batch.state == FileBatch.State.LOOKING
    waiting = by_state[State.WAITING] if looking else by_state[State.ATTACHING]
    total = sum(by_state.values()) if looking else counts["attached"]
    return {
        "batch": batch,
        "counts": counts,
        "by_state": by_state,
        "files": sum(by_state.values()),
        "announced": _announced().count(),
        "at_work": batch.state in batches.AT_WORK,
        "waiting": waiting,
        "total": total,
        "done": total - waiting,
    }


def _by_state(batch: FileBatch) -> Counter[str]:
    rows = batch.files.order_by().values_list("state").annotate(Count("pk"))
    return Counter(dict(rows))


def _counts(by_state: Counter[str]) -> Counter[str]:
    return Counter(
        {name: sum(by_state[state] for state in states) for name, (_, states) in GROUPS.items()}
    )


def _rows(
    files: list[BatchFile], forms: Mapping[int, ChooseForm] | None
) -> list[dict[str, object]]:
    """Return what the table shows of each file; without `forms` nothing can be decided."""
    recordings = _recordings(files)
    questions = _questions(files)
    return [
        {
            "file": file,
            "possible": [(one, label(one)) for one in _possible(file, recordings)],
            "questions": questions.get(file.recording_id or 0, ()),
            "open": forms is not None and file.pk in forms,
            "form": None
            if forms is None or file.state not in BatchFile.UNDECIDED
            else forms.get(file.pk) or ChooseForm(auto_id=f"id_{file.pk}_%s"),
        }
        for file in files
    ]


def _recordings(files: list[BatchFile]) -> dict[int, Recording]:
    pks = {pk for file in files for pk in file.candidates}
    return Recording.objects.prefetch_related("credits__party").in_bulk(pks)


def _possible(file: BatchFile, recordings: Mapping[int, Recording]) -> list[Recording]:
    undecided = file.state in (State.AMBIGUOUS, State.LEFT_OUT)
    found = [recordings[pk] for pk in file.candidates if pk in recordings]
    return found if undecided else []


def _questions(files: list[BatchFile]) -> dict[int, list[object]]:
    attached = [file.recording_id for file in files if file.state == State.ATTACHED]
    found: dict[int, list[object]] = {}
    for question in sound_questions.open_questions().filter(recording__in=attached):
        found.setdefault(question.recording_id, []).append(question_words(question))
    return found


def _announced() -> QuerySet[Recording]:
    return Recording.objects.filter(audio=None)


def _attaching(batch: FileBatch) -> str:
    return f"files.attach:{batch.pk}"


def _discarding(batch: FileBatch) -> str:
    return f"files.discard:{batch.pk}"


def _discarded(batch: FileBatch) -> list[int]:
    return sorted(batches.with_bytes(batch).values_list("pk", flat=True))


def _act(request: HttpRequest, pk: int, verb: Callable[..., FileBatch]) -> HttpResponse:
    batch = _batch(request, pk)
    try:
        verb(batch, by=signed_in(request))
    except Refused as error:
        messages.error(request, str(error))
    return redirect(batch)


def _shown_again(request: HttpRequest, batch: FileBatch) -> str:
    """Return the address of the list from which a file was decided about."""
    posted = parameters.posted_parameters(request)
    show, page = posted.choice("show", tuple(GROUPS)), posted.page()
    query = f"?show={show}&page={page}" if show else ""
    return f"{reverse('rights:file_batch', args=[batch.pk])}{query}"


def _batch(request: HttpRequest, pk: int) -> FileBatch:
    rows = FileBatch.objects.visible_to(signed_in(request)).select_related("made_by")
    return get_object_or_404(rows, pk=pk)


def _file(request: HttpRequest, pk: int, number: int) -> tuple[FileBatch, BatchFile]:
    batch = _batch(request, pk)
    return batch, get_object_or_404(batch.files, pk=number)
