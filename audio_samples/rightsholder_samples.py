"""The training impact of a rightsholder's music, and which samples they may hear.

A rightsholder may hear the final samples of every run that learned from a recording they have a
part in, also by way of another run's weights. Samples made during training are a researcher's
drafts and stay in the project (docs/decisions.md). The right is checked each time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Case, Count, QuerySet, Sum, Value, When
from django.urls import reverse

from audio_samples import clips, releases
from audio_samples.audibility import silences
from audio_samples.models import ClipRelease, Sample, SampleFlag, SampleQuerySet
from experiments.clearance.descendants import runs_with
from experiments.models import Checkpoint, DatasetItem, Run, revocations
from experiments.publishing import public_words
from rights.models import Party, Recording, UsageEvent, Use
from rights.rightsholder import overview, registries

NEVER_BEGAN = (Run.State.CANCELLED, Run.State.FAILED, Run.State.WITHHELD)


def runs_trained_on(parties: Sequence[Party], recording: Recording | None = None) -> QuerySet[Run]:
    """Return the runs that learned or will learn from the parties' recordings, newest first."""
    rows = overview.repertoire(parties)
    if recording is not None:
        rows = rows.filter(pk=recording.pk)
    runs = Run.objects.filter(pk__in=runs_with(rows)).exclude(
        started_at=None, state__in=NEVER_BEGAN
    )
    return runs.order_by("-queued_at", "pk")


def samples_of(parties: Sequence[Party]) -> SampleQuerySet:
    """Return the final samples of these parties' runs, which they may know of: silent ones too."""
    return Sample.objects.filter(
        run__in=runs_trained_on(parties).order_by().values("pk"), final=True
    )


def page_url(sample: Sample) -> str:
    """Return the address of the rightsholder's page of the sample."""
    return reverse("audio_samples:mine_sample", args=[sample.pk])


class AudibleSample(clips.Clip):
    """A clip with an address that checks the rightsholder's own right."""

    @property
    def url(self) -> str:
        return "" if self.withheld else reverse("audio_samples:mine_audio", args=[self.sample.pk])


def clip_row(sample: Sample) -> clips.ClipRow:
    title = f"Sample {sample.pk}"
    clip = AudibleSample(
        sample=sample, label=title, withheld=silences.reason_for_rightsholders(sample)
    )
    return clips.ClipRow(key=f"mine:{sample.pk}", title=title, clips=[clip])


def share(sample: Sample, own: set[int]) -> float:
    """Return the share of these recordings in the sample's credit statement, 0 to 1."""
    if sample.credit is None:
        return 0.0
    return sum(line.share for line in sample.credit.read().lines if line.recording in own)


@dataclass
class TrainedModel:
    """One run in public words, with what it used of the parties' music and what it delivered."""

    run: Run
    source: registries.PublicSource
    seconds: float = 0.0
    examples: int = 0
    total_seconds: float = 0.0
    checkpoints: dict[str, int] = field(default_factory=dict)
    samples: int = 0
    # How many of the recordings it was made with are the parties'.
    recordings: int = 0

    @property
    def history(self) -> str:
        """With how much music it was made, and what became of it, in one sentence."""
        source = self.source
        text = source.made[:1].upper() + source.made[1:]
        if source.recordings:
            of_all = f"{source.recordings:,} recording{'' if source.recordings == 1 else 's'}"
            text += f" with {of_all}, {self.recordings or 'none'} of them yours"
        parts = [text, source.ended]
        if self.by_weights:
            parts.append("it started from a model that had learned from your music")
        if self.use.facts.makes_model:
            parts.append(_release(source))
        return "; ".join(filter(None, parts)) + "."

    @property
    def share(self) -> float | None:
        return self.seconds / self.total_seconds if self.total_seconds else None

    @property
    def saved(self) -> int:
        return sum(self.checkpoints.values())

    @property
    def use(self) -> Use:
        return Use(self.run.use)

    @property
    def by_weights(self) -> bool:
        """Whether it used none of the music itself, but started from weights that had."""
        return not self.examples and self.run.start_from_id is not None


def _release(source: registries.PublicSource) -> str:
    if source.withdrawn:
        return "the lab showed it to the world, and has withdrawn it"
    return "the lab shows it to the world" if source.released else "not released"


def trained_models(runs: Sequence[Run], parties: Sequence[Party]) -> list[TrainedModel]:
    """Return the runs with their figures; a constant number of queries."""
    sources = public_words.public_sources(runs)
    models = {run.pk: TrainedModel(run, sources[run.pk]) for run in runs}
    pks = {f"run:{pk}": pk for pk in models}
    events = UsageEvent.objects.filter(source__in=pks).order_by()
    own = events.filter(recording__in=overview.repertoire(parties).values("pk"))
    for source, examples, seconds in own.values_list("source").annotate(
        Sum("examples"), Sum("seconds")
    ):
        models[pks[source]].examples, models[pks[source]].seconds = examples, seconds
    for source, seconds in events.values_list("source").annotate(Sum("seconds")):
        models[pks[source]].total_seconds = seconds
    own_items = DatasetItem.objects.filter(
        dataset__in={run.dataset_id for run in runs if run.dataset_id is not None},
        included=True,
        recording__in=overview.repertoire(parties).values("pk"),
    )
    by_dataset = dict(own_items.order_by().values_list("dataset").annotate(Count("pk")))
    for model in models.values():
        model.recordings = by_dataset.get(model.run.dataset_id or 0, 0)
    for pk, state, number in _checkpoints(runs):
        models[pk].checkpoints[state] = models[pk].checkpoints.get(state, 0) + number
    finals = Sample.objects.filter(run__in=list(models), final=True).order_by()
    for pk, number in finals.values_list("run").annotate(Count("pk")):
        models[pk].samples = number
    return list(models.values())


def _checkpoints(runs: Sequence[Run]) -> list[tuple[UUID, str, int]]:
    """Count checkpoints by run and state: kept by the lab, withheld, or retired for good."""
    state = Case(
        When(retired_at__isnull=False, then=Value("retired")),
        When(revocations.weights_are_revoked("digest"), then=Value("withheld")),
        default=Value("kept"),
    )
    rows = Checkpoint.objects.filter(run__in=[run.pk for run in runs]).annotate(state=state)
    counted = rows.order_by().values_list("run", "state").annotate(Count("pk"))
    return [(pk, status, number) for pk, status, number in counted]


def public_release(sample: Sample) -> ClipRelease | None:
    """Return the release by which everybody may hear it; None while nobody outside may."""
    release = sample.releases.live().exclude(released_at=None).select_related("page").first()
    return (
        release if release and releases.public_clip(release.page, release.credential_id) else None
    )


def flags_of(parties: Sequence[Party]) -> QuerySet[SampleFlag]:
    return SampleFlag.objects.filter(party__in=parties).select_related("party", "sample")


def per_recording(run: Run, parties: Sequence[Party]) -> list[Mapping[str, object]]:
    """Return what the run used of the parties' recordings: the 100 that it used most."""
    rows = UsageEvent.objects.filter(
        source=f"run:{run.pk}", recording__in=overview.repertoire(parties).values("pk")
    )
    summed = (
        rows.order_by()
        .values("recording", "recording__title")
        .annotate(examples=Sum("examples"), seconds=Sum("seconds"))
    )
    return list(summed.order_by("-seconds", "recording")[:100])
