"""The artist's pages on the training impact of their music: models, samples to hear, and flags.

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

from audio_samples import answers, clips, rightsholder_samples
from audio_samples.audibility import silences
from audio_samples.models import Sample
from audio_samples.reviews import flags
from audio_samples.views.samples import answer_gone
from portal import confirmation
from portal.http.playing import audio_response
from portal.http.serving import ending
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
    """List the models that learned from my recordings, or from one of them, in public words."""
    parties = overview.parties_of(signed_in(request))
    recording = None
    query = parameters.read_parameters(request)
    if query.text("recording"):
        recording = get_object_or_404(overview.repertoire(parties), pk=query.number("recording"))
    page = page_of(request, rightsholder_samples.runs_trained_on(parties, recording))
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
    """Show one model: how much of my music it used, its state, and its samples."""
    parties = overview.parties_of(signed_in(request))
    run = get_object_or_404(rightsholder_samples.runs_trained_on(parties), pk=run_id)
    samples = clips.with_credits(Sample.objects.filter(run=run, final=True)).order_by("name", "pk")
    page = Paginator(samples, PER_PAGE).get_page(parameters.read_parameters(request).page())
    context = {
        "one": rightsholder_samples.trained_models([run], parties)[0],
        "recordings": rightsholder_samples.per_recording(run, parties),
        "page": page,
        "rows": [(sample, rightsholder_samples.clip_row(sample)) for sample in page],
    }
    return render(request, "audio_samples/mine_model.html", context)


@require_safe
@holders
def sample(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one sample to hear, with my share in it and my flags."""
    parties, sample = _sample(request, pk)
    own = set(overview.repertoire(parties).values_list("pk", flat=True))
    context = {
        "sample": sample,
        "row": rightsholder_samples.clip_row(sample),
        "one": rightsholder_samples.trained_models([sample.run], parties)[0],
        "share": rightsholder_samples.share(sample, own),
        "flags": rightsholder_samples.flags_of(parties).filter(sample=sample),
        "silence": silences.reason_for_rightsholders(sample),
        "released": rightsholder_samples.public_release(sample),
    }
    return render(request, "audio_samples/mine_sample.html", context)


@require_safe
@holders
def audio(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Serve the sample's audio under a file name that reveals nothing of the lab."""
    _, sample = _sample(request, pk)
    if reason := silences.reason_for_rightsholders(sample):
        return answer_gone(reason)
    end = ending(sample.file.media_type)
    return audio_response(
        request, sample.file, f"sample-{sample.pk}.{end}", tag=f"sample-{sample.pk}"
    )


@require_http_methods(["GET", "HEAD", "POST"])
@holders
def flag(request: HttpRequest, pk: int) -> HttpResponse:
    """GET explains what a flag does; POST sets it, which silences the sample."""
    parties, sample = _sample(request, pk)
    concerned = [
        party
        for party in parties
        if rightsholder_samples.samples_of([party]).filter(pk=pk).exists()
    ]
    user = signed_in(request)
    form = FlagForm(request.POST or None)
    name = f"sample.flag:{pk}"

    def facts() -> list[object]:
        standing = sample.flags.filter(party__in=concerned).order_by("pk")
        return [str(sample.audio_id), list(standing.values_list("pk", flat=True))]

    chooser = form.fields["party"]
    assert isinstance(chooser, forms.ModelChoiceField)  # noqa: S101 - for the types
    chooser.queryset = Party.objects.filter(pk__in=[party.pk for party in concerned])
    if form.is_valid():
        seal = confirmation.posted(request)
        with form.refusals(), confirmation.as_shown(seal, by=user, name=name, facts=facts):
            flags.flag(by=user, sample=sample, **form.cleaned_data)
            messages.success(request, "Flagged. Nobody hears it until the lab has looked.")
            return redirect("audio_samples:mine_sample", pk=pk)
    context = {
        "form": form,
        "sample": sample,
        "row": rightsholder_samples.clip_row(sample),
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
