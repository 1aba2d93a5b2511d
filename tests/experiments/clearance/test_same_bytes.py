"""Weights are their bytes: what is withheld under one name is withheld under every other, and what
they are cleared for is what every run that delivered them is."""

import hashlib
import io
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from backline import wire
from experiments import policies, recipes
from experiments.clearance import attribution, clearance, permission
from experiments.clearance.descendants import Checkpoints
from experiments.models import Checkpoint, Project, Run
from experiments.models.revocations import is_revoked
from experiments.runs import checkpoints, run_spec, runs
from portal import storage, tokens
from portal.models import Blob, User
from rights.grants import lifecycle
from rights.models import Grant, Party, Purpose, Recording, Use, WithdrawalCase
from rights.withdrawal import cases, descendants
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import allow, make_party, make_recording

TRAIN = Use.TRAIN_GENERATIVE
WEIGHTS = b"what was learned from the music of one"


@pytest.fixture
def party(rosa: User) -> Party:
    return make_party(rosa, "Mira Sol")


@pytest.fixture
def grant(rosa: User, party: Party) -> Grant:
    return allow(rosa, party, TRAIN)[0]


@pytest.fixture
def song(rosa: User, party: Party, grant: Grant) -> Recording:
    return make_recording(rosa, party)


@pytest.fixture
def first(ada: User, project: Project, song: Recording) -> Checkpoint:
    """The weights of a run of Mira's song."""
    return deliver(make_run(ada, project, [song]))


@pytest.fixture
def other(ada: User, rosa: User, project: Project) -> Run:
    """A run of somebody else's music."""
    party = make_party(rosa, "Otto Lang")
    allow(rosa, party, TRAIN)
    return make_run(ada, project, [make_recording(rosa, party)])


def deliver(run: Run, step: int = 10, weights: bytes = WEIGHTS) -> Checkpoint:
    """As a program does, whatever it says that it is."""
    said = wire.CheckpointMeta(step=step, sha256=hashlib.sha256(weights).hexdigest())
    return checkpoints.receive(run=run, file=io.BytesIO(weights), meta=said)[0]


def begin(ada: User, checkpoint: Checkpoint) -> Run:
    return runs.submit(
        by=ada, project=checkpoint.run.project, recipe="program", config={}, start_from=checkpoint
    )


def why_not_start_from(ada: User, checkpoint: Checkpoint) -> str:
    with pytest.raises(recipes.ConfigInvalid) as raised:
        begin(ada, checkpoint)
    return raised.value.errors["start_from"]


# --- Withheld anywhere is withheld everywhere ------------------------------------------------


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_copy_is_withheld_whether_it_came_before_the_withdrawal_or_after(
    *, ada: User, rosa: User, grant: Grant, first: Checkpoint, other: Run, before: bool
) -> None:
    copy = deliver(other, step=99) if before else None
    lifecycle.withdraw(grant, rosa, "No more")
    copy = copy or deliver(other, step=99)
    assert permission.why_not_loadable(copy) == permission.why_not_loadable(first) != ""
    assert "permission behind this checkpoint ended" in why_not_start_from(ada, copy)
    assert not Checkpoint.objects.usable().exists()
    assert run_spec.spec_of(other).resume is None


def test_other_bytes_are_not_touched(
    ada: User, rosa: User, grant: Grant, first: Checkpoint, other: Run
) -> None:
    """Neither of another run nor, once they are known, of one that copied some before."""
    theirs = deliver(other, weights=b"what was learned from the music of another")
    deliver(other, step=99)
    lifecycle.withdraw(grant, rosa, "No more")
    assert permission.why_not_loadable(theirs) == ""
    assert list(Checkpoint.objects.usable()) == [theirs]
    assert begin(ada, theirs).start_from == theirs


def test_a_copy_is_not_downloaded(
    *, ada: User, rosa: User, grant: Grant, first: Checkpoint, other: Run, client: Client
) -> None:
    deliver(other, step=99)
    _, secret = tokens.issue(ada, "mine", scope="api", by=ada)
    address = f"/api/v1/runs/{other.pk}/checkpoints/99"
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get(address, headers=headers).status_code == 200
    lifecycle.withdraw(grant, rosa, "No more")
    assert client.get(address, headers=headers).status_code == 410


def test_what_began_with_a_copy_stops_and_its_clips_fall_silent(
    ada: User, rosa: User, grant: Grant, first: Checkpoint, other: Run
) -> None:
    run = begin(ada, deliver(other, step=99))
    sample = make_sample(run)
    lifecycle.withdraw(grant, rosa, "No more")
    assert run in [one for one, _ in permission.runs_on_hold()]
    assert not type(sample).objects.audible().filter(pk=sample.pk).exists()
    assert Run.objects.filter(is_revoked("pk"), pk=other.pk).count() == 0


def test_a_withdrawal_lists_copies_and_what_began_with_them(
    *, ada: User, rosa: User, song: Recording, grant: Grant, first: Checkpoint, other: Run
) -> None:
    copy = deliver(other, step=99)
    run = begin(ada, copy)
    source = str(first.run.dataset_id)
    levels = {
        descendant.kind.name: descendant
        for descendant in descendants.descendants([source], [TRAIN])
    }
    found = {node.key for node in levels["checkpoint"].nodes}
    assert found == {str(first.pk), str(copy.pk)}
    assert str(run.pk) in {node.key for node in levels["run"].nodes}
    lifecycle.withdraw(grant, rosa, "No more")
    late = deliver(other, step=100)
    cases.refresh_cases()
    case = WithdrawalCase.objects.get()
    assert case.items.filter(kind="checkpoint", key=str(late.pk)).exists()


def test_retired_under_one_name_is_retired_under_every_other(
    ada: User, first: Checkpoint, other: Run
) -> None:
    copy = deliver(other, step=99)
    Checkpoints().retire([str(first.pk)], "A withdrawal")
    assert permission.why_not_loadable(copy) == "This checkpoint was retired: A withdrawal."
    assert "was retired" in why_not_start_from(ada, copy)
    assert not Checkpoint.objects.usable().exists()


def test_bytes_that_were_cleaned_up_are_known_when_they_come_again(
    rosa: User, grant: Grant, first: Checkpoint, other: Run, settings: object
) -> None:
    settings.CHECKPOINTS_KEPT = 1  # type: ignore[attr-defined]
    deliver(first.run, step=20, weights=b"newer")
    later = timezone.now() + timedelta(days=2)
    Checkpoint.objects.update(created_at=timezone.now() - timedelta(days=1))
    assert policies.clean_up(first.run, later) == [10]
    assert not Blob.objects.filter(pk=hashlib.sha256(WEIGHTS).hexdigest()).exists()
    assert [checkpoint.step for checkpoint in first.run.checkpoints.all()] == [20]
    lifecycle.withdraw(grant, rosa, "No more")
    assert "permission behind" in permission.why_not_loadable(deliver(other))


def test_bytes_that_were_replaced_are_known_when_they_come_again(
    rosa: User, grant: Grant, first: Checkpoint, other: Run
) -> None:
    deliver(first.run, weights=b"the same step anew")
    lifecycle.withdraw(grant, rosa, "No more")
    assert "permission behind" in permission.why_not_loadable(deliver(other))


# --- Cleared for what all of them are --------------------------------------------------------


def test_a_copy_is_cleared_for_no_more_than_the_original_and_the_other_way_about(
    ada: User, rosa: User, project: Project, party: Party, first: Checkpoint
) -> None:
    wide = make_party(rosa, "Otto Lang")
    allow(rosa, wide, TRAIN, purposes=["research", "commercial"])
    copy = deliver(make_run(ada, project, [make_recording(rosa, wide)]))
    commercial = Project.objects.create(
        slug="sold", name="Sold", purpose=Purpose.COMMERCIAL, model_family="backline"
    )
    assert (
        clearance.allows(clearance.current_scope(copy.run), "", permission.context_of(commercial))
        == []
    )
    for one in (first, copy):
        why = permission.why_not_start_from(one, commercial, recipe="program")
        assert "Mira Sol" in why
        assert permission.why_not_start_from(one, project, recipe="program") == ""
    run = begin(ada, copy)
    assert clearance.allows(clearance.stored_scope(run), "", permission.context_of(commercial))


def test_what_begins_with_a_copy_owes_those_of_the_original(
    ada: User, song: Recording, first: Checkpoint, other: Run
) -> None:
    statement = attribution.statement(begin(ada, deliver(other)))
    assert statement is not None
    assert [line.recording for line in statement.lines] == [song.pk]


def test_a_step_of_a_run_that_goes_on_is_saved_anew_and_what_began_with_it_keeps_its_bytes(
    ada: User, first: Checkpoint
) -> None:
    run = begin(ada, first)
    newer = deliver(first.run, weights=b"the same step anew")
    assert [checkpoint.pk for checkpoint in first.run.checkpoints.all()] == [newer.pk]
    run.refresh_from_db()
    source = run_spec.spec_of(run).start_from
    assert source is not None
    assert source.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    with storage.open_blob(source.sha256) as file:
        assert file.read() == WEIGHTS


def test_the_weights_of_a_finished_run_stay_what_they_are(first: Checkpoint) -> None:
    Run.objects.filter(pk=first.run_id).update(state=Run.State.FINISHED)
    with pytest.raises(checkpoints.Conflict, match="that one stays"):
        deliver(first.run, weights=b"something else")
    assert deliver(first.run).pk == first.pk
    assert Checkpoint.every.get().digest == hashlib.sha256(WEIGHTS).hexdigest()


def test_a_retired_step_is_not_saved_over(first: Checkpoint) -> None:
    Checkpoints().retire([str(first.pk)], "A withdrawal")
    with pytest.raises(checkpoints.Conflict, match="retired for good"):
        deliver(first.run, weights=b"something else")
