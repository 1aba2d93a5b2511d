"""A dataset that was retired is never used again: each road to a use asks."""

import pytest
from django.test import Client
from django.urls import reverse

from experiments import forms, recipes
from experiments.clearance import permission
from experiments.clearance.descendants import FrozenSets
from experiments.models import Dataset, Project, Run
from experiments.runs import datasets, runs
from portal import tokens
from portal.models import User
from rights.models import Recording, Use
from tests.audio_samples.cast import make_run
from tests.catalogue import make_allowed
from tests.rights.withdrawal.affected import go_on_from, make_checkpoint
from workers import reconciling
from workers.cluster.fake import RecordingCluster

WORDS = "was retired, so no run may use it again"


@pytest.fixture
def songs(rosa: User) -> list[Recording]:
    return make_allowed(rosa, 2)


@pytest.fixture
def run(ada: User, project: Project, songs: list[Recording]) -> Run:
    return make_run(ada, project, songs)


def retire(run: Run) -> Dataset:
    """As a rights admin does by the case of a withdrawal; every permission still stands."""
    assert run.dataset is not None
    FrozenSets().retire([str(run.dataset.pk)], "A withdrawal")
    return run.dataset


def refused(raised: pytest.ExceptionInfo[recipes.ConfigInvalid]) -> str:
    return raised.value.errors["dataset"]


def test_a_new_run_of_it_is_refused_beside_the_field(ada: User, project: Project, run: Run) -> None:
    """Also by an object of the dataset that was loaded before."""
    dataset = run.dataset
    retire(run)
    with pytest.raises(recipes.ConfigInvalid) as raised:
        runs.submit(by=ada, project=project, recipe="flow_matching", config={}, dataset=dataset)
    assert WORDS in refused(raised)


@pytest.mark.parametrize("use", ["eval", "condition", "stems"])
def test_no_other_use_of_it_is_taken_either(
    ada: User, rosa: User, project: Project, use: str
) -> None:
    songs = make_allowed(rosa, 1, use=Use(use))
    frozen = datasets.freeze(by=ada, project=project, name="one", recordings=songs, use=use)
    FrozenSets().retire([str(frozen.pk)], "A withdrawal")
    with pytest.raises(recipes.ConfigInvalid) as raised:
        runs.submit(by=ada, project=project, recipe="program", config={"use": use}, dataset=frozen)
    assert WORDS in refused(raised)


def test_references_of_it_are_refused(ada: User, rosa: User, project: Project, run: Run) -> None:
    checkpoint = make_checkpoint(run)
    checkpoint.meta = {"config": {}}
    checkpoint.save()
    songs = make_allowed(rosa, 1, use=Use.CONDITION)
    heard = datasets.freeze(
        by=ada, project=project, name="heard", recordings=songs, use=Use.CONDITION
    )
    FrozenSets().retire([str(heard.pk)], "A withdrawal")
    with pytest.raises(recipes.ConfigInvalid) as raised:
        runs.submit(
            by=ada, project=project, recipe="generate", config={}, start_from=checkpoint,
            dataset=heard,
        )  # fmt: skip
    assert WORDS in refused(raised)


def test_the_same_run_is_not_made_again(ada: User, run: Run) -> None:
    retire(run)
    with pytest.raises(recipes.ConfigInvalid) as raised:
        runs.rerun(run=run, by=ada)
    assert WORDS in refused(raised)


def test_a_run_is_not_tried_again(ada: User, run: Run) -> None:
    runs.cancel(run=run, by=ada)
    retire(run)
    with pytest.raises(runs.NotPossible, match=WORDS):
        runs.retry(run=run, by=ada)
    run.refresh_from_db()
    assert run.state == Run.State.CANCELLED


def test_a_run_that_waits_does_not_start(run: Run) -> None:
    retire(run)
    with pytest.raises(permission.NotUsable, match=WORDS):
        permission.check_start(run)


def test_a_run_that_was_lost_does_not_come_back(run: Run) -> None:
    attempt = runs.claim(run)
    assert attempt is not None
    runs.lose(attempt, reason="Its node is gone.")
    retire(run)
    with pytest.raises(permission.NotUsable, match=WORDS):
        permission.check_start(run)


def test_runs_that_wait_and_that_are_at_work_stop(ada: User, project: Project, run: Run) -> None:
    waiting = runs.rerun(run=run, by=ada)
    cluster = RecordingCluster(slots=1)
    reconciling.reconcile(cluster)
    retire(run)
    reconciling.reconcile(cluster)
    for one, state in ((run, Run.State.STOPPING), (waiting, Run.State.WITHHELD)):
        one.refresh_from_db()
        assert (one.state, one.stop_as) == (state, Run.State.WITHHELD)
        assert WORDS in one.state_reason


def test_its_audio_is_not_given_to_a_program_any_more(
    ada: User, songs: list[Recording], run: Run, client: Client
) -> None:
    Run.objects.filter(pk=run.pk).update(state=Run.State.RUNNING)
    _, secret = tokens.issue(ada, "run", scope=f"run:{run.pk}", by=ada)

    def get() -> int:
        address = f"/api/v1/runs/{run.pk}/audio/{songs[0].pk}"
        answer = client.get(address, headers={"Authorization": f"Bearer {secret}"})
        return answer.status_code

    assert get() == 200
    retire(run)
    assert get() == 403


def test_no_form_offers_it(ada: User, project: Project, run: Run, client: Client) -> None:
    recipe = recipes.get("flow_matching")
    assert list(forms.datasets_for(recipe, project)) == [run.dataset]
    retire(run)
    assert not forms.datasets_for(recipe, project).exists()
    client.force_login(ada)
    typed = {"recipe": "flow_matching", "dataset": run.dataset_id, "name": "Mine, typed"}
    answer = client.post(reverse("experiments:run_submit", args=[project.slug]), typed)
    assert answer.status_code == 422
    assert "that is not retired" in answer.content.decode()
    assert "Mine, typed" in answer.content.decode()


def test_the_api_refuses_it_with_a_sentence(
    ada: User, project: Project, run: Run, client: Client
) -> None:
    retire(run)
    _, secret = tokens.issue(ada, "mine", scope="api", by=ada)
    answer = client.post(
        "/api/v1/submissions",
        {"project": project.slug, "recipe": "flow_matching", "dataset": run.dataset_id},
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert answer.status_code == 422
    assert WORDS in answer.json()["detail"]


def test_weights_that_learned_from_it_have_a_remedy_of_their_own(
    ada: User, project: Project, run: Run
) -> None:
    """To retire a dataset ends its use; whether a model stays is another answer of the case."""
    checkpoint = make_checkpoint(run)
    retire(run)
    assert permission.why_not_loadable(checkpoint) == ""
    assert go_on_from(checkpoint, by=ada, project=project).start_from == checkpoint
