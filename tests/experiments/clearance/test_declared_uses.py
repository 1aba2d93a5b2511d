"""What a run may deliver follows from the use that it declared, and of what nobody knows the origin
nothing leaves its project."""

import pytest
from django.test import Client
from django.urls import reverse

from audio_samples import releases
from experiments import recipes
from experiments.clearance import attribution, clearance, permission
from experiments.models import Checkpoint, Membership, Project, Run
from experiments.publishing import pages
from experiments.runs import datasets, run_spec, runs
from listening import trials
from listening.models import ListeningTest
from portal import tokens
from portal.models import User
from rights.errors import Refused
from rights.models import Recording, Use
from tests.audio_samples.cast import make_sample
from tests.catalogue import make_allowed
from tests.experiments.clearance.test_same_bytes import WEIGHTS, deliver
from tests.rights.withdrawal.affected import make_checkpoint

NO_MODEL = ["eval", "condition", "stems", "derive.remix", "derive.cover"]


def declared(by: User, rosa: User, project: Project, use: str) -> tuple[Run, list[Recording]]:
    """A program that has music for this use and for no other."""
    songs = make_allowed(rosa, 2, use=Use(use))
    frozen = datasets.freeze(by=by, project=project, name=use, recordings=songs, use=use)
    config = {"use": use}
    run = runs.submit(by=by, project=project, recipe="program", config=config, dataset=frozen)
    return run, songs


def refused(by: User, checkpoint: Checkpoint, recipe: str = "program", **config: str) -> str:
    with pytest.raises(recipes.ConfigInvalid) as raised:
        runs.submit(
            by=by, project=checkpoint.run.project, recipe=recipe, config=config,
            start_from=checkpoint,
        )  # fmt: skip
    return raised.value.errors["start_from"]


# --- Weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize("use", NO_MODEL)
def test_nothing_begins_with_what_was_saved_under_a_use_that_makes_no_model(
    ada: User, rosa: User, project: Project, use: str
) -> None:
    run, _ = declared(ada, rosa, project, use)
    checkpoint = deliver(run)
    for next_use in (use, "train.generative", "eval", "condition"):
        assert "makes no model, so nothing else starts" in refused(ada, checkpoint, use=next_use)
    assert not Checkpoint.objects.startable().exists()


def test_a_copy_under_another_use_is_no_way_around(ada: User, rosa: User, project: Project) -> None:
    run, _ = declared(ada, rosa, project, "eval")
    deliver(run)
    clean, _ = declared(ada, rosa, project, "train.generative")
    copy = deliver(clean)
    assert "declared for evaluation" in refused(ada, copy)
    assert not Checkpoint.objects.startable().exists()


def test_its_own_next_attempt_goes_on_from_it_and_people_do_not_download_it(
    ada: User, rosa: User, project: Project, client: Client
) -> None:
    run, _ = declared(ada, rosa, project, "eval")
    deliver(run)
    source = run_spec.spec_of(run).resume
    assert source is not None
    address = f"/api/v1/runs/{run.pk}/checkpoints/{source.step}"

    def get(scope: str) -> int:
        _, secret = tokens.issue(ada, "t", scope=scope, by=ada)
        answer = client.get(address, headers={"Authorization": f"Bearer {secret}"})
        return answer.status_code

    assert (get(f"run:{run.pk}"), get("api")) == (200, 403)


def test_weights_of_analysis_go_on_in_analysis_and_are_evaluated(
    ada: User, rosa: User, project: Project
) -> None:
    run, _ = declared(ada, rosa, project, "train.analysis")
    checkpoint = deliver(run)
    for use in ("train.generative", "finetune", "condition"):
        assert "made for training of classifiers" in refused(ada, checkpoint, use=use)
    for use in ("train.analysis", "eval"):
        made = runs.submit(
            by=ada, project=project, recipe="program", config={"use": use}, start_from=checkpoint
        )
        assert made.use == use


def test_weights_of_a_generative_run_go_on(ada: User, rosa: User, project: Project) -> None:
    run, _ = declared(ada, rosa, project, "train.generative")
    made = runs.submit(
        by=ada, project=project, recipe="program", config={}, start_from=deliver(run)
    )
    assert made.start_from is not None


def test_a_run_that_waits_is_asked_again(ada: User, rosa: User, project: Project) -> None:
    """A copy may have come from a run of another use meanwhile."""
    run, _ = declared(ada, rosa, project, "train.generative")
    waiting = runs.submit(
        by=ada, project=project, recipe="program", config={}, start_from=deliver(run)
    )
    permission.check_start(waiting)
    deliver(declared(ada, rosa, project, "eval")[0])
    with pytest.raises(permission.NotUsable, match="declared for evaluation"):
        permission.check_start(waiting)


# --- Clips -------------------------------------------------------------------------------------


def test_a_clip_of_a_conditioned_run_owes_its_references_also_where_it_names_none(
    ada: User, rosa: User, project: Project
) -> None:
    run, songs = declared(ada, rosa, project, "condition")
    all_of_them, one = make_sample(run, "a"), make_sample(run, "b", references=[songs[0].pk])
    heard = []
    for sample in (all_of_them, one):
        assert sample.credit is not None
        heard.append({line.recording for line in sample.credit.read().references})
    assert heard == [{song.pk for song in songs}, {songs[0].pk}]


# --- Unknown origin ----------------------------------------------------------------------------


@pytest.fixture
def unknown(ada: User, project: Project) -> Run:
    """A program that was given nothing, and may have learned from anything."""
    return runs.submit(by=ada, project=project, recipe="program", config={})


def test_its_clips_are_heard_inside_and_not_outside(
    ada: User, project: Project, unknown: Run
) -> None:
    sample = make_sample(unknown)

    def opened(audience: str) -> ListeningTest:
        return trials.open_test(
            by=ada, project=project, title="T", question="Q", samples=[sample], audience=audience
        )

    with pytest.raises(trials.BadTest, match="does not know what it learned from"):
        opened(ListeningTest.Audience.OUTSIDE)
    assert opened(ListeningTest.Audience.INTERNAL).items.count() == 1


def test_a_test_that_was_opened_before_lets_it_go(
    ada: User, lou: User, project: Project, unknown: Run, client: Client
) -> None:
    inside = trials.open_test(
        by=ada, project=project, title="T", question="Q", samples=[make_sample(unknown)],
        audience=ListeningTest.Audience.INTERNAL,
    )  # fmt: skip
    ListeningTest.objects.update(audience=ListeningTest.Audience.OUTSIDE)
    client.force_login(lou)
    clip = reverse("listening:audio", args=[inside.items.get().code])
    assert client.get(clip).status_code == 410


def test_its_clips_are_not_released(ada: User, unknown: Run) -> None:
    why = releases.release_obstacles(make_sample(unknown))
    assert any("does not know what it learned from" in one for one in why)


def test_its_weights_go_on_inside_the_project_alone(
    ada: User, project: Project, unknown: Run
) -> None:
    checkpoint = deliver(unknown)
    inside = runs.submit(
        by=ada, project=project, recipe="program", config={}, start_from=checkpoint
    )
    assert clearance.stored_scope(inside).unknown
    elsewhere = Project.objects.create(slug="elsewhere", name="Elsewhere")
    Membership.objects.create(project=elsewhere, user=ada, level=Membership.Level.OWNER)
    with pytest.raises(recipes.ConfigInvalid) as raised:
        runs.submit(by=ada, project=elsewhere, recipe="program", config={}, start_from=checkpoint)
    assert "does not know what it learned from" in raised.value.errors["start_from"]


def test_what_begins_with_its_weights_is_unknown_too_whatever_it_is_given(
    ada: User, rosa: User, project: Project, unknown: Run
) -> None:
    songs = make_allowed(rosa, 1)
    frozen = datasets.freeze(
        by=ada, project=project, name="one", recordings=songs, use=Use.TRAIN_GENERATIVE
    )
    run = runs.submit(
        by=ada, project=project, recipe="program", config={}, dataset=frozen,
        start_from=deliver(unknown),
    )  # fmt: skip
    assert any("does not know" in one for one in releases.release_obstacles(make_sample(run)))
    Run.objects.filter(pk=run.pk).update(state=Run.State.FINISHED)
    run.refresh_from_db()
    with pytest.raises(Refused, match="does not know"):
        pages.ask(
            by=ada, project=project, run=run, checkpoint=None, title="T", version="1", parts={}
        )


def test_a_program_that_has_weights_with_music_behind_them_has_their_scope(
    ada: User, rosa: User, project: Project
) -> None:
    run, _ = declared(ada, rosa, project, "train.generative")
    made = runs.submit(
        by=ada, project=project, recipe="program", config={}, start_from=make_checkpoint(run)
    )
    found = clearance.stored_scope(made)
    assert not found.unknown
    assert clearance.allows(found, Use.DISTRIBUTE, permission.context_of(project))


def test_a_copy_by_a_program_that_was_given_nothing_makes_the_original_no_less_known(
    ada: User, rosa: User, project: Project, unknown: Run
) -> None:
    run, _ = declared(ada, rosa, project, "train.generative")
    original, copy = deliver(run), deliver(unknown)
    elsewhere = Project.objects.create(slug="elsewhere", name="Elsewhere")
    assert permission.why_not_start_from(original, elsewhere, recipe="program") == ""
    assert "does not know" in permission.why_not_start_from(copy, elsewhere, recipe="program")


def test_what_a_program_that_was_given_nothing_delivered_first_stays_unknown(
    ada: User, rosa: User, project: Project, unknown: Run
) -> None:
    deliver(unknown)
    run, _ = declared(ada, rosa, project, "train.generative")
    elsewhere = Project.objects.create(slug="elsewhere", name="Elsewhere")
    copy = deliver(run)
    assert copy.digest
    assert "does not know" in permission.why_not_start_from(copy, elsewhere, recipe="program")
    assert attribution.statement(run) is not None
    assert WEIGHTS
