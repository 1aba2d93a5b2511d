"""What the portal tells a program about its run."""

from django.db.models import QuerySet

from backline import wire
from experiments.models import DatasetItem, Run

# While a program may read the audio of its dataset.
READING_STATES = (Run.State.STARTING, Run.State.RUNNING)


def items(run: Run) -> QuerySet[DatasetItem]:
    """The included items of the run's dataset, in a fixed order."""
    return (
        DatasetItem.objects.filter(dataset=run.dataset_id, included=True)
        .select_related("recording")
        .order_by("recording_id")
    )


def of(run: Run) -> wire.RunSpec:
    """The spec of `run`. A later attempt is told the newest checkpoint to go on from."""
    seed = run.config.get("seed")
    return wire.RunSpec(
        id=str(run.pk),
        project=run.project.slug,
        number=run.number,
        name=run.name,
        url=run.get_absolute_url(),
        recipe=run.recipe,
        config=run.config,
        seed=seed if isinstance(seed, int) else None,
        dataset=str(run.dataset) if run.dataset else "",
        items=[
            wire.DatasetItem(
                recording=item.recording_id,
                sha256=item.audio_id,
                title=item.recording.title,
                tags=item.recording.tags,
                seconds=item.recording.duration,
                url=f"/api/v1/runs/{run.pk}/audio/{item.recording_id}",
            )
            for item in items(run)
        ],
        resume=_resume(run),
    )


def _resume(run: Run) -> wire.CheckpointSource | None:
    newest = run.checkpoints.order_by("-step").first()
    if newest is None:
        return None
    return wire.CheckpointSource(
        step=newest.step,
        sha256=newest.blob_id,
        url=f"/api/v1/runs/{run.pk}/checkpoints/{newest.step}",
        meta=newest.meta,
    )
