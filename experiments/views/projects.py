"""The projects that the user may see, and the user's own runs for the home page."""

from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from experiments.models import Project, Run
from portal.views import signed_in

SHOWN = 10


@require_safe
def projects(request: HttpRequest) -> HttpResponse:
    open_runs = Count("runs", filter=Q(runs__state__in=Run.OPEN_STATES))
    rows = Project.objects.filter(
        pk__in=Project.objects.visible_to(signed_in(request)).values("pk")
    ).annotate(total=Count("runs"), going=open_runs, newest=Max("runs__queued_at"))
    return render(request, "experiments/projects.html", {"projects": rows.order_by("name")})


@require_safe
def home_fragment(request: HttpRequest) -> HttpResponse:
    """Show the user's open runs, and those that ended last."""
    user = signed_in(request)
    runs = Run.objects.visible_to(user).listed().filter(submitted_by=user)
    runs = runs.select_related("project")
    context = {
        "going": runs.filter(state__in=Run.OPEN_STATES).order_by("queued_at")[:SHOWN],
        "ended": runs.exclude(state__in=Run.OPEN_STATES).order_by("-ended_at")[:SHOWN],
    }
    return render(request, "experiments/mine.html", context)
