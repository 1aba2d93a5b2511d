"""Bare pages for listeners, and the set-up and results for the project.

Nothing that a listener gets reveals the run or file of a clip: pages carry opaque codes only.
"""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audio_samples.views.samples import answer_gone
from experiments.models import Project
from experiments.views.access import requires_member, requires_view
from listening import clearance, trials
from listening.forms import CHOICES_SHOWN, TestForm
from listening.models import Item, ListeningTest
from portal import confirmation
from portal.http.playing import audio_response
from portal.inputs import parameters
from portal.models import User
from portal.views import signed_in

SCORES = {str(score): score for score in range(1, 6)}


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
        rows.append({"test": test, "done": done, "total": len(clips)})
    return rows


@require_safe
def rate(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one clip, `?clip=3`; without it the first that waits for an answer."""
    user = signed_in(request)
    tests = ListeningTest.objects.open_to(user)
    test = tests.filter(pk=pk).first()
    if test is None:
        return _not_open(request, pk)
    clips = trials.clip_order(test, user)
    audible = [clip for clip in clips if not clip.withdrawn]
    clip_number = parameters.read_parameters(request).text("clip")
    unanswered = next((clip for clip in audible if clip.score is None), None)
    clip = next((clip for clip in audible if str(clip.number) == clip_number), unanswered)
    later = next((other for other in audible if clip and other.number > clip.number), None)
    context = {
        "test": test,
        "place": clip,
        "places": clips,
        "done": sum(clip.score is not None for clip in audible),
        "total": len(audible),
        "withdrawn": len(clips) - len(audible),
        "later": later,
        "scores": range(1, 6),
    }
    return render(request, "listening/rate.html", context)


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
    item = get_object_or_404(
        Item.objects.filter(test__in=ListeningTest.objects.meant_for(user)), code=code
    )
    by_script = request.headers.get("Accept") == "application/json"
    text = parameters.posted_parameters(request).choice("score", SCORES)
    try:
        rating = trials.answer(item=item, listener=user, score=SCORES.get(text, 0))
    except (trials.BadScore, trials.Closed, trials.Withdrawn) as refusal:
        if by_script:
            return JsonResponse({"error": str(refusal)}, status=422)
        messages.error(request, str(refusal))
        if isinstance(refusal, trials.Closed):
            return redirect("listening:open")
        return redirect("listening:rate", pk=item.test_id)
    if by_script:
        return JsonResponse({"score": rating.score})
    return redirect("listening:rate", pk=item.test_id)


@require_safe
def audio(request: HttpRequest, code: UUID) -> HttpResponseBase:
    """Stream a clip by its code, under a file name that reveals nothing."""
    user = signed_in(request)
    items = Item.objects.filter(test__in=ListeningTest.objects.open_to(user))
    item = get_object_or_404(items.select_related("sample__audio", "test"), code=code)
    if item.sample_id not in clearance.audible([item.sample_id], outside=item.test.is_outside):
        return answer_gone("This clip was withdrawn and can no longer be heard.")
    return audio_response(request, item.sample.audio, "clip", tag=str(code))


@require_safe
@requires_view
def tests(request: HttpRequest, project: Project) -> HttpResponse:
    """List the project's tests, newest first."""
    rows = ListeningTest.objects.filter(project=project).select_related("created_by")
    return render(request, "listening/tests.html", {"project": project, "tests": rows})


@require_http_methods(["GET", "HEAD", "POST"])
@requires_member
def new(request: HttpRequest, project: Project) -> HttpResponse:
    """Set up a test; samples may be preselected, `?sample=1&sample=2`, or filtered by `?run=`."""
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
    choices = form.fields["samples"].queryset.order_by("-final", "-created_at")  # type: ignore[attr-defined]
    if (run := parameters.read_parameters(request).number("run")) is not None:
        choices = choices.filter(run__number=run)
    context = {
        "project": project,
        "form": form,
        "shown": choices[:CHOICES_SHOWN],
        "chosen": {
            str(pk) for pk in parameters.posted_parameters(request).numbers("samples") or chosen
        },
    }
    return render(request, "listening/new.html", context, status=422 if form.errors else 200)


@require_safe
@requires_view
def results(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Show the listeners' ratings, per run and per sample."""
    test = get_object_or_404(ListeningTest, project=project, pk=pk)
    context = {"project": project, "test": test, "results": trials.results(test)}
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
