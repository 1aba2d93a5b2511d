"""Runs in public words: what people outside the lab may read about them.

A model that has a public page is named as on that page; every other is an internal model with a
reference, which is the beginning of its run's random key. Those whose music it used also read
what kind of model it is, when it was made, for which purpose and with how many recordings.
Projects, runs and people of the lab are never named.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db.models import Count

from experiments import recipes
from experiments.models import DatasetItem, Project, Run
from experiments.models.publishing import ModelPage
from rights.models import Purpose, Use
from rights.rightsholder import registries

STATES = {
    Run.State.QUEUED: "waits to begin",
    Run.State.STARTING: "begins now",
    Run.State.RUNNING: "is learning now",
    Run.State.STOPPING: "is being stopped",
    Run.State.FINISHED: "finished",
    Run.State.FAILED: "ended with an error",
    Run.State.CANCELLED: "was cancelled",
    Run.State.WITHHELD: "was stopped, because a permission ended",
}
# What its holders read besides how far it is.
ENDS = {
    Run.State.STOPPING: "being stopped now",
    Run.State.FAILED: "ended by an error",
    Run.State.CANCELLED: "cancelled before it was done",
    Run.State.WITHHELD: "stopped, because a permission ended",
}
FROM_WEIGHTS_ALONE = "Music made with a trained model"


def public_sources(runs: Sequence[Run]) -> dict[UUID, registries.PublicSource]:
    """Return each run in public words, in a constant number of queries."""
    pages = ModelPage.objects.public().filter(run__in=[run.pk for run in runs])
    names: dict[UUID, str] = {}
    shown = set()
    for page in pages.order_by("pk"):
        names[page.run_id] = f"{page.title}, version {page.version}"
        if page.withdrawn_at is None:
            shown.add(page.run_id)
    sizes = _recordings_in([run.dataset_id for run in runs if run.dataset_id is not None])
    purposes = dict(
        Project.objects.filter(pk__in={run.project_id for run in runs})
        .order_by()
        .values_list("pk", "purpose")
    )
    return {
        run.pk: registries.PublicSource(
            name=names.get(run.pk, registries.INTERNAL),
            reference=registries.reference(f"run:{run.pk}"),
            state=STATES[Run.State(run.state)],
            at=run.started_at or run.queued_at,
            kind=f"{_outcome(run)} for {Purpose(purposes[run.project_id]).label.lower()}",
            made=_made(run),
            recordings=sizes.get(run.dataset_id or 0, 0),
            ended=ENDS.get(Run.State(run.state), ""),
            released=run.pk in names,
            withdrawn=run.pk in names and run.pk not in shown,
        )
        for run in runs
    }


def _recordings_in(datasets: Sequence[int]) -> dict[int, int]:
    """Return how many recordings each dataset holds."""
    rows = DatasetItem.objects.filter(dataset__in=set(datasets), included=True).order_by()
    return dict(rows.values_list("dataset").annotate(Count("pk")))


def _outcome(run: Run) -> str:
    recipe = recipes.RECIPES.get(run.recipe)
    if run.dataset_id is None and recipe is not None and recipe.generates:
        return FROM_WEIGHTS_ALONE
    use = Use(run.use) if run.use else None
    return (use.facts.outcome or use.label) if use else registries.INTERNAL


def _made(run: Run) -> str:
    """Say how far it is, as a word before its music: "trained", "in training"."""
    trains = bool(run.use) and Use(run.use).facts.makes_model
    if run.started_at is None:
        return "waits to be trained" if trains else "waits to be made"
    if run.is_open:
        return "in training" if trains else "in the making"
    return "trained" if trains else "made"


def _named(names: Sequence[str]) -> Mapping[str, registries.PublicSource]:
    keys = {}
    for name in names:
        try:
            keys[UUID(name.partition(":")[2])] = name
        except ValueError:
            continue
    sources = public_sources(list(Run.objects.filter(pk__in=keys)))
    return {keys[pk]: source for pk, source in sources.items()}


registries.register_names("run", _named)
