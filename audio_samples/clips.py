"""Samples as a page shows them: rows for one player each, with a credit line for each clip.

A row lists clips to compare with each other. Where a clip is withheld, the page gets the
reason and nothing else: no address, no waveform.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.urls import reverse

from audio_samples.audibility.silences import reason_withheld
from audio_samples.models import CreditStatement, Sample, SampleQuerySet
from experiments.models import Run


@dataclass(frozen=True)
class Clip:
    """One sample for a player; `gain` in dB, `duration` in seconds."""

    sample: Sample
    label: str
    withheld: str

    @property
    def url(self) -> str:
        return "" if self.withheld else reverse("audio_samples:audio", args=[self.sample.pk])

    @property
    def gain(self) -> str:
        return f"{self.sample.gain_db:.3f}"

    @property
    def duration(self) -> str:
        return "0" if self.withheld else f"{self.sample.duration:.6f}"

    @property
    def peaks(self) -> str:
        """The peaks as "low high low high ...", which is shorter than JSON in an attribute."""
        if self.withheld:
            return ""
        return " ".join(f"{low} {high}" for low, high in self.sample.peaks)

    @property
    def credit_line(self) -> str:
        return credit_line(self.sample.credit)


@dataclass
class ClipRow:
    """Clips under one heading; `version` changes whenever anything in the row does."""

    key: str
    title: str
    clips: list[Clip] = field(default_factory=list)
    mode: str = "restart"

    @property
    def name(self) -> str:
        """A short stable id for the address and the DOM."""
        return "r" + hashlib.sha256(self.key.encode()).hexdigest()[:10]

    @property
    def version(self) -> str:
        facts = [(c.sample.pk, c.label, c.withheld, c.sample.credit_id) for c in self.clips]
        return hashlib.sha256(repr((self.title, facts)).encode()).hexdigest()[:12]


def with_credits(samples: SampleQuerySet) -> SampleQuerySet:
    """Return the samples with everything that a clip needs, in three queries."""
    return (
        samples.with_holds()
        .select_related("run__project", "run__dataset", "credit")
        .defer("credit__packed")
        .prefetch_related("credit__named__party")
    )


def clip(sample: Sample, *, label: str = "") -> Clip:
    return Clip(sample=sample, label=label or sample.name, withheld=reason_withheld(sample))


def credit_line(statement: CreditStatement | None) -> str:
    """Return "Learned from Mira Sol, Otto Lang and 6 more"; the panel has the rest."""
    if statement is None:
        return ""
    named = list(statement.named.all())
    reference_names = [artist.party.credit_name for artist in named if artist.heard]
    learned_names = [artist.party.credit_name for artist in named if not artist.heard]
    sentences = []
    if statement.heard:
        names = _names(reference_names, statement.heard_artists, statement.heard)
        sentences.append(f"Reference audio: {names}")
    if statement.learned:
        names = _names(learned_names, statement.learned_artists, statement.learned)
        sentences.append(f"Learned from {names}")
    return ". ".join(sentences)


def _names(named: Sequence[str], artists: int, recordings: int) -> str:
    if not named:
        return f"{recordings:,} recording{'' if recordings == 1 else 's'}"
    more = artists - len(named)
    *before, last = [*named, f"{more:,} more"] if more else named
    return f"{', '.join(before)} and {last}" if before else last


def of_run(run: Run) -> list[ClipRow]:
    """Return a run's samples: a row per final prompt, then one per name and prompt in training."""
    rows: dict[str, ClipRow] = {}
    samples = with_credits(Sample.objects.filter(run=run))
    for sample in samples.order_by("-final", "name", "step", "take", "pk"):
        if sample.final:
            key, title = f"final:{sample.prompt or sample.name}", sample.prompt or sample.name
            label = _label(seed=sample.seed, name=sample.name)
        else:
            key, title = f"training:{sample.name}:{sample.prompt}", sample.prompt or sample.name
            label = f"Step {sample.step:,}"
        row = rows.setdefault(key, ClipRow(key=f"{run.pk}:{key}", title=title))
        row.clips.append(clip(sample, label=label))
    return [_distinguished(row) for row in rows.values()]


def grid(runs: Iterable[Run], only: SampleQuerySet | None = None) -> list[ClipRow]:
    """Return prompts down, runs across: each run's latest clips for a prompt, seed by seed. `only`
    are the samples to choose from, with credits; without it all of these runs."""
    runs = list(runs)
    column = {run.pk: index for index, run in enumerate(runs)}
    latest: dict[tuple[str, int, str, int], Sample] = {}
    samples = with_credits(Sample.objects.filter(run__in=runs)) if only is None else only
    for sample in samples.order_by("final", "step", "pk"):
        # A final clip and those made in training share a cell; the last in this order is shown.
        variant = str(sample.seed) if sample.seed is not None else sample.name
        cell = (sample.prompt or sample.name, column[sample.run_id], variant, sample.take)
        latest[cell] = sample
    rows: dict[str, ClipRow] = {}
    for (prompt, *_), sample in sorted(latest.items(), key=lambda item: item[0]):
        row = rows.setdefault(prompt, ClipRow(key=f"grid:{prompt}", title=prompt))
        run = sample.run
        label = f"{run.number}: {run.name}, {_label(seed=sample.seed, name=sample.name)}"
        row.clips.append(clip(sample, label=label))
    return [_distinguished(row) for row in rows.values()]


@dataclass(frozen=True)
class SilentRows:
    """Why nothing of some rows is to be heard: one reason for all their clips."""

    reason: str
    count: int

    @property
    def sentence(self) -> str:
        everything = "Both clips" if self.count == 2 else f"All {self.count:,} clips"
        return f"{everything}. {self.reason}"

    @property
    def version(self) -> str:
        return hashlib.sha256(self.sentence.encode()).hexdigest()[:12]


def silent_rows(rows: Sequence[ClipRow]) -> SilentRows | None:
    """Return what is said once instead of in each of several rows, or None where one sounds or
    there are several reasons. One row says it itself."""
    reasons = [clip.withheld for row in rows for clip in row.clips]
    if len(rows) < 2 or len(set(reasons)) != 1 or not reasons[0]:
        return None
    return SilentRows(reason=reasons[0], count=len(reasons))


def _distinguished(row: ClipRow) -> ClipRow:
    """Tell clips of a row with the same label apart: by when they were made where that differs,
    the others by number."""
    stages: dict[str, set[str]] = {}
    for clip in row.clips:
        stages.setdefault(clip.label, set()).add(clip.sample.stage)
    row.clips = [
        replace(clip, label=f"{clip.label}, {clip.sample.stage}")
        if len(stages[clip.label]) > 1
        else clip
        for clip in row.clips
    ]
    counts = Counter(clip.label for clip in row.clips)
    numbers: Counter[str] = Counter()
    for place, clip in enumerate(row.clips):
        if counts[clip.label] > 1:
            numbers[clip.label] += 1
            row.clips[place] = replace(clip, label=f"{clip.label}, no. {numbers[clip.label]}")
    return row


def _label(*, seed: int | None, name: str) -> str:
    return f"seed {seed}" if seed is not None else name


def measures(sample: Sample) -> list[tuple[str, str, str]]:
    """Return name, value and unit of each figure, ready to show."""
    figures: dict[str, Any] = sample.measures
    gain = f"{sample.gain_db:+.1f}"
    return [
        _figure("Loudness", sample.lufs, 1, "LUFS"),
        _figure("True peak", sample.true_peak, 1, "dBTP"),
        ("Played with", gain, "dB, to be as loud as the others"),
        _figure("Level", figures.get("rms_dbfs"), 1, "dBFS RMS"),
        _figure("Crest factor", figures.get("crest_db"), 1, "dB"),
        _figure("Silence", figures.get("silence_share"), 0, "% of the time", 100),
        _figure("Clipping", figures.get("clipped_share"), 2, "% of the time", 100),
        _figure("Stereo correlation", figures.get("stereo_correlation"), 2),
        _figure("Spectral centroid", figures.get("centroid_hz"), 0, "Hz"),
    ]


def _figure(
    name: str, value: float | None, digits: int, unit: str = "", scale: float = 1
) -> tuple[str, str, str]:
    if value is None:
        return name, "not measurable", ""
    return name, f"{value * scale:,.{digits}f}", unit
