"""Freezing: what is in, what is left out, and why."""

import hashlib

import pytest

from experiments.clearance import permission
from experiments.models import Dataset, Membership, Project
from experiments.runs import datasets, runs
from portal import audit
from portal.models import User
from rights.grants import lifecycle
from rights.models import Use
from tests.catalogue import make_allowed, make_party, make_recording


def test_allowed_recordings_are_in_and_the_others_listed_with_reasons(
    ada: User, rosa: User, project: Project
) -> None:
    good = make_allowed(rosa, 2)
    bad = make_recording(rosa, make_party(rosa))
    asked = [*good, bad]
    chosen = datasets.preview(project=project, recordings=asked, use=Use.TRAIN_GENERATIVE)
    assert [c.recording for c in chosen.left_out] == [bad]
    made = datasets.freeze(
        by=ada, project=project, name="demo", recordings=asked, use=Use.TRAIN_GENERATIVE
    )
    assert {i.recording_id for i in made.items.filter(included=True)} == {r.pk for r in good}
    assert made.items.get(included=False).reasons[0]["sentence"]
    lines = "".join(f"{r.pk} {r.audio_id}\n" for r in sorted(good, key=lambda r: r.pk))
    assert made.digest == hashlib.sha256(lines.encode()).hexdigest()
    assert made.frozen_at == made.decision.as_of
    line = audit.history(made).first()
    assert line is not None
    assert (line.body["included"], line.body["left_out"]) == (2, 1)


def test_freezing_again_makes_the_next_version(ada: User, rosa: User, project: Project) -> None:
    recordings = make_allowed(rosa, 1)
    made = [
        datasets.freeze(by=ada, project=project, name="demo", recordings=recordings, use=Use.EVAL)
        for _ in range(2)
    ]
    assert [d.version for d in made] == [1, 2]
    assert made[0].digest == made[1].digest


def test_a_dataset_with_nothing_allowed_is_not_made(
    ada: User, rosa: User, project: Project
) -> None:
    bad = make_recording(rosa, make_party(rosa), title="Unasked")
    with pytest.raises(datasets.EmptyDataset, match=r"None of the 1 .* Unasked: "):
        datasets.freeze(by=ada, project=project, name="x", recordings=[bad], use=Use.EVAL)
    with pytest.raises(datasets.EmptyDataset, match="Choose at least one"):
        datasets.freeze(by=ada, project=project, name="x", recordings=[], use=Use.EVAL)
    assert not Dataset.objects.exists()


def test_viewers_do_not_freeze(ben: User, rosa: User, project: Project) -> None:
    Membership.objects.create(project=project, user=ben, level=Membership.Level.VIEWER)
    with pytest.raises(runs.NotPermitted):
        datasets.freeze(
            by=ben, project=project, name="x", recordings=make_allowed(rosa, 1), use=Use.EVAL
        )


def test_a_withdrawn_grant_taints_the_dataset_once_and_a_new_version_is_clean(
    ada: User, rosa: User, project: Project
) -> None:
    kept, leaves = make_allowed(rosa, 2)
    party = kept.credits.get(role="MainArtist").party
    old = datasets.freeze(
        by=ada, project=project, name="d", recordings=[kept, leaves], use=Use.TRAIN_GENERATIVE
    )
    assert permission.mark_affected_datasets() == 0
    lifecycle.opt_out(leaves, Use.TRAIN_GENERATIVE, party, rosa, "No more")
    assert permission.mark_affected_datasets() == 1
    assert permission.mark_affected_datasets() == 0
    old.refresh_from_db()
    assert old.status == Dataset.Status.AFFECTED
    new = datasets.freeze(
        by=ada, project=project, name="d", recordings=[kept, leaves], use=Use.TRAIN_GENERATIVE
    )
    assert permission.mark_affected_datasets() == 0
    assert permission.holds_on(new, new.use) == []
