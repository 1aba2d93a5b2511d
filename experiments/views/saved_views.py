"""Saved views of the run table: save, delete, choose which comes first."""

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from experiments.models import Project, RunView
from experiments.run_table import query, saved_views
from experiments.run_table.layout import Layout
from experiments.views.access import requires_view
from portal.inputs import parameters
from portal.inputs.forms import Form
from portal.views import signed_in


class ViewForm(Form):
    name = forms.CharField(label="Name of the view", max_length=80)
    shared = forms.BooleanField(label="Everybody in the project sees it", required=False)


@require_POST
@requires_view
def view_save(request: HttpRequest, project: Project) -> HttpResponse:
    """Save the layout in the address under the posted name."""
    layout = Layout.from_parameters(parameters.read_parameters(request))
    form = ViewForm(request.POST)
    if not form.is_valid():
        return _page(request, project, form, layout)
    try:
        view = saved_views.save(
            by=signed_in(request), project=project, layout=layout, **form.cleaned_data
        )
    except (saved_views.ViewRefused, query.BadQuery) as refusal:
        form.add_error(None, str(refusal))
        return _page(request, project, form, layout)
    messages.success(request, f"Saved as “{view.name}”.")
    return redirect(_address(project, view=view.pk))


@require_POST
@requires_view
def view_delete(request: HttpRequest, project: Project, pk: int) -> HttpResponse:
    """Delete one's own view."""
    user = signed_in(request)
    view = get_object_or_404(RunView.objects.visible_to(user, project), pk=pk)
    try:
        saved_views.delete(by=user, view=view)
    except saved_views.ViewRefused as refusal:
        messages.error(request, str(refusal))
        return redirect(_address(project, view=pk))
    # What it showed stays on the page: saved again, it is back.
    messages.success(request, f"Deleted the view “{view.name}”. Save what you see to undo that.")
    layout = saved_views.layout_of(view)
    return redirect(f"{_address(project)}?{layout.address()}")


@require_POST
@requires_view
def view_first(request: HttpRequest, project: Project) -> HttpResponse:
    """Choose the view that one sees first, or everybody (`for_all`); none: the usual columns."""
    user, posted = signed_in(request), parameters.posted_parameters(request)
    view = None
    if pk := posted.number("view"):
        view = get_object_or_404(RunView.objects.visible_to(user, project), pk=pk)
    try:
        saved_views.make_first(by=user, project=project, view=view, for_all="for_all" in posted)
    except saved_views.ViewRefused as refusal:
        messages.error(request, str(refusal))
    else:
        whose = "Everybody here sees" if "for_all" in posted else "You see"
        messages.success(request, f"{whose} {f'“{view}”' if view else 'the usual columns'} first.")
    return redirect(_address(project, view=view.pk if view else "standard"))


def _address(project: Project, **query: object) -> str:
    return reverse("experiments:runs", args=[project.slug], query=query)


def _page(request: HttpRequest, project: Project, form: ViewForm, layout: Layout) -> HttpResponse:
    context = {"project": project, "form": form, "address": layout.address()}
    return render(request, "experiments/view_save.html", context, status=422)
