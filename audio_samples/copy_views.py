"""Where rights admins listen to near copies beside the recordings they are near to, and answer."""

from collections.abc import Callable

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from audio_samples import clips, screenings
from audio_samples.models import Sample
from audio_samples.screening.rows import Screening
from audio_samples.views import gone
from portal import asking
from portal.models import Role
from portal.serving import ranged
from portal.views import signed_in
from rights.forms.base import VerbForm
from rights.views.access import open_to, page_of

reviewers = open_to(Role.RIGHTS_ADMIN)
WAITING = "waiting"
STATES = ((WAITING, "Waiting to be heard"), *Screening.Answer.choices)


class AnswerForm(VerbForm):
    note = forms.CharField(
        label="Why",
        max_length=screenings.LONGEST,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="The project reads it on the sample's page.",
    )


@require_safe
@reviewers
def listed(request: HttpRequest) -> HttpResponse:
    """Near copies that wait, oldest first; answered ones on request."""
    state = asking.of(request).choice("state", dict(STATES), WAITING)
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
def one(request: HttpRequest, pk: int) -> HttpResponse:
    """One near copy: both to hear from where they agree, and the two answers."""
    return _page(request, get_object_or_404(_rows(), pk=pk), AnswerForm())


@require_safe
@reviewers
def audio(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The sample, for who has to answer: they may be in none of its projects."""
    found = get_object_or_404(_rows(), pk=pk)
    if reason := _silence(found):
        return gone(reason)
    return ranged(request, found.sample.audio, f"sample-{found.sample_id}", tag=f"copy-{pk}")


@require_POST
@reviewers
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    """It is a copy: the sample is withheld."""
    return _answer(request, pk, screenings.confirm, "Answered; the sample is withheld.")


@require_POST
@reviewers
def dismiss(request: HttpRequest, pk: int) -> HttpResponse:
    """It is no copy."""
    return _answer(request, pk, screenings.dismiss, "Answered; the copy check holds nothing back.")


def _answer(
    request: HttpRequest, pk: int, verb: Callable[..., Screening], said: str
) -> HttpResponse:
    found = get_object_or_404(_rows(), pk=pk)
    form = AnswerForm(request.POST)
    if form.is_valid():
        with form.refusals():
            verb(found, by=signed_in(request), note=form.cleaned_data["note"])
            messages.success(request, said)
            return redirect("audio_samples:copies")
    return _page(request, found, form)


def _page(request: HttpRequest, found: Screening, form: AnswerForm) -> HttpResponse:
    assert found.recording is not None  # noqa: S101 - by the row's constraint.
    context = {
        "look": found,
        "sample": found.sample,
        "artists": screenings.artists(found.recording),
        "silence": _silence(found),
        "own": found.sample.run.submitted_by_id == signed_in(request).pk,
        "form": form,
        "tab": "copies",
    }
    return render(request, "audio_samples/copy.html", context, status=422 if form.errors else 200)


def _silence(found: Screening) -> str:
    """Why even who reviews it may not hear it: a permission ended, or it is withheld already."""
    return clips.reason_withheld(Sample.objects.filter(pk=found.sample_id).with_holds().get())


def _rows() -> QuerySet[Screening]:
    return screenings.near_copies().select_related(
        "sample__audio", "sample__run__project", "sample__run__submitted_by", "recording",
        "reviewed_by",
    )  # fmt: skip
