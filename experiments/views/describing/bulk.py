"""Acts on many runs: each shown before, done, and undone; tags of a project, and deleted runs."""

from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from experiments.models import Project, Run, RunBatch
from experiments.run_table import query
from experiments.runs import bulk, describing, numbers, shelving
from experiments.runs.runs import NotPossible
from experiments.views.access import may_act, requires_member, requires_view
from experiments.views.describing.forms import BulkForm, RenameForm
from portal import confirmation
from portal.inputs import parameters
from portal.views import signed_in

REFUSALS = (
    bulk.BadBatch, bulk.Changed, describing.BadDescription, numbers.BadNumbers, query.BadQuery,
    confirmation.PreviewChanged,
)  # fmt: skip
# What is done only after its page was read: it ends what goes on, or takes runs away.
SEALED = {"delete", "cancel"}
PAGE_ACTS = tuple(act for act in bulk.WORDS if act != "rename")
LISTED = 50


@require_http_methods(["GET", "HEAD", "POST"])
@requires_member
def run_bulk(request: HttpRequest, project: Project, act: str) -> HttpResponse:
    """Show what an act on many runs would do, and do it."""
    if act not in PAGE_ACTS:
        raise Http404
    user = signed_in(request)
    asked = _asked(parameters.read_parameters(request))
    form = BulkForm(request.POST) if request.method == "POST" else BulkForm(asked)
    error, plan, chosen = "", None, list[Run]()
    try:
        if form.is_valid() and request.method == "POST":
            return _do(request, project, act, form)
    except REFUSALS as refusal:
        error = str(refusal)
    try:
        if form.is_valid():
            rows, tags = form.rows(act, project, user), form.tag_names()
            if tags or act not in bulk.TAGGING:
                plan = bulk.plan(project=project, rows=rows, act=act, tags=tags)
            else:
                # The page is shown before any tag was named.
                chosen = bulk.chosen(project=project, rows=rows)
    except REFUSALS as refusal:
        error = error or str(refusal)
    context = _context(request, project, act, form, plan or bulk.Plan(act, chosen))
    context["error"] = error
    status = 422 if (error or form.errors) and request.method == "POST" else 200
    return render(request, "experiments/describing/bulk.html", context, status=status)


def _asked(given: parameters.Parameters) -> QueryDict:
    """Return what the address asks; a table without a script sends each run by itself."""
    asked = given.everything()
    if runs := given.texts("runs"):
        asked = asked.copy()
        asked["numbers"] = ",".join(runs)
    return asked


def _do(request: HttpRequest, project: Project, act: str, form: BulkForm) -> HttpResponse:
    user = signed_in(request)
    seal = confirmation.posted(request)

    def agreed(plan: bulk.Plan) -> None:
        if act in SEALED:
            name = f"runs.{act}:{project.pk}"
            confirmation.check(seal, by=user, name=name, facts=plan.numbers)

    batch, done = bulk.do(
        by=user, project=project, rows=form.rows(act, project, user), act=act,
        tags=form.tag_names(), expected=form.cleaned_data["count"], agreed=agreed,
    )  # fmt: skip
    messages.success(request, _said(batch, done))
    query_text = form.cleaned_data["q"]
    back = reverse("experiments:runs", args=[project.slug])
    if act == "bring_back":
        back = reverse("experiments:runs_deleted", args=[project.slug])
    return redirect(f"{back}?{urlencode({'q': query_text})}" if query_text else back)


def _said(batch: RunBatch, done: bulk.Plan) -> str:
    words = f"{bulk.WORDS[batch.act][1]} {_runs(len(done.runs))}."
    if done.unchanged:
        words += f" {_runs(len(done.unchanged))} needed nothing."
    if done.refused:
        words += f" Not {_runs(len(done.refused))}: {done.refused[0][1]}"
    address = reverse("experiments:run_batch", args=[batch.project.slug, batch.pk])
    link = "Look or undo" if batch.act in bulk.UNDOABLE else "Look"
    return format_html('{} <a href="{}">{}</a>', words, address, link)


@require_safe
@requires_view
def run_batch(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Show what was done to many runs at once."""
    batch = get_object_or_404(project.run_batches.select_related("by"), pk=pk)
    edits = batch.edits.select_related("run").order_by("run__number")
    context = {
        "project": project,
        "batch": batch,
        "done": bulk.WORDS[batch.act][1],
        "edits": edits[:LISTED],
        "left": max(0, batch.count - LISTED),
        "undoable": batch.act in bulk.UNDOABLE and batch.undone_at is None,
        "may_act": may_act(user=signed_in(request), project=project),
    }
    return render(request, "experiments/describing/batch.html", context)


@require_POST
@requires_member
def run_batch_undo(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Undo what was done to many runs at once."""
    batch = get_object_or_404(project.run_batches.select_related("project", "by"), pk=pk)
    try:
        undone = bulk.undo(batch=batch, by=signed_in(request))
    except NotPossible as refusal:
        messages.error(request, str(refusal))
    else:
        left = (
            f" Not {_runs(len(undone.refused))}: {undone.refused[0][1]}" if undone.refused else ""
        )
        messages.success(request, f"Undone for {_runs(len(undone.runs))}.{left}")
    return redirect("experiments:run_batch", project.slug, pk)


@require_safe
@requires_view
def runs_deleted(request: HttpRequest, project: Project) -> HttpResponse:
    """Show the runs that were deleted in the last days and may be brought back."""
    user = signed_in(request)
    rows = bulk.rows_for("bring_back", project, user).order_by("-deleted_at", "-number")
    context = {
        "project": project,
        "runs": shelving.deleted_runs(rows.select_related("submitted_by")[:500], timezone.now()),
        "days": shelving.KEPT.days,
        "may_act": may_act(user=user, project=project),
    }
    return render(request, "experiments/describing/deleted.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires_view
def project_tags(request: HttpRequest, project: Project) -> HttpResponse:
    """Show the tags of a project's runs, and rename one in all of them."""
    user = signed_in(request)
    allowed = may_act(user=user, project=project)
    form = RenameForm(request.POST or None)
    if allowed and form.is_valid():
        old, new = form.cleaned_data["old"], form.cleaned_data["new"]
        rows = bulk.rows_for("rename", project, user)
        try:
            rows = rows.filter(tag_rows__key=old.casefold())
            batch, done = bulk.do(
                by=user, project=project, rows=rows, act="rename", tags=[old, new]
            )
            messages.success(request, _said(batch, done))
            return redirect("experiments:project_tags", project.slug)
        except REFUSALS as refusal:
            form.add_error("new", str(refusal))
    context = {
        "project": project,
        "tags": describing.tags_of(project),
        "form": form,
        "old": form.data.get("old", ""),
        "may_act": allowed,
    }
    status = 422 if form.errors else 200
    return render(request, "experiments/describing/project_tags.html", context, status=status)


def _context(
    request: HttpRequest, project: Project, act: str, form: BulkForm, plan: bulk.Plan
) -> dict[str, object]:
    """Return what the page of an act shows; its seal covers the runs that it will change."""
    user = signed_in(request)
    name = f"runs.{act}:{project.pk}"
    return {
        "project": project,
        "act": act,
        "heading": bulk.WORDS[act][0],
        "form": form,
        "plan": plan,
        "tagging": act in bulk.TAGGING,
        "final": act not in bulk.UNDOABLE,
        "shown": {"seal": confirmation.seal(by=user, name=name, facts=plan.numbers)},
        "listed": plan.runs[:LISTED],
        "more": max(0, len(plan.runs) - LISTED),
        "refused": plan.refused[:LISTED],
        "days": shelving.KEPT.days,
    }


def _runs(count: int) -> str:
    return f"{count:,} run" if count == 1 else f"{count:,} runs"
