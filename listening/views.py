"""Bare pages for listeners, and the set-up and results for the project.

Nothing that a listener gets reveals the run or file of a clip: pages carry opaque codes only.
"""

from collections.abc import Callable, Iterator
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audio_samples import clips
from audio_samples.models import Sample, SampleQuerySet
from audio_samples.views.samples import answer_gone, filtered
from experiments.models import Project
from experiments.views.access import requires_member, requires_view
from listening import clearance, hearing, trials
from listening.forms import CHOICES_SHOWN, TestForm
from listening.models import Hearing, Item, ListeningTest
from portal import confirmation
from portal.http.playing import audio_response
from portal.inputs import parameters
from portal.inputs.parameters import Parameters
from portal.models import User
from portal.views import signed_in

SCORES = {str(score): score for score in range(1, 6)}
WITHDRAWN = "This clip was withdrawn and can no longer be heard."
# Why an answer is not stored. The first ones the listener mends where the scale is.
BESIDE_THE_SCALE = (trials.BadScore, hearing.NotHeard, hearing.BadStretches)
REFUSALS = (*BESIDE_THE_SCALE, trials.Closed, trials.Withdrawn)


@require_safe
def open_tests(request: HttpRequest) -> HttpResponse:
    """List the tests that this person may answer, with their progress."""
    return render(request, "listening/open.html", {"rows": _progress(signed_in(request))})


@require_safe
def home_fragment(request: HttpRequest) -> HttpResponse:
    """Render the same list for the person's home page."""
    return render(request, "listening/open.html#rows", {"rows": _progress(signed_in(request))})


def _progress(user: User) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for test in ListeningTest.objects.open_to(user):
        clips = [clip for clip in trials.clip_order(test, user) if not clip.withdrawn]
        done = sum(clip.score is not None for clip in clips)
        if clips:
            # Where all was withdrawn, there is nothing to be heard.
            rows.append({"test": test, "done": done, "total": len(clips)})
    return rows


@require_safe
def rate(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one clip, `?clip=3`; without it the first that waits for an answer."""
    test = ListeningTest.objects.open_to(signed_in(request)).filter(pk=pk).first()
    if test is None:
        return _not_open(request, pk)
    number = parameters.read_parameters(request).text("clip")
    return _page(request, test, lambda clip: str(clip.number) == number)


def _page(
    request: HttpRequest,
    test: ListeningTest,
    is_asked: Callable[[trials.ClipInOrder], bool],
    *,
    error: str = "",
    score: int | None = None,
) -> HttpResponse:
    """Render the clip that was asked for, else the first that waits for an answer; `error` says why
    the `score` was not stored."""
    clips = trials.clip_order(test, signed_in(request))
    audible = [clip for clip in clips if not clip.withdrawn]
    unanswered = next((clip for clip in audible if clip.score is None), None)
    clip = next(filter(is_asked, audible), unanswered)
    context = {
        "test": test,
        "place": clip,
        "places": clips,
        "done": sum(clip.score is not None for clip in audible),
        "total": len(audible),
        "withdrawn": len(clips) - len(audible),
        "scores": range(1, 6),
        "checked": score or (clip and clip.score),
        "error": error,
        **(_heard(request, clip) if clip else {}),
    }
    return render(request, "listening/rate.html", context, status=422 if error else 200)


def _heard(request: HttpRequest, clip: trials.ClipInOrder) -> dict[str, object]:
    """Return what the page's script goes on from: what was heard before, and what is enough."""
    before = clip.item.hearings.filter(listener=signed_in(request)).first()
    return {
        "heard": hearing.listed(before),
        "required_ms": hearing.required_ms(clip.item.sample.duration),
    }


def _not_open(request: HttpRequest, pk: int) -> HttpResponse:
    """Tell a listener who returns that the test is closed; anybody else learns nothing (404)."""
    user = signed_in(request)
    answered_tests = ListeningTest.objects.filter(items__ratings__listener=user).distinct()
    test = get_object_or_404(answered_tests, pk=pk)
    return render(request, "listening/closed.html", {"test": test}, status=410)


@require_POST
def answer(request: HttpRequest, code: UUID) -> HttpResponse:
    """Store one answer. JSON for the page's script; a plain form goes on to the next clip."""
    user = signed_in(request)
    # Whoever has the clip's code got it from a page: a test that closed meanwhile says so.
    item = _item(code, ListeningTest.objects.meant_for(user))
    by_script = request.headers.get("Accept") == "application/json"
    posted = parameters.posted_parameters(request)
    score = SCORES.get(posted.choice("score", SCORES), 0)
    measured = "stretches" in posted
    try:
        if measured and item.test.closed_at is None:
            _note_played(request, item)
        rating = trials.answer(item=item, listener=user, score=score, measured=measured)
    except REFUSALS as refusal:
        if by_script:
            statuses = {trials.Withdrawn: 410, trials.Closed: 409}
            status = statuses.get(type(refusal), 422)
            return JsonResponse({"error": str(refusal)}, status=status)
        if isinstance(refusal, BESIDE_THE_SCALE):
            return _page(
                request, item.test, lambda clip: clip.item == item, error=str(refusal), score=score
            )
        messages.error(request, str(refusal))
        if isinstance(refusal, trials.Closed):
            return redirect("listening:open")
        return redirect("listening:rate", pk=item.test_id)
    if by_script:
        return JsonResponse({"score": rating.score})
    return redirect("listening:rate", pk=item.test_id)


@require_POST
def heard(request: HttpRequest, code: UUID) -> HttpResponse:
    """Note what the page's script measured of a clip, `stretches=0-1500,2000-4250`."""
    # As with an answer: a test that closed meanwhile says so.
    item = _item(code, ListeningTest.objects.meant_for(signed_in(request)))
    if item.test.closed_at is not None:
        return JsonResponse({"error": trials.CLOSED}, status=409)
    if not _is_audible(item):
        return answer_gone(WITHDRAWN)
    try:
        noted = _note_played(request, item)
    except (hearing.NotHeard, hearing.BadStretches) as refusal:
        return JsonResponse({"error": str(refusal)}, status=422)
    return JsonResponse({"heard": hearing.listed(noted)})


def _note_played(request: HttpRequest, item: Item) -> Hearing:
    posted = parameters.posted_parameters(request)
    return hearing.note_played(
        item=item,
        listener=signed_in(request),
        stretches=hearing.parse_stretches(posted.listed("stretches", most=hearing.MOST_STRETCHES)),
        plays=min(posted.number("plays") or 0, hearing.MOST_PLAYS),
        muted=posted.choice("muted", {"yes"}) == "yes",
    )


def _item(code: UUID, tests: QuerySet[ListeningTest]) -> Item:
    items = Item.objects.filter(test__in=tests).select_related("sample__audio", "test")
    return get_object_or_404(items, code=code)


def _is_audible(item: Item) -> bool:
    return item.sample_id in clearance.audible([item.sample_id], outside=item.test.is_outside)


@require_safe
def audio(request: HttpRequest, code: UUID) -> HttpResponseBase:
    """Stream a clip by its code, under a file name that reveals nothing; note that it was sent."""
    user = signed_in(request)
    item = _item(code, ListeningTest.objects.open_to(user))
    if not _is_audible(item):
        return answer_gone(WITHDRAWN)
    response = audio_response(request, item.sample.file, "clip", tag=str(code))
    if request.method == "GET" and response.status_code in {200, 206}:
        hearing.note_fetched(item=item, listener=user)
    return response


@require_safe
@requires_view
def tests(request: HttpRequest, project: Project) -> HttpResponse:
    """List the project's tests, newest first."""
    rows = ListeningTest.objects.filter(project=project).select_related("created_by")
    return render(request, "listening/tests.html", {"project": project, "tests": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@requires_member
def new(request: HttpRequest, project: Project) -> HttpResponse:
    """Set up a test; samples may be preselected, `?sample=1`, or filtered as on their page."""
    chosen = parameters.read_parameters(request).numbers("sample")
    initial = {"samples": chosen}
    form = TestForm(request.POST or None, project=project, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            test = trials.open_test(by=signed_in(request), project=project, **form.cleaned_data)
        except trials.BadTest as refusal:
            form.add_error("samples", [*refusal.refusals] or str(refusal))
        else:
            audience = "listeners" if test.audience == test.Audience.OUTSIDE else "researchers"
            messages.success(request, f"The test is open: {audience} see it on their home page.")
            return redirect("listening:results", slug=project.slug, pk=test.pk)
    if request.method == "POST":
        chosen = parameters.posted_parameters(request).numbers("samples")
    context = {
        "project": project,
        "form": form,
        "chosen": {str(pk) for pk in chosen},
        **_choices(request, project, chosen),
    }
    return render(request, "listening/new.html", context, status=422 if form.errors else 200)


def _choices(request: HttpRequest, project: Project, chosen: list[int]) -> dict[str, object]:
    """Return the samples to choose from, each with a player; those that are chosen come first,
    whatever the filters are, since what is not on the page is not sent."""
    query = parameters.read_parameters(request)
    audible = Sample.objects.of_project(project).audible()
    fitting = filtered(audible, query)
    others = fitting.exclude(pk__in=chosen).order_by("-final", "-created_at", "-pk")
    shown = [
        *_for_players(audible.filter(pk__in=chosen).order_by("-final", "-created_at", "-pk")),
        *_for_players(others)[: max(0, CHOICES_SHOWN - len(chosen))],
    ]
    return {
        "rows": [
            clips.ClipRow(f"pick:{sample.pk}", sample.prompt or sample.name, [clips.clip(sample)])
            for sample in shown
        ],
        "total": fitting.count(),
        "filters": list(_filter_words(query)),
        "withheld": not shown and Sample.objects.of_project(project).exists(),
    }


def _filter_words(query: Parameters) -> Iterator[str]:
    if (number := query.number("run")) is not None:
        yield f"Run {number}"
    if prompt := query.text("prompt"):
        yield f"Prompt contains “{prompt}”"
    if final := query.text("final"):
        yield "Made after training" if final == "yes" else "Made in training"


def _for_players(samples: SampleQuerySet) -> SampleQuerySet:
    return clips.with_credits(samples).defer("peaks", "measures")


@require_safe
@requires_view
def results(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Show the ratings by run and by sample; `?heard=whole`: of clips heard whole alone."""
    test = get_object_or_404(ListeningTest, project=project, pk=pk)
    whole_only = parameters.read_parameters(request).choice("heard", {"whole"}) == "whole"
    context = {
        "project": project,
        "test": test,
        "whole_only": whole_only,
        "results": trials.results(test, whole_only=whole_only),
    }
    return render(request, "listening/results.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires_member
def close(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """GET explains what closing does; POST closes the test for good."""
    test, user = get_object_or_404(ListeningTest, project=project, pk=pk), signed_in(request)
    back = reverse("listening:results", args=[project.slug, pk])
    # Not the number of answers: a test that is answered all the time could never be closed.
    name, facts = f"test.close:{pk}", [test.title, test.closed_at is None]
    error = ""
    if request.method == "POST":
        try:
            confirmation.check(confirmation.posted(request), by=user, name=name, facts=facts)
        except confirmation.PreviewChanged as refusal:
            error = str(refusal)
        else:
            if trials.close_test(test, by=user):
                messages.success(request, "The test is closed. Its answers stay.")
            return redirect(back)
    context = {
        "project": project,
        "heading": f"Close “{test.title}”",
        "words": "Nobody can answer it any more. Answers that were given stay, and are shown.",
        "button": f"Close {test.title}",
        "back": back,
        "shown": {"seal": confirmation.seal(by=user, name=name, facts=facts)},
        "error": error,
    }
    return render(request, "portal/confirm.html", context, status=409 if error else 200)
