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

# Things of one page: what is beyond is found by its name.
MOST_CARDS = 100
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
    all_names = reading.steps_by_name(run)
    name = query.choice("name", all_names)
    by_name = {name: all_names[name]} if name else all_names
    steps = sorted({step for found in by_name.values() for step in found})
    asked = step_of(query.text("step"))
    step = reading.nearest(steps, asked) if asked is not None else (steps[-1] if steps else None)
    held = silence.reasons_of_runs(Run.objects.filter(pk=run.pk)).get(run.number, "")
    # Said once, and not for each.
    wanted = {} if step is None or held else {run.pk: step}
    rows, left_out = reading.at(wanted, by_name, most=MOST_CARDS)
    place = steps.index(step) if step is not None else 0
    return {
        "names": list(all_names),
        "name": name,
        "steps": steps,
        "step": step,
        "asked": asked,
        "previous": steps[place - 1] if place else None,
        "next": steps[place + 1] if place + 1 < len(steps) else None,
        "groups": cards.groups(rows),
        "left_out": left_out,
        "withheld": held if step is not None else "",
        "elsewhere": cards.elsewhere(by_name, step),
        "use": MediaUse.objects.filter(run=run).first(),
        "replaced": Media.objects.filter(run=run, replaced=True).count(),
    }
