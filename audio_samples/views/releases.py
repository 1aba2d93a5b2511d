"""Pages where owners ask for the release of a clip, and rights admins listen and answer."""

from contextlib import AbstractContextManager

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audio_samples import releases
from audio_samples.audibility import silences
from audio_samples.credentials import chain, files
from audio_samples.models import ClipRelease
from audio_samples.reviews import reviewing
from audio_samples.views.samples import answer_gone, visible_sample
from portal import confirmation
from portal.confirmation import PreviewChanged
from portal.models import Role
from portal.views import signed_in
from rights.access import open_to, page_of
from rights.errors import Refused
from rights.forms.base import VerbForm
from rights.views import confirming

answering = open_to(Role.RIGHTS_ADMIN)


class AskForm(VerbForm):
    title = forms.CharField(
        label="Title in public",
        max_length=releases.LONGEST_TITLE,
        help_text="Everybody reads it. The prompt and the name in the run are not shown.",
    )


class RefuseForm(VerbForm):
    reason = forms.CharField(
        label="Reason, if you refuse it",
        max_length=releases.LONGEST_REASON,
        help_text="Whoever asked reads it.",
    )


class RecallForm(VerbForm):
    reason = forms.CharField(
        max_length=releases.LONGEST_REASON,
        help_text="People of the project and rights admins read it, and nobody outside.",
    )


@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """GET explains a release and what prevents it; POST asks for it."""
    sample, user = visible_sample(request, pk), signed_in(request)
    if not releases.may_ask(user, sample.run.project):
        raise Http404
    form = AskForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with form.refusals():
            releases.ask(by=user, sample=sample, title=form.cleaned_data["title"])
            messages.success(request, "Asked. A rights admin listens to it and answers.")
            return redirect(sample)
    context = {
        "sample": sample,
        "project": sample.run.project,
        "why_not": releases.release_obstacles(sample),
        "page": releases.page_of(sample),
        "form": form,
    }
    return render(
        request, "audio_samples/release_ask.html", context, status=422 if form.errors else 200
    )


@require_safe
@answering
def release_list(request: HttpRequest) -> HttpResponse:
    """List the requests that wait, oldest first, and those that were answered."""
    waiting = ClipRelease.objects.waiting()
    context = {
        "waiting": _rows().filter(pk__in=waiting).order_by("asked_at", "pk"),
        "page": page_of(request, _rows().exclude(pk__in=waiting).order_by("-pk")),
        "tab": "clips",
    }
    return render(request, "audio_samples/releases.html", context)


@require_safe
@answering
def release_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one clip to hear, what was checked of it, and the answers."""
    return _page(request, get_object_or_404(_rows(), pk=pk), RefuseForm())


@require_safe
@answering
def audio(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Serve the clip to whoever has to answer, whatever keeps it silent meanwhile."""
    release = get_object_or_404(_rows().select_related("sample__audio"), pk=pk)
    if not _judges(request, release) and (reason := silences.current_reason(release.sample_id)):
        return answer_gone(reason)
    return reviewing.review_audio(request, release.sample, review=f"clip:{pk}", tag=f"clip-{pk}")


@require_POST
@answering
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign the clip and release it to everybody."""
    release, user = get_object_or_404(_rows(), pk=pk), signed_in(request)
    error = ""
    try:
        # Checked before it is signed, which takes long: what it depends on changes only by an
        # answer, and `releases.approve` checks for that itself.
        confirmation.check(
            confirmation.posted(request), by=user, name=_name(release), facts=_facts(release)
        )
        releases.approve(by=user, release=release)
    except (Refused, PreviewChanged) as refusal:
        error = str(refusal)
    except (chain.NoChain, files.Unsigned) as trouble:
        error = f"It was not signed: {trouble} An operator can mend that."
    except FileNotFoundError:
        error = "The file is missing from storage."
    else:
        messages.success(request, f"“{release}” is in public.")
        return redirect("audio_samples:releases")
    return _page(request, release, RefuseForm(), error)


@require_POST
@answering
def refuse(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep the clip in the lab, and say why."""
    release, form = get_object_or_404(_rows(), pk=pk), RefuseForm(request.POST)
    if form.is_valid():
        with form.refusals(), _as_shown(request, release):
            reason = form.cleaned_data["reason"]
            releases.refuse(by=signed_in(request), release=release, reason=reason)
            messages.success(request, "Refused. Who asked reads your reason.")
            return redirect("audio_samples:releases")
    return _page(request, release, form)


@require_http_methods(["GET", "HEAD", "POST"])
def recall(request: HttpRequest, pk: int) -> HttpResponse:
    """GET explains a recall; POST takes the clip back."""
    user = signed_in(request)
    release = get_object_or_404(_rows(), pk=pk)
    if not (user.has_role(Role.RIGHTS_ADMIN) or releases.may_ask(user, release.sample.run.project)):
        raise Http404
    form = RecallForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with form.refusals(), _as_shown(request, release):
            reason = form.cleaned_data["reason"]
            releases.recall(by=user, release=release, reason=reason)
            messages.success(request, "Taken back: nobody hears it in public any more.")
            admin = user.has_role(Role.RIGHTS_ADMIN)
            return redirect("audio_samples:releases") if admin else redirect(release.sample)
    release.refresh_from_db()
    context = {"release": release, "form": form, "shown": {"seal": _seal(request, release)}}
    return render(
        request, "audio_samples/release_recall.html", context, status=confirming.status(form)
    )


def _name(release: ClipRelease) -> str:
    return f"clip.answer:{release.pk}"


def _facts(release: ClipRelease) -> list[object]:
    """Return what the answers and a recall depend on: what it is, where it goes, and its state."""
    current = ClipRelease.objects.get(pk=release.pk)
    return [current.state, current.title, current.page_id, str(release.sample.audio_id)]


def _seal(request: HttpRequest, release: ClipRelease) -> str:
    return confirmation.seal(by=signed_in(request), name=_name(release), facts=_facts(release))


def _as_shown(request: HttpRequest, release: ClipRelease) -> AbstractContextManager[None]:
    return confirmation.as_shown(
        confirmation.posted(request),
        by=signed_in(request),
        name=_name(release),
        facts=lambda: _facts(release),
    )


def _judges(request: HttpRequest, release: ClipRelease) -> bool:
    return release.waits and releases.may_answer(signed_in(request), release)


def _page(
    request: HttpRequest, release: ClipRelease, form: VerbForm, error: str = ""
) -> HttpResponse:
    release.refresh_from_db()
    judges = _judges(request, release)
    context = {
        "release": release,
        "sample": release.sample,
        "judges": judges,
        "silence": "" if judges else silences.current_reason(release.sample_id),
        "shown": {"seal": _seal(request, release)},
        "why_not": releases.release_obstacles(release.sample) if release.waits else [],
        "may_answer": releases.may_answer(signed_in(request), release),
        "form": form,
        "error": error,
        "tab": "clips",
    }
    status = 422 if error else confirming.status(form)
    return render(request, "audio_samples/release.html", context, status=status)


def _rows() -> QuerySet[ClipRelease]:
    return ClipRelease.objects.select_related(
        "sample__run__project", "sample__run__dataset", "page", "asked_by", "answered_by"
    )
