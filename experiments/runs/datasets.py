"""Datasets: a choice of recordings, frozen with the decision that allowed it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Max

from experiments.clearance.permission import check_member, context_of
from experiments.models import Dataset, DatasetItem, Project
from portal import audit
from portal.database import bulk
from portal.inputs.text import clean_line
from portal.models import User
from rights.consent import consent
from rights.models import Recording, Use


class EmptyDataset(ValueError):
    """The dataset would be empty; the message says why, for one recording as an example."""

    code = "empty_dataset"


@dataclass(frozen=True)
class Candidate:
    """A requested recording, and whether it is included."""

    recording: Recording
    included: bool
    reasons: list[consent.Reason] = field(default_factory=list)


@dataclass(frozen=True)
class Preview:
    """What a freeze would include now. Nothing is stored."""

    included: list[Candidate]
    left_out: list[Candidate]

    @property
    def seconds(self) -> float:
        return sum(candidate.recording.duration for candidate in self.included)


def preview(*, project: Project, recordings: Iterable[Recording], use: str) -> Preview:
    """Return which recordings would be included, and which left out and why."""
    unique = list({recording.pk: recording for recording in recordings}.values())
    verdict = consent.evaluate(unique, Use(use), context_of(project))
    return _sorted(
        [
            Candidate(recording, verdict[recording.pk].allowed, verdict[recording.pk].reasons)
            for recording in unique
        ]
    )


def freeze(
    *, by: User, project: Project, name: str, recordings: Iterable[Recording], use: str
) -> Dataset:
    """Freeze a new version: allowed recordings are in, the others are listed with reasons.

    Raises EmptyDataset if none is allowed. It is frozen at the moment of its decision, and in one
    transaction with it: a permission that ends meanwhile is seen here or leaves a later hold.
    """
    check_member(by, project)
    name = clean_line(name)[:100] or "Dataset"
    ids = consent.ids_of(recordings)
    with bulk.without_gc(len(ids)), transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        decision, verdict = consent.decide(ids, Use(use), context_of(project), by=by)
        included = {pk: verdict.audio[pk] for pk, line in verdict.items() if line.allowed}
        if not included:
            raise EmptyDataset(_empty(verdict))
        last = project.datasets.filter(name=name).aggregate(last=Max("version"))["last"]
        dataset = Dataset.objects.create(
            project=project,
            name=name,
            version=(last or 0) + 1,
            use=use,
            digest=digest_of(included),
            decision=decision,
            frozen_by=by,
            frozen_at=decision.as_of,
        )
        bulk.insert(
            DatasetItem,
            ("dataset_id", "recording_id", "included", "audio_id", "reasons"),
            (
                (dataset.pk, pk, line.allowed, verdict.audio.get(pk), line.reasons)
                for pk, line in verdict.items()
            ),
        )
        audit.record(
            by=by,
            verb="dataset.frozen",
            subject=dataset,
            use=use,
            digest=dataset.digest,
            decision=decision.pk,
            included=len(included),
            left_out=len(verdict) - len(included),
            private={"name": str(dataset)},
        )
    return dataset


def digest_of(included: Mapping[int, str]) -> str:
    """SHA-256 over the sorted lines "recording id, space, audio digest" of the included items."""
    pairs = sorted(included.items())
    return hashlib.sha256("".join(f"{pk} {sha}\n" for pk, sha in pairs).encode()).hexdigest()


def _sorted(candidates: list[Candidate]) -> Preview:
    return Preview(
        included=[candidate for candidate in candidates if candidate.included],
        left_out=[candidate for candidate in candidates if not candidate.included],
    )


def _empty(verdict: consent.Verdict) -> str:
    if not verdict:
        return "No recording was chosen. Choose at least one."
    recording_id, line = next(iter(verdict.items()))
    reason = line.reasons[0]["sentence"] if line.reasons else "It is not allowed."
    return (
        f"None of the {len(verdict):,} recordings is allowed for this use, so there is nothing to "
        f"freeze. {Recording.objects.get(pk=recording_id).title}: {reason}"
    )
