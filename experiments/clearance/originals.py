"""Whole originals through a project: whose dataset has a recording, and what its runs fetch.

rights/catalogue/originals.py asks through a registered rule, because it may not know this room.
"""

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from experiments.models import Dataset, DatasetHold, DatasetItem, Run
from portal import audit
from portal.database import commit_order
from portal.models import AuditEvent, User
from rights.catalogue.originals import register
from rights.models import Recording, Use

VERB = "dataset.fetched"


def held_by_a_project_of(recording: Recording, user: User, use: Use | None) -> bool:
    """Whether the person is a member of a project with a frozen dataset that has this very file,
    and for which no permission for the recording has ended since."""
    # Also where the model that learned from it may stay: an ended permission allows no download.
    ended = DatasetHold.objects.filter(
        Q(case__recordings=recording) | Q(hold__recording=recording),
        dataset=OuterRef("dataset"),
        use=OuterRef("dataset__use"),
    )
    items = DatasetItem.objects.filter(
        recording=recording,
        included=True,
        audio=recording.audio_id,
        dataset__project__memberships__user=user,
    ).exclude(dataset__status=Dataset.Status.RETIRED)
    if use is not None:
        items = items.filter(dataset__use=use)
    return items.filter(~Exists(ended)).exists()


def write_down(run: Run, *, by: User) -> None:
    """Record that the run fetches its dataset's files: one line for each run and dataset. Which
    files those are is in the dataset, which never changes, and its digest is in the run."""
    dataset = run.dataset
    if dataset is None or _written(run, dataset):
        return
    with transaction.atomic():
        commit_order.moment()
        if not _written(run, dataset):
            audit.record(by=by, verb=VERB, subject=dataset, run=str(run.pk), digest=dataset.digest)


def _written(run: Run, dataset: Dataset) -> bool:
    lines = AuditEvent.objects.filter(
        subject_type=dataset._meta.label_lower, subject_id=str(dataset.pk), verb=VERB
    )
    return lines.filter(body__run=str(run.pk)).exists()


register(held_by_a_project_of)
