"""The tab of a run that shows its media, one step at a time."""

import re

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from backline import bounds
from experiments.media import reading, silence
from experiments.models import Media, MediaUse, Project, Run
from experiments.views.access import requires_view
from experiments.views.media import cards, files
from experiments.views.run import header, visible_run
from portal.inputs import parameters
from portal.inputs.parameters import Parameters
from portal.views import signed_in

STEP = re.compile(r"-?[0-9]{1,19}")


def step_of(text: str) -> int | None:
    """Return the step that a text is; None for what no row can have."""
    value = int(text) if STEP.fullmatch(text) else None
    return value if value is not None and bounds.MIN_INT <= value <= bounds.MAX_INT else None


@require_safe
@requires_view
def run_media(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Show what the run logged at `?step=`, else at its last; `?name=` shows that alone."""
    user = signed_in(request)
    run = visible_run(user, project, number)
    context = {**header(user, run, tab="media"), **_shown(run, parameters.read_parameters(request))}
    return render(request, "experiments/media/run.html", context)


@require_safe
@requires_view
def run_media_file(
    request: HttpRequest, project: Project, number: int, pk: int
) -> HttpResponseBase:
    """The bytes of a picture (`?small=1`: a thumbnail), table or figure; 410 if it is withheld."""
    run = visible_run(signed_in(request), project, number)
    rows = silence.judged(Media.objects.filter(run=run).select_related("blob", "thumbnail"))
    row = get_object_or_404(rows, pk=pk)
    return files.answer(request, row, small="small" in parameters.read_parameters(request))


def _shown(run: Run, query: Parameters) -> dict[str, object]:
    names = reading.names_of([run])
    name = query.choice("name", [one.name for one in names])
    by_name = {
        one.name: reading.steps_of([run.pk], one.name).get(run.pk, [])
        for one in names
        if not name or one.name == name
    }
    steps = sorted({step for found in by_name.values() for step in found})
    asked = step_of(query.text("step"))
    step = reading.nearest(steps, asked) if asked is not None else (steps[-1] if steps else None)
    rows = reading.at({run.pk: step}, list(by_name)) if step is not None else []
    place = steps.index(step) if step is not None else 0
    return {
        "names": names,
        "name": name,
        "steps": steps,
        "step": step,
        "asked": asked,
        "previous": steps[place - 1] if place else None,
        "next": steps[place + 1] if place + 1 < len(steps) else None,
        "groups": cards.groups(rows),
        "elsewhere": cards.elsewhere([row.name for row in rows], by_name, step or 0),
        "use": MediaUse.objects.filter(run=run).first(),
        "replaced": Media.objects.filter(run=run, replaced=True).count(),
    }
