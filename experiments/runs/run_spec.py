"""The spec of a run: what its program gets from the portal."""

from collections import defaultdict
from typing import Literal

from django.db.models import QuerySet

from backline import wire
from experiments.models import DatasetItem, Run
from experiments.runs import arithmetic
from rights.models import Credit

# A program may read the audio of its dataset in these states.
READING_STATES = (Run.State.STARTING, Run.State.RUNNING)
FORMATS: dict[str, Literal["wav", "flac", "mp3", "ogg"]] = {
    "wav": "wav",
    "flac": "flac",
    "mp3": "mp3",
    "ogg": "ogg",
}


def items(run: Run) -> QuerySet[DatasetItem]:
    """Return the included items of the run's dataset, in a fixed order."""
    return (
        DatasetItem.objects.filter(dataset=run.dataset_id, included=True)
        .select_related("recording", "audio")
        .order_by("recording_id")
    )


def _artists(run: Run) -> dict[int, list[str]]:
    """Return main and featured artists of each recording, as credited."""
    artists: dict[int, list[str]] = defaultdict(list)
    roles = (Credit.RoleCode.MAIN_ARTIST, Credit.RoleCode.FEATURED_ARTIST)
    rows = Credit.objects.filter(recording__in=items(run).values("recording"), role__in=roles)
    for recording, name in rows.order_by("pk").values_list("recording", "party__name"):
        if recording is not None and name not in artists[recording]:
            artists[recording].append(name)
    return artists


def spec_of(run: Run) -> wire.RunSpec:
    """Return the spec of `run`. A later attempt gets the newest checkpoint to resume from."""
    seed = run.config.get("seed")
    artists = _artists(run)
    return wire.RunSpec(
        id=str(run.pk),
        project=run.project.slug,
        number=run.number,
        name=run.name,
        description=run.description,
        notes=run.notes,
        tags=run.tags,
        url=run.get_absolute_url(),
        recipe=run.recipe,
        config=run.submitted_config,
        seed=seed if isinstance(seed, int) else None,
        dataset=str(run.dataset) if run.dataset else "",
        items=[
            wire.DatasetItem(
                recording=item.recording_id,
                sha256=item.audio_id,
                title=item.recording.title,
                artists=artists.get(item.recording_id, []),
                tags=item.recording.tags,
                seconds=item.recording.duration,
                url=f"/api/v1/runs/{run.pk}/audio/{item.recording_id}",
                format=FORMATS.get(item.recording.format.lower(), ""),
            )
            for item in items(run)
        ],
        resume=_resume(run),
        start_from=_start(run),
        arithmetic=arithmetic.arithmetic_of(run),
        accepts=["environment", "media"],
    )


def _resume(run: Run) -> wire.CheckpointSource | None:
    newest = run.checkpoints.usable().order_by("-step").first()
    if newest is None:
        return None
    return wire.CheckpointSource(
        step=newest.step,
        sha256=newest.digest,
        url=f"/api/v1/runs/{run.pk}/checkpoints/{newest.step}",
        meta=newest.meta,
    )


def _start(run: Run) -> wire.CheckpointSource | None:
    """Return the initial weights by a URL of the run's own; each read checks that it is allowed."""
    checkpoint = run.start_from
    if checkpoint is None:
        return None
    url = f"/api/v1/runs/{run.pk}/start-from"
    return wire.CheckpointSource(
        step=checkpoint.step, sha256=checkpoint.digest, url=url, meta=checkpoint.meta
    )
