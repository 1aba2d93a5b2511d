"""What is said of one run: read, edited, and undone."""

from django.contrib import messages
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from experiments.models import Project, Run
from experiments.run_page import edits
from experiments.runs import describing
from experiments.views.access import may_act, requires_member, requires_view
from experiments.views.describing.forms import LABELS, TagForm, WordsForm
from experiments.views.run import visible_run
from portal.views import signed_in


@require_http_methods(["GET", "HEAD", "POST"])
@requires_member
def run_describe(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Edit name, description, tags and notes."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    form = WordsForm(request.POST) if request.method == "POST" else WordsForm.of(run)
    theirs: dict[str, str] = {}
    if form.is_bound and form.is_valid():
        try:
            return redirect(describing.edit(run=run, by=user, **form.words()))
        except describing.BadDescription as refusal:
            form.add_error(refusal.field, str(refusal))
        except describing.Overtaken as clash:
            run.refresh_from_db()
            form.ask_again(clash, run)
            theirs = {LABELS[field]: text for field, text in clash.current.items()}
    context = {
        "project": project,
        "run": run,
        "form": form,
        "theirs": theirs,
        "known_tags": describing.tags_of(project),
    }
    status = 422 if form.errors else 200
    return render(request, "experiments/describing/describe.html", context, status=status)


@require_POST
@requires_member
def run_tags_add(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Add tags to the run."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    form = TagForm(request.POST)
    if form.is_valid():
        try:
            run = describing.edit(run=run, by=user, add_tags=form.names())
        except describing.BadDescription as refusal:
            form.add_error("tags", str(refusal))
    return _tags(request, project, run, form)


@require_POST
@requires_member
def run_tags_remove(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Remove tags from the run."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    form = TagForm(request.POST)
    if form.is_valid():
        try:
            run = describing.edit(run=run, by=user, remove_tags=form.names())
        except describing.BadDescription as refusal:
            form.add_error("tags", str(refusal))
    return _tags(request, project, run, form)


@require_safe
@requires_view
def run_edits(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show every change of what is said of the run, each with what it changed."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    context = {
        "project": project,
        "run": run,
        "changes": edits.changes(run),
        "may_act": may_act(user=user, project=project),
    }
    return render(request, "experiments/describing/edits.html", context)


@require_POST
@requires_member
def run_edit_undo(
    request: HttpRequest, project: Project, number: int, version: int
) -> HttpResponse:
    """Set what one edit has changed as it was before it."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    edit = run.edits.filter(version=version).select_related("run__project").first()
    if edit is None:
        raise Http404
    try:
        describing.undo(edit=edit, by=user)
    except (describing.BadDescription, describing.Overtaken) as refusal:
        messages.error(request, f"Not undone. {refusal}")
    else:
        messages.success(request, "Undone. That is a change too, and can be undone.")
    return redirect("experiments:run_edits", project.slug, number)


def _tags(request: HttpRequest, project: Project, run: Run, form: Form) -> HttpResponse:
    """Answer a change of tags: with the tags alone where they are changed in place."""
    if not getattr(request, "htmx", False):
        for sentence in form.errors.get("tags", ()):
            messages.error(request, str(sentence))
        return redirect("experiments:run", project.slug, run.number)
    context = {"project": project, "run": run, "tag_form": form, "may_act": True}
    status = 422 if form.errors else 200
    return render(request, "experiments/describing/tags.html", context, status=status)
