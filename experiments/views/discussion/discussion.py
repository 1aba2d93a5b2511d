"""A discussion, and the acts in it. Each answers with the whole discussion: as a page, or as the
part of one that htmx asked for."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from experiments.discussion import comments, mentions, subjects
from experiments.discussion.forms import CommentForm
from experiments.inbox import hours, preferences
from experiments.models import Comment, Project
from experiments.views import confirming
from experiments.views.access import requires_view
from experiments.views.run import header, visible_run
from portal.inputs import parameters
from portal.views import signed_in

PER_PAGE = 30


@require_safe
def discussion(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """Show what people say about something."""
    return show(request, _subject(request, kind, key))


@require_safe
@requires_view
def run_discussion(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show what people say about a run."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    tab: dict[str, Any] = header(user, run, tab="discussion")
    tab["whole"] = "experiments/run/discussion.html"
    return show(request, subjects.of_run(run), **tab)


@require_POST
def comment_post(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """Write a comment, or an answer to one."""
    subject, by = _subject(request, kind, key), signed_in(request)
    form = CommentForm(request.POST)
    answered = parameters.posted_parameters(request).number("parent")
    parent = None
    if answered is not None:
        rows = Comment.objects.about(subject.kind, subject.key)
        parent = get_object_or_404(rows, pk=answered)
    if form.is_valid():
        try:
            text = form.cleaned_data["text"]
            posted = comments.post(by=by, subject=subject, text=text, parent=parent)
        except comments.NotPossible as refusal:
            form.add_error("text", str(refusal))
        else:
            return _done(request, subject, posted)
    root = (parent.parent_id or parent.pk) if parent else None
    return show(request, subject, form=form, at=root, answering=root)


@require_http_methods(["GET", "HEAD", "POST"])
def comment_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one's own comment in its form; POST changes it."""
    comment, subject = _own_comment(request, pk)
    form = CommentForm(request.POST or None, initial={"text": comment.text})
    if request.method == "POST" and form.is_valid():
        try:
            text = form.cleaned_data["text"]
            posted = comments.edit(
                by=signed_in(request), comment=comment, subject=subject, text=text
            )
        except comments.NotPossible as refusal:
            form.add_error("text", str(refusal))
        else:
            return _done(request, subject, posted)
    context = {"project": subject.project, "subject": subject, "comment": comment, "form": form}
    status = 422 if form.errors else 200
    return render(request, "discussion/edit.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def comment_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask whether a comment of one's own should go; POST takes it back."""
    comment, subject = _own_comment(request, pk)
    question = confirming.Question(
        name=f"comment.delete:{pk}",
        facts=[comment.text],
        heading="Take back your comment",
        words=f"“{comments.excerpt(comment.text)}” is deleted, with what it said before. "
        "Answers to it stay.",
        button=f"Delete my comment on {subject.title}",
        back=subject.address,
    )
    if page := confirming.ask(request, subject.project, question):
        return page
    comments.delete(by=signed_in(request), comment=comment)
    messages.success(request, "Your comment is deleted.")
    return redirect(subject.address)


@require_safe
def comment_history(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what a comment said before it was changed."""
    visible = Comment.objects.visible_to(signed_in(request)).select_related("author")
    comment = get_object_or_404(visible, pk=pk, deleted_at=None)
    context = {
        "comment": comment,
        "subject": _subject(request, comment.kind, comment.key),
        "edits": comment.edits.all()[:100],
        "zone": hours.zone_of(preferences.settings_of(signed_in(request))),
    }
    return render(request, "discussion/history.html", context)


@require_POST
def discussion_mute(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """Hear nothing of a discussion any more, or hear of it again."""
    subject, by = _subject(request, kind, key), signed_in(request)
    on = parameters.posted_parameters(request).choice("on", ("yes", "no"), "no") == "yes"
    comments.mute(by=by, subject=subject, on=on)
    if _is_part(request):
        return show(request, subject)
    return redirect(subject.address)


@require_safe
def discussion_people(request: HttpRequest, kind: str, key: str) -> HttpResponse:
    """Return whom a comment here can name, as JSON: members whose name begins with `q`."""
    subject = _subject(request, kind, key)
    text = parameters.read_parameters(request).text("q", longest=150)
    found = mentions.suggest(subject.project, text)
    people = [{"username": user.username, "name": user.display_name} for user in found]
    return JsonResponse({"people": people})


def show(
    request: HttpRequest,
    subject: subjects.Subject,
    *,
    form: CommentForm | None = None,
    at: int | None = None,
    **more: Any,
) -> HttpResponse:
    """Show the discussion of a subject; `at` is a comment that the page should have, and `whole`
    the template of a page that has it among other things."""
    user, query = signed_in(request), parameters.read_parameters(request)
    roots = comments.roots(subject)
    pages = Paginator(roots, PER_PAGE)
    wanted = at or query.number("comment")
    number = query.number("page") or (_page_of(subject, wanted) if wanted else pages.num_pages)
    page = pages.get_page(number)
    context = {
        "project": subject.project,
        "subject": subject,
        "threads": comments.threads(page.object_list),
        "page": page,
        "count": comments.count(subject),
        "form": form or CommentForm(),
        "muted": comments.is_muted(user, subject),
        "people": mentions.people(subject.project),
        "zone": hours.zone_of(preferences.settings_of(user)),
        **more,
    }
    whole = more.get("whole", "discussion/page.html")
    template = "discussion/part.html" if _is_part(request) else whole
    status = 422 if form is not None and form.errors else 200
    return render(request, template, context, status=status)


def _page_of(subject: subjects.Subject, pk: int) -> int:
    """Return the page that has this comment, or its thread; the last one if there is none."""
    comment = Comment.objects.about(subject.kind, subject.key).filter(pk=pk).first()
    roots = comments.roots(subject)
    if comment is None:
        return max(1, -(-roots.count() // PER_PAGE))
    root = comment.parent or comment
    before = roots.filter(at__lt=root.at) | roots.filter(at=root.at, pk__lt=root.pk)
    return before.count() // PER_PAGE + 1


def _done(request: HttpRequest, subject: subjects.Subject, posted: comments.Posted) -> HttpResponse:
    if sentence := posted.named.sentence:
        messages.warning(request, sentence)
    if _is_part(request):
        return show(request, subject, at=posted.comment.pk, new=posted.comment.pk)
    return redirect(f"{subject.address}?comment={posted.comment.pk}#comment-{posted.comment.pk}")


def _is_part(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def _subject(request: HttpRequest, kind: str, key: str) -> subjects.Subject:
    subject = subjects.find(signed_in(request), kind, key)
    if subject is None:
        raise Http404
    return subject


def _own_comment(request: HttpRequest, pk: int) -> tuple[Comment, subjects.Subject]:
    user = signed_in(request)
    rows = Comment.objects.visible_to(user).filter(author=user, deleted_at=None)
    comment = get_object_or_404(rows.select_related("author"), pk=pk)
    return comment, _subject(request, comment.kind, comment.key)
