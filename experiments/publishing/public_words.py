"""Runs in public words: what people outside the lab may read about them.

A model that has a public page is named as on that page; every other is an internal model with a
reference, which is the beginning of its run's random key. Projects, runs and people of
the lab are never named.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from experiments.models import Run
from experiments.models.publishing import ModelPage
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


def public_sources(runs: Sequence[Run]) -> dict[UUID, registries.PublicSource]:
    """Return each run in public words, in one query."""
    pages = ModelPage.objects.public().filter(run__in=[run.pk for run in runs])
    names = {page.run_id: f"{page.title}, version {page.version}" for page in pages.order_by("pk")}
    return {
        run.pk: registries.PublicSource(
            name=names.get(run.pk, registries.INTERNAL),
            reference=registries.reference(f"run:{run.pk}"),
            state=STATES[Run.State(run.state)],
            at=run.started_at or run.queued_at,
        )
        for run in runs
    }


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
