"""Whole originals through a project: whose dataset has a recording, and what its runs fetch.

rights/catalogue/originals.py asks through a registered rule, because it may not know this room.
"""

from django.db.models import Exists, OuterRef, Q

from experiments.models import Dataset, DatasetHold, DatasetItem, Run
from portal import audit
from portal.models import User
from rights.catalogue.originals import register
from rights.models import Recording, Use

VERB = "dataset.fetched"


def is_in_a_project_of(recording: Recording, user: User, use: Use | None) -> bool:
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


def record_fetch(run: Run, *, by: User) -> None:
    """Record that the run fetches the files of its dataset, once for each run. Which files those
    are is in the dataset, which never changes."""
    dataset = run.dataset
    if dataset is not None:
        audit.record_once(
            by=by, verb=VERB, subject=dataset, key={"run": str(run.pk)},
            body=lambda: {"digest": dataset.digest},
        )  # fmt: skip


register(is_in_a_project_of)
