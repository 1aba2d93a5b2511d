"""Pages where rights admins review flagged samples and answer."""

from django import forms
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from audio_samples import answers, clips
from audio_samples.audibility import silences
from audio_samples.copy_check import screenings
from audio_samples.models import ClipRelease, Sample, SampleFlag
from audio_samples.reviews import flags, reviewing
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


class AnswerForm(VerbForm):
    note = forms.CharField(
        label="Your answer to the party",
        max_length=answers.LONGEST,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="They read it as you write it.",
    )


@require_safe
@reviewers
def waiting(request: HttpRequest) -> HttpResponse:
    """Count the flags, near copies and clips that wait for a rights admin, for the review queue."""
    context = {
        "flags": SampleFlag.objects.filter(state=SampleFlag.State.OPEN).count(),
        "copies": screenings.near_copies().filter(answer="").count(),
        "clips": ClipRelease.objects.waiting().count(),
    }
    return render(request, "audio_samples/waiting.html", context)


@require_safe
@reviewers
def flag_list(request: HttpRequest) -> HttpResponse:
    """List flags that wait, oldest first; answered ones on request."""
    state = parameters.read_parameters(request).text("state", SampleFlag.State.OPEN)
    rows = _flags()
    if state in SampleFlag.State.values:
        rows = rows.filter(state=state)
    order = "created_at" if state == SampleFlag.State.OPEN else "-created_at"
    context = {
        "page": page_of(request, rows.order_by(order, "pk")),
        "state": state,
        "states": SampleFlag.State.choices,
        "tab": "flags",
    }
    return render(request, "audio_samples/flags.html", context)


@require_safe
@reviewers
def flag_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one flag: the sample to hear, who objects and why, and the two answers."""
    return _page(request, get_object_or_404(_flags(), pk=pk), AnswerForm())


@require_safe
@reviewers
def audio(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Serve the flagged sample to whoever has to answer, until then, whatever else silences it."""
    flag = get_object_or_404(_flags().select_related("sample__audio"), pk=pk)
    if not _judges(request, flag) and (reason := silences.current_reason(flag.sample_id)):
        return answer_gone(reason)
    return reviewing.review_audio(request, flag.sample, review=f"flag:{pk}", tag=f"flag-{pk}")


@require_POST
@reviewers
def uphold(request: HttpRequest, pk: int) -> HttpResponse:
    """Agree with the party: the sample stays withheld."""
    return _answer(request, pk, upheld=True)


@require_POST
@reviewers
def dismiss(request: HttpRequest, pk: int) -> HttpResponse:
    """Dismiss the flag: the sample may be heard again, and the party reads why."""
    return _answer(request, pk, upheld=False)


def _answer(request: HttpRequest, pk: int, *, upheld: bool) -> HttpResponse:
    flag, form = get_object_or_404(_flags(), pk=pk), AnswerForm(request.POST)
    if answering.answer(
        request, form, flag, name=_name(flag), facts=lambda: _facts(flag),
        verb=flags.uphold if upheld else flags.dismiss,
        words="Answered; the party reads it on their page.",
    ):  # fmt: skip
        return redirect("audio_samples:flags")
    flag.refresh_from_db()
    return _page(request, flag, form)


def _name(flag: SampleFlag) -> str:
    return f"flag.answer:{flag.pk}"


def _facts(flag: SampleFlag) -> list[object]:
    """Return what the two answers depend on: that it waits, and what else keeps it silent."""
    current = SampleFlag.objects.get(pk=flag.pk)
    return [str(current.state), silences.other_silences(flag.sample, except_flag=flag)]


def _page(request: HttpRequest, flag: SampleFlag, form: AnswerForm) -> HttpResponse:
    sample = clips.with_credits(Sample.objects.filter(pk=flag.sample_id)).get()
    judges, facts = _judges(request, flag), _facts(flag)
    seal = confirmation.seal(by=signed_in(request), name=_name(flag), facts=facts)
    context = {
        "flag": flag,
        "sample": sample,
        "judges": judges,
        "silence": "" if judges else silences.current_reason(flag.sample_id),
        "stays": facts[-1],
        "shown": {"seal": seal} if judges else None,
        "form": form,
        "tab": "flags",
        "others": _flags().filter(sample=sample).exclude(pk=flag.pk),
    }
    return render(request, "audio_samples/flag.html", context, status=confirming.status(form))


def _judges(request: HttpRequest, flag: SampleFlag) -> bool:
    """Return whether this rights admin may answer it: it waits, and is not their own party's."""
    is_own = flag.party.people.filter(pk=signed_in(request).pk).exists()
    return flag.state == SampleFlag.State.OPEN and not is_own


def _flags() -> QuerySet[SampleFlag]:
    return SampleFlag.objects.select_related("party", "by", "reviewed_by", "sample__run__project")
