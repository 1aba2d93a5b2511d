"""The artist's pages of what came of their music: models, samples to hear, and their flags.

No page of a project is linked from here, and none of its names are shown.
"""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from audio_samples import clips, rightsholder_samples
from audio_samples.audibility import silences
from audio_samples.models import Sample
from audio_samples.reviews import answers, flags
from audio_samples.views.samples import answer_gone
from portal import confirmation
from portal.http.serving import ending, ranged
from portal.inputs import parameters
from portal.models import Role
from portal.views import signed_in
from rights.access import open_to, page_of
from rights.forms.base import VerbForm
from rights.models import Party
from rights.rightsholder import overview
from rights.views import confirming

PER_PAGE = 12
holders = open_to(Role.RIGHTSHOLDER)


class FlagForm(VerbForm):
    party = forms.ModelChoiceField(
        Party.objects.none(), label="For", empty_label="Choose who objects"
    )
    reason = forms.CharField(
        label="What is wrong with it",
        max_length=answers.LONGEST,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Such as: it repeats a melody of mine, or it sounds like my voice.",
    )


@require_safe
@holders
def training_impact(request: HttpRequest) -> HttpResponse:
    """Everything that learned from my recordings, or from one of them, in public words."""
    parties = overview.parties_of(signed_in(request))
    recording = None
    asked = parameters.read_parameters(request)
    if asked.text("recording"):
        recording = get_object_or_404(overview.repertoire(parties), pk=asked.number("recording"))
    page = page_of(request, rightsholder_samples.runs_of(parties, recording))
    context = {
        "tab": "came",
        "recording": recording,
        "page": page,
        "rows": rightsholder_samples.trained_models(list(page.object_list), parties),
        "flags": rightsholder_samples.flags_of(parties)[:50],
        "parties": parties,
    }
    return render(request, "audio_samples/mine.html", context)


@require_safe
@holders
def model(request: HttpRequest, run_id: UUID) -> HttpResponse:
    """One model: how much of my music it heard, how it stands, and its samples."""
    parties = overview.parties_of(signed_in(request))
    run = get_object_or_404(rightsholder_samples.runs_of(parties), pk=run_id)
    samples = clips.with_credits(Sample.objects.filter(run=run, final=True)).order_by("name", "pk")
    page = Paginator(samples, PER_PAGE).get_page(parameters.read_parameters(request).page())
    context = {
        "one": rightsholder_samples.trained_models([run], parties)[0],
        "recordings": rightsholder_samples.per_recording(run, parties),
        "page": page,
        "rows": [(sample, rightsholder_samples.row(sample)) for sample in page],
    }
    return render(request, "audio_samples/mine_model.html", context)


@require_safe
@holders
def sample(request: HttpRequest, pk: int) -> HttpResponse:
    """One sample to hear, with my part in it and what I said of it."""
    parties, found = _sample(request, pk)
    own = set(overview.repertoire(parties).values_list("pk", flat=True))
    context = {
        "sample": found,
        "row": rightsholder_samples.row(found),
        "one": rightsholder_samples.trained_models([found.run], parties)[0],
        "share": rightsholder_samples.share(found, own),
        "flags": rightsholder_samples.flags_of(parties).filter(sample=found),
        "silence": silences.reason_for_rightsholders(found),
        "released": rightsholder_samples.released(found),
    }
    return render(request, "audio_samples/mine_sample.html", context)


@require_safe
@holders
def audio(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The sample's sound, under a name that tells nothing of the lab."""
    _, found = _sample(request, pk)
    if reason := silences.reason_for_rightsholders(found):
        return answer_gone(reason)
    end = ending(found.audio.media_type)
    return ranged(request, found.audio, f"sample-{found.pk}.{end}", tag=f"sample-{found.pk}")


@require_http_methods(["GET", "HEAD", "POST"])
@holders
def flag(request: HttpRequest, pk: int) -> HttpResponse:
    """GET says what a flag does; POST sets it, and the sample falls silent."""
    parties, found = _sample(request, pk)
    concerned = [
        party
        for party in parties
        if rightsholder_samples.samples_of([party]).filter(pk=pk).exists()
    ]
    user = signed_in(request)
    form = FlagForm(request.POST or None)
    name = f"sample.flag:{pk}"

    def facts() -> list[object]:
        standing = found.flags.filter(party__in=concerned).order_by("pk")
        return [str(found.audio_id), list(standing.values_list("pk", flat=True))]

    chooser = form.fields["party"]
    assert isinstance(chooser, forms.ModelChoiceField)  # noqa: S101 - for the types
    chooser.queryset = Party.objects.filter(pk__in=[party.pk for party in concerned])
    if form.is_valid():
        seal = confirmation.posted(request)
        with form.refusals(), confirmation.as_shown(seal, by=user, name=name, facts=facts):
            flags.flag(by=user, sample=found, **form.cleaned_data)
            messages.success(request, "Flagged. Nobody hears it until the lab has looked.")
            return redirect("audio_samples:mine_sample", pk=pk)
    context = {
        "form": form,
        "sample": found,
        "row": rightsholder_samples.row(found),
        "parties": concerned,
    }
    context["shown"] = {"seal": confirmation.seal(by=user, name=name, facts=facts())}
    return render(request, "audio_samples/mine_flag.html", context, status=confirming.status(form))


def _sample(request: HttpRequest, pk: int) -> tuple[list[Party], Sample]:
    parties = overview.parties_of(signed_in(request))
    if not parties:
        raise Http404
    rows = clips.with_credits(rightsholder_samples.samples_of(parties)).select_related("audio")
    return parties, get_object_or_404(rows, pk=pk)
