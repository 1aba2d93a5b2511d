"""Works and recordings with their files and stems: looking, searching, adding."""

from django.contrib import messages
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal import audit
from portal.models import Role
from portal.serving import ranged
from portal.views import signed_in
from rights import choices, derivations, opt_outs, sound_questions
from rights.forms import (
    AttachForm,
    CreditForm,
    FileForm,
    RelationForm,
    StemForm,
    UploadForm,
    VerbForm,
    WorkForm,
)
from rights.models import Recording, Stem, Work
from rights.views.access import READERS, is_admin, open_to, page_of
from rights.views.frames import form_page


@require_safe
@open_to(*READERS)
def works(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    rows = Work.objects.visible_to(signed_in(request)).filter(
        models.Q(title__icontains=query) | models.Q(iswc__icontains=query)
    )
    rows = rows.prefetch_related("credits__party", choices.current_split("splits"))
    context = {"page": page_of(request, rows), "query": query, "is_admin": is_admin(request)}
    return render(request, "rights/works.html", context)


@require_safe
def work(request: HttpRequest, pk: int) -> HttpResponse:
    user = signed_in(request)
    row = get_object_or_404(Work.objects.visible_to(user), pk=pk)
    context = {
        "work": row,
        "recordings": Recording.objects.visible_to(user).filter(works=row),
        "credits": row.credits.select_related("party").order_by("role", "party__name"),
        "credit_form": CreditForm(),
        "is_admin": is_admin(request),
    }
    return render(request, "rights/work.html", context | choices.splits_seen_by(user, row))


@require_http_methods(["GET", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def work_new(request: HttpRequest) -> HttpResponse:
    form = WorkForm(request.POST or None)
    if form.is_valid():
        with form.refusals():
            return redirect(form.save(by=signed_in(request)))
    back = reverse("rights:works")
    return form_page(request, form, heading="New work", button="Add work", back=back)


@require_safe
@open_to(*READERS)
def recordings(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    rows = choices.search(Recording.objects.visible_to(signed_in(request)), query)
    rows = rows.prefetch_related("credits__party", "works", choices.current_split("splits"))
    shown = page_of(request, rows)
    context = {
        "page": shown,
        "query": query,
        "training": choices.training_words(list(shown.object_list)),
        "is_admin": is_admin(request),
    }
    return render(request, "rights/recordings.html", context)


@require_safe
def recording(request: HttpRequest, pk: int) -> HttpResponse:
    return page(request, _recording(request, pk))


def page(
    request: HttpRequest, row: Recording, *, status: int = 200, **forms: VerbForm
) -> HttpResponse:
    """The recording's page; `forms` are those that were filled in wrongly, by their names."""
    user = signed_in(request)
    context = {
        "recording": row,
        "works": row.works.prefetch_related(choices.current_split("splits")),
        "stems": row.stems.all(),
        "tracks": row.tracks.select_related("release").order_by("release__title"),
        "credits": row.credits.select_related("party").order_by("role", "party__name"),
        "grants": choices.grants_touching(row, user),
        "uses": choices.per_use(row),
        "opt_outs": opt_outs.told(row.opt_outs.all()),
        "seen_grants": set(row.grants.visible_to(user).values_list("pk", flat=True)),
        "holds": row.holds.select_related("party").order_by("-at")[:20],
        "history": audit.history(row)[:20],
        "credit_form": CreditForm(),
        "attach_form": AttachForm(),
        "file_form": FileForm(),
        "stem_form": StemForm(),
        "relation_form": RelationForm(),
        "relations": derivations.of(row),
        "sound_questions": sound_questions.open_questions().filter(recording=row),
        "is_admin": is_admin(request),
        "reads_all": user.has_role(*READERS),
    }
    context |= choices.splits_seen_by(user, row) | forms
    return render(request, "rights/recording.html", context, status=status)


@require_safe
def recording_audio(request: HttpRequest, pk: int) -> HttpResponseBase:
    rows = Recording.objects.visible_to(signed_in(request)).select_related("audio")
    row = get_object_or_404(rows, pk=pk)
    if row.audio is None:
        raise Http404
    return ranged(request, row.audio, f"{row.title}.{row.format.lower()}")


@require_http_methods(["GET", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def upload(request: HttpRequest) -> HttpResponse:
    form = UploadForm(request.POST or None, request.FILES or None)
    if form.is_valid():
        with form.refusals():
            row = form.save(by=signed_in(request))
            for warning in row.warnings:
                messages.warning(request, warning)
            return redirect(row)
    back = reverse("rights:recordings")
    return form_page(request, form, heading="Upload a recording", button="Upload", back=back)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def recording_file(request: HttpRequest, pk: int) -> HttpResponse:
    """The file of a recording that was announced without one."""
    row = _recording(request, pk)
    form = FileForm(request.POST, request.FILES)
    if form.is_valid():
        with form.refusals():
            row = form.save(by=signed_in(request), recording=row)
            for warning in row.warnings:
                messages.warning(request, warning)
            return redirect(row)
    return page(request, row, file_form=form, status=422)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def recording_stem(request: HttpRequest, pk: int) -> HttpResponse:
    row = _recording(request, pk)
    form = StemForm(request.POST, request.FILES)
    if form.is_valid():
        with form.refusals():
            form.save(by=signed_in(request), recording=row)
            return redirect(row)
    return page(request, row, stem_form=form, status=422)


@require_safe
def stem_audio(request: HttpRequest, pk: int, number: int) -> HttpResponseBase:
    stem = get_object_or_404(
        Stem.objects.select_related("audio"), pk=number, recording=_recording(request, pk)
    )
    return ranged(request, stem.audio, f"{stem.recording.title} - {stem}.{stem.format.lower()}")


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def recording_credit(request: HttpRequest, pk: int) -> HttpResponse:
    row = _recording(request, pk)
    form = CreditForm(request.POST)
    if form.is_valid():
        with form.refusals():
            form.save(by=signed_in(request), subject=row)
            return redirect(row)
    return page(request, row, credit_form=form, status=422)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def work_credit(request: HttpRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Work.objects.visible_to(signed_in(request)), pk=pk)
    form = CreditForm(request.POST)
    if form.is_valid():
        with form.refusals():
            form.save(by=signed_in(request), subject=row)
            return redirect(row)
    heading, back = f"Add a credit to “{row}”", row.get_absolute_url()
    return form_page(request, form, heading=heading, button="Add credit", back=back)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def recording_work(request: HttpRequest, pk: int) -> HttpResponse:
    row = _recording(request, pk)
    form = AttachForm(request.POST)
    if form.is_valid():
        with form.refusals():
            form.save(by=signed_in(request), recording=row)
            return redirect(row)
    return page(request, row, attach_form=form, status=422)


def _recording(request: HttpRequest, pk: int) -> Recording:
    return get_object_or_404(Recording.objects.visible_to(signed_in(request)), pk=pk)
