"""Pages of charts, and the layouts that people keep of them."""

from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from experiments.charts import layouts, page_data, panels, selection
from experiments.charts.panels import BadLayout, Layout
from experiments.charts.selection import Selection
from experiments.media import sources
from experiments.media.reading import Name
from experiments.models import ChartLayout, Project
from experiments.views import confirming
from experiments.views.access import requires_view
from portal.inputs import parameters
from portal.inputs.forms import Form
from portal.inputs.parameters import Parameters
from portal.models import User
from portal.views import signed_in


class LayoutForm(Form):
    """A layout as the page's script has it."""

    content = forms.JSONField(widget=forms.HiddenInput)


class NamedLayoutForm(LayoutForm):
    name = forms.CharField(
        label="Name", max_length=80, help_text="For everybody in the project to find it by."
    )


@require_safe
@requires_view
def charts(request: HttpRequest, project: Project) -> HttpResponse:
    """Show the charts of the newest runs, or of those in the address, as the person left them."""
    return _page(request, project)


@require_safe
@requires_view
def chart_layout(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Show charts in a layout that somebody saved."""
    return _page(request, project, saved=_layout(request, project, pk))


@require_POST
@requires_view
def charts_keep(request: HttpRequest, project: Project) -> HttpResponse:
    """Keep the person's own layout: the page's script asks for it after each change."""
    form = LayoutForm(request.POST)
    if not form.is_valid():
        return HttpResponse("The layout is no JSON.", status=422, content_type="text/plain")
    try:
        layouts.keep(by=signed_in(request), project=project, content=form.cleaned_data["content"])
    except BadLayout as refusal:
        return HttpResponse(str(refusal), status=422, content_type="text/plain")
    return HttpResponse(status=204)


@require_POST
@requires_view
def charts_save(request: HttpRequest, project: Project) -> HttpResponse:
    """Save a layout under a name, and go to its address with the same runs."""
    form = NamedLayoutForm(request.POST)
    if form.is_valid():
        try:
            saved = layouts.save(by=signed_in(request), project=project, **form.cleaned_data)
        except BadLayout as refusal:
            form.add_error("name", str(refusal))
        else:
            messages.success(request, f"Saved as {saved.name}. Its address can be shared.")
            return redirect(_with_runs(request, saved.get_absolute_url()))
    return _page(request, project, form=form, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@requires_view
def charts_delete(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Ask whether a named layout should go; panels of others who began with it stay theirs."""
    layout, by = _layout(request, project, pk), signed_in(request)
    if not layouts.may_delete(user=by, layout=layout):
        context = {"project": project, "sentence": layouts.NOT_YOURS}
        return render(request, "experiments/refused.html", context, status=403)
    question = confirming.Question(
        name=f"charts.delete:{pk}",
        facts=[layout.name],
        heading=f"Delete the layout {layout.name}",
        words="It is gone for everybody in the project. Panels that others have begun with it "
        "stay theirs.",
        button=f"Delete the layout {layout.name}",
        back=layout.get_absolute_url(),
    )
    if (page := confirming.ask(request, project, question)) is not None:
        return page
    layouts.delete(by=by, layout=layout)
    messages.success(request, f"The layout {layout.name} is deleted.")
    return redirect("experiments:charts", project.slug)


@require_POST
@requires_view
def charts_reset(request: HttpRequest, project: Project) -> HttpResponse:
    """Begin again with a panel for each metric."""
    layouts.reset(by=signed_in(request), project=project)
    messages.success(request, "A panel for each metric again.")
    return redirect(_with_runs(request, reverse("experiments:charts", args=[project.slug])))


def _layout(request: HttpRequest, project: Project, pk: int) -> ChartLayout:
    named = ChartLayout.objects.visible_to(signed_in(request)).exclude(name="")
    return get_object_or_404(named.select_related("project", "owner"), project=project, pk=pk)


def _asked(request: HttpRequest) -> Parameters:
    """Return what chooses the runs: the address, or what a form carries of it."""
    post = request.method == "POST"
    return parameters.posted_parameters(request) if post else parameters.read_parameters(request)


def _selection(request: HttpRequest, project: Project) -> tuple[Selection, dict[str, str]]:
    query = _asked(request)
    asked = {
        name: text
        for name in ("runs", "q", "archived")
        if (text := query.text(name, longest=parameters.LONGEST_VALUE))
    }
    chosen = selection.choose(
        user=signed_in(request),
        project=project,
        numbers=asked.get("runs", ""),
        text=asked.get("q", ""),
        archived="archived" in asked,
    )
    return chosen, asked


def _with_runs(request: HttpRequest, address: str) -> str:
    given = parameters.posted_parameters(request).given("runs", "q", "archived")
    query = {name: text for name, text in given.items() if text}
    return f"{address}?{urlencode(query)}" if query else address


def _page(
    request: HttpRequest,
    project: Project,
    *,
    saved: ChartLayout | None = None,
    form: NamedLayoutForm | None = None,
    status: int = 200,
) -> HttpResponse:
    user = signed_in(request)
    chosen, asked = _selection(request, project)
    names = page_data.metric_names(chosen.runs)
    media = sources.names_of(chosen.runs)
    context = {
        "project": project,
        "selection": chosen,
        "saved": saved,
        "may_delete": saved is not None and layouts.may_delete(user=user, layout=saved),
        "named": project.chart_layouts.exclude(name="").select_related("owner", "project"),
        "form": form or NamedLayoutForm(initial={"name": saved.name if saved else ""}),
        "asked": asked,
        "names": names,
        "media": media,
        "data": page_data.make(
            project=project,
            selection=chosen,
            names=names,
            layout=_shown(user, project, saved, form, names=names, media=media),
            media=media,
            is_saved=saved is not None,
        ),
    }
    return render(request, "experiments/charts.html", context, status=status)


def _shown(
    user: User,
    project: Project,
    saved: ChartLayout | None,
    form: NamedLayoutForm | None,
    *,
    names: list[str],
    media: list[Name],
) -> Layout:
    """Return the layout of the page: what was just posted, the saved one, or one's own."""
    if form is not None:
        try:
            return panels.checked(form.cleaned_data.get("content"))
        except BadLayout:
            return layouts.own(user=user, project=project, names=names, media=media)
    if saved is not None:
        return layouts.content_of(saved, names, media)
    return layouts.own(user=user, project=project, names=names, media=media)
