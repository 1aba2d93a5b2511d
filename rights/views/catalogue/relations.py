"""Pages of what recordings are derived from, and of questions about recordings that sound alike."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from portal.inputs import parameters
from portal.models import Role
from portal.views import signed_in
from rights.access import open_to, page_of
from rights.catalogue import derivations, sound_questions
from rights.errors import Refused
from rights.forms import ReasonForm, RelationForm, SoundAnswerForm
from rights.models import Recording, RecordingRelation, SoundQuestion
from rights.views.catalogue import repertoire
from rights.views.frames import form_page

OPEN = "open"
STATES = ((OPEN, "Waiting for an answer"), ("answered", "Answered"))


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def recording_relation(request: HttpRequest, pk: int) -> HttpResponse:
    """Enter that the recording is derived from another."""
    row = get_object_or_404(Recording.objects.visible_to(signed_in(request)), pk=pk)
    form = RelationForm(request.POST)
    if form.is_valid():
        with form.refusals():
            form.save(by=signed_in(request), recording=row)
            return redirect(row)
    return repertoire.page(request, row, relation_form=form, status=422)


@require_POST
@open_to(Role.RIGHTS_ADMIN)
def relation_confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm the relation, as somebody other than the person who entered it."""
    row = _relation(pk)
    try:
        derivations.confirm_relation(by=signed_in(request), relation=row)
    except Refused as refusal:
        messages.error(request, str(refusal))
    return redirect(row.recording)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def relation_end(request: HttpRequest, pk: int) -> HttpResponse:
    """End a relation that was entered by mistake: the source's holders are no longer asked."""
    row = _relation(pk)
    form = ReasonForm(request.POST or None)
    if form.is_valid():
        with form.refusals():
            derivations.end_relation(
                by=signed_in(request), relation=row, reason=form.cleaned_data["reason"]
            )
            return redirect(row.recording)
    return form_page(
        request,
        form,
        heading=f"Take back: “{row.recording}” {row.in_words} “{row.source}”",
        button="Take it back",
        back=row.recording.get_absolute_url(),
        words="From then on a use needs fewer permissions. What was put on hold stays so.",
    )


@require_safe
@open_to(Role.RIGHTS_ADMIN)
def sound_questions_listed(request: HttpRequest) -> HttpResponse:
    """List open sound questions, oldest first, or the answered ones with `?state=answered`."""
    state = "answered" if parameters.read_parameters(request).text("state") == "answered" else OPEN
    rows = SoundQuestion.objects.select_related("recording", "other", "answered_by")
    if state == OPEN:
        rows = rows.filter(answered_at=None).order_by("created_at", "pk")
    else:
        rows = rows.exclude(answered_at=None).order_by("-answered_at", "-pk")
    context = {"page": page_of(request, rows), "state": state, "states": STATES, "tab": "sounds"}
    return render(request, "rights/sound_questions.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@open_to(Role.RIGHTS_ADMIN)
def sound_question(request: HttpRequest, pk: int) -> HttpResponse:
    """Play both recordings from where they match; POST stores the answer."""
    rows = SoundQuestion.objects.select_related("recording", "other")
    rows = rows.prefetch_related("recording__stems__added_by", "other__stems__added_by")
    row = get_object_or_404(rows, pk=pk)
    form = SoundAnswerForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        with form.refusals():
            form.save(by=signed_in(request), question=row)
            messages.success(request, f"Answered. “{row.recording}” is asked for like any other.")
            return redirect("rights:sound_questions")
    context = {"question": row, "form": form, "tab": "sounds"}
    status = 422 if form.errors else 200
    return render(request, "rights/sound_question.html", context, status=status)


def _relation(pk: int) -> RecordingRelation:
    rows = RecordingRelation.objects.select_related("recording", "source")
    return get_object_or_404(rows, pk=pk)


def waiting() -> dict[str, object]:
    """Return what the review queue shows of open sound questions."""
    rows = sound_questions.open_questions()
    return {"sound_questions": rows[:10], "sound_questions_count": rows.count()}
