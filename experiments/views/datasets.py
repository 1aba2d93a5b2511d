"""Datasets: the list, one dataset with what it includes and leaves out, and a new one."""

from django.core.paginator import Paginator
from django.db.models import Count, Q, TextField
from django.db.models.functions import Cast
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from backline.uses import use_named
from experiments.forms import DatasetForm
from experiments.models import Dataset, Project, Run
from experiments.runs import datasets as sets
from experiments.runs import runs
from experiments.views.access import may_act, requires_member, requires_view
from portal.inputs import parameters
from portal.inputs.text import matching
from portal.models import User
from portal.views import signed_in
from rights.models import Recording, RecordingQuerySet, Use

# The form shows at most this many; a freeze can take everything that a search returns.
MAX_RECORDINGS = 1000
PAGE_SIZE = 100
# Left-out recordings shown beside the included ones.
LEFT_OUT_SHOWN = 50


@require_safe
@requires_view
def datasets(request: HttpRequest, project: Project) -> HttpResponse:
    user = signed_in(request)
    rows = Dataset.objects.visible_to(user).filter(project=project).select_related("frozen_by")
    rows = rows.annotate(
        included=Count("items", filter=Q(items__included=True)),
        left_out=Count("items", filter=Q(items__included=False)),
    )
    acts = may_act(user=user, project=project)
    context = {"project": project, "datasets": rows, "may_act": acts}
    return render(request, "experiments/datasets.html", context)


@require_safe
@requires_view
def dataset(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    user = signed_in(request)
    rows = Dataset.objects.visible_to(user).filter(project=project, pk=pk)
    row = rows.select_related("frozen_by").first()
    if row is None:
        raise Http404
    items = row.items.select_related("recording").order_by("recording__title", "pk")
    included, left_out = items.filter(included=True), items.filter(included=False)
    made = Run.objects.visible_to(user).filter(dataset=row)
    only_left = "left" in parameters.read_parameters(request)
    pages = Paginator(left_out if only_left else included, PAGE_SIZE)
    context = {
        "project": project,
        "dataset": row,
        "only_left": only_left,
        "page": pages.get_page(parameters.read_parameters(request).page()),
        "left_out": left_out[:LEFT_OUT_SHOWN],
        "included_count": included.count(),
        "left_out_count": left_out.count(),
        "holds": runs.holds_on(row, row.use),
        "runs": made.select_related("project").order_by("-queued_at")[:20],
        "may_act": may_act(user=user, project=project),
    }
    return render(request, "experiments/dataset.html", context)


@require_safe
@requires_member
def dataset_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Search, choose a use, and preview what the dataset would include and leave out."""
    form = DatasetForm(initial={"use": _use(parameters.read_parameters(request).text("use"))})
    return _preview(request, project, form, parameters.read_parameters(request).text("q"))


@require_POST
@requires_member
def dataset_freeze(request: HttpRequest, project: Project) -> HttpResponse:
    user = signed_in(request)
    form = DatasetForm(request.POST)
    posted = parameters.posted_parameters(request)
    picked, query = posted.numbers("recording", most=MAX_RECORDINGS), posted.text("q")
    if form.is_valid():
        chosen = Recording.objects.visible_to(user).filter(pk__in=picked)
        if form.cleaned_data["everything"]:
            chosen = _search(user, query)
        name, use = form.cleaned_data["name"], Use(form.cleaned_data["use"])
        try:
            frozen = sets.freeze(by=user, project=project, name=name, recordings=chosen, use=use)
        except sets.EmptyDataset as refusal:
            form.add_error(None, str(refusal))
        else:
            return redirect(frozen)
    return _preview(request, project, form, query, picked=set(picked), status=422)


def _preview(
    request: HttpRequest,
    project: Project,
    form: DatasetForm,
    query: str,
    *,
    picked: set[int] | None = None,
    status: int = 200,
) -> HttpResponse:
    use = _use(str(form["use"].value() or ""))
    recordings = _search(signed_in(request), query)
    preview = sets.preview(project=project, recordings=recordings[:MAX_RECORDINGS], use=use)
    shown = {line.recording.pk for line in [*preview.included, *preview.left_out]}
    context = {
        "project": project,
        "form": form,
        "query": query,
        "use": use,
        "preview": preview,
        "shown": len(shown),
        "found": recordings.count() if len(shown) == MAX_RECORDINGS else len(shown),
        "picked": shown if picked is None else picked,
    }
    return render(request, "experiments/dataset_new.html", context, status=status)


def _use(text: str) -> Use:
    return use_named(text) or Use.TRAIN_GENERATIVE


def _search(user: User, query: str) -> RecordingQuerySet:
    """Return visible recordings with every word of the query in title, artists or tags."""
    rows = Recording.objects.filter(pk__in=Recording.objects.visible_to(user).values("pk")).alias(
        tag_text=Cast("tags", TextField())
    )
    for word in query.split()[:10]:
        by_artist = Recording.objects.filter(matching(word, "credits__party__name")).values("pk")
        rows = rows.filter(matching(word, "title", "tag_text") | Q(pk__in=by_artist))
    return rows.order_by("title")
