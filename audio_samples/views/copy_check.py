"""Pages where rights admins compare near copies with the recordings they resemble, and answer."""

from collections.abc import Callable

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from audio_samples import answers
from audio_samples.audibility import silences
from audio_samples.copy_check import screenings
from audio_samples.models.copy_check import Screening
from audio_samples.reviews import reviewing
from audio_samples.views import answering
from audio_samples.views.samples import answer_gone
from portal import confirmation
from portal.inputs import parameters
from portal.models import Role
from portal.views import signed_in
from rights.access import open_to, page_of
from rights.forms.base import VerbForm
from rights.views import confirming

reviewers = open_to(Role.RIGHTS_ADMIN)
WAITING = "waiting"
STATES = ((WAITING, "Waiting for review"), *Screening.Answer.choices)


class AnswerForm(VerbForm):
    note = forms.CharField(
        label="Why",
        max_length=answers.LONGEST,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="The project reads it on the sample's page.",
    )


@require_safe
@reviewers
def near_copies(request: HttpRequest) -> HttpResponse:
    """List near copies that wait, oldest first; answered ones on request."""
    state = parameters.read_parameters(request).choice("state", dict(STATES), WAITING)
    rows = _rows().filter(answer="" if state == WAITING else state)
    order = ("at", "pk") if state == WAITING else ("-reviewed_at", "-pk")
    context = {
        "page": page_of(request, rows.order_by(*order)),
        "state": state,
        "states": STATES,
        "tab": "copies",
    }
    return render(request, "audio_samples/copies.html", context)


@require_safe
@reviewers
def near_copy(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one near copy: both sounds from where they agree, and the two answers."""
    return _page(request, get_object_or_404(_rows(), pk=pk), AnswerForm())


@require_safe
@reviewers
def audio(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Serve the sample to whoever has to answer, in its project or not."""
    screening = get_object_or_404(_rows(), pk=pk)
    if _why_not(request, screening) and (reason := silences.current_reason(screening.sample_id)):
        return answer_gone(reason)
    return reviewing.review_audio(request, screening.sample, review=f"copy:{pk}", tag=f"copy-{pk}")


@require_POST
@reviewers
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm that it is a copy: the sample is withheld."""
    return _answer(request, pk, screenings.confirm, "Answered; the sample is withheld.")


@require_POST
@reviewers
def dismiss(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer that it is not a copy."""
    return _answer(request, pk, screenings.dismiss, "Answered; the copy check holds nothing back.")


def _answer(
    request: HttpRequest, pk: int, verb: Callable[..., Screening], words: str
) -> HttpResponse:
    screening, form = get_object_or_404(_rows(), pk=pk), AnswerForm(request.POST)
    if answering.answer(
        request,
        form,
        screening,
        name=_name(screening),
        facts=lambda: _facts(screening),
        verb=verb,
        words=words,
    ):
        return redirect("audio_samples:copies")
    screening.refresh_from_db()
    return _page(request, screening, form)


def _name(screening: Screening) -> str:
    return f"copy.answer:{screening.pk}"


def _facts(screening: Screening) -> list[object]:
    """Return what the answers depend on: that it waits, and what else keeps the sample silent."""
    current = Screening.objects.get(pk=screening.pk)
    return [str(current.answer), silences.other_silences(screening.sample)]


def _page(request: HttpRequest, screening: Screening, form: AnswerForm) -> HttpResponse:
    assert screening.recording is not None  # noqa: S101 - by the row's constraint.
    why_not, facts = _why_not(request, screening), _facts(screening)
    seal = confirmation.seal(by=signed_in(request), name=_name(screening), facts=facts)
    context = {
        "look": screening,
        "sample": screening.sample,
        "artists": screenings.artists(screening.recording),
        "why_not": why_not,
        "silence": silences.current_reason(screening.sample_id)
        if why_not or screening.answer
        else "",
        "stays": facts[-1],
        "shown": {"seal": seal} if not why_not else None,
        "form": form,
        "tab": "copies",
    }
    return render(request, "audio_samples/copy.html", context, status=confirming.status(form))


def _why_not(request: HttpRequest, screening: Screening) -> str:
    """Return why this rights admin may not answer it; empty if they may, and may hear it whatever
    else keeps it silent."""
    if screening.answer:
        return "It is answered."
    if screening.sample.run.submitted_by_id == signed_in(request).pk:
        return "You queued the run that made it: another rights admin has to answer."
    return ""


def _rows() -> QuerySet[Screening]:
    return screenings.near_copies().select_related(
        "sample__audio", "sample__run__project", "sample__run__submitted_by", "recording",
        "reviewed_by",
    )  # fmt: skip
