"""A model's cleared scope: never wider than what is behind it, kept, narrowed, and asked."""

import json
import re
from datetime import date

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments import recipes
from experiments.clearance import clearance, permission
from experiments.models import Checkpoint, Membership, Project, Run
from experiments.models.cleared_scope import ClearedScope
from experiments.runs import datasets, runs
from portal import audit, tokens
from portal.models import User
from rights.consent import consent
from rights.consent.evaluator import Context
from rights.grants import agreements, lifecycle
from rights.models import (
    Party,
    Purpose,
    Recording,
    Use,
    WithdrawalPolicy,
)
from rights.models.append_only import Immutable
from tests.audio_samples.cast import make_run
from tests.catalogue import allow, make_allowed, make_party, make_recording, second_admin
from tests.examples import examples
from tests.rights.withdrawal.affected import make_checkpoint

TRAIN = Use.TRAIN_GENERATIVE
SHAPE = {"clip_frames": 128, "patch": 2, "blocks": 4, "width": 192, "heads": 4, "kernel": 9}


def trained(by: User, project: Project, recordings: list[Recording]) -> Checkpoint:
    """The checkpoint of a finished run of these recordings."""
    run = make_run(by, project, recordings)
    clearance.stored_scope(run)
    Run.objects.filter(pk=run.pk).update(state=Run.State.FINISHED)
    checkpoint = make_checkpoint(run)
    checkpoint.meta = {"recipe": "flow_matching", "config": dict(SHAPE)}
    checkpoint.save()
    return checkpoint


def another(ada: User, name: str, **fields: object) -> Project:
    project = Project.objects.create(slug=name, name=name.title(), **fields)
    Membership.objects.create(project=project, user=ada, level=Membership.Level.OWNER)
    return project


def go_on(ada: User, project: Project, checkpoint: Checkpoint, **said: object) -> Run:
    return runs.submit(
        by=ada, project=project, recipe="generate", config={}, start_from=checkpoint, **said  # type: ignore[arg-type]
    )  # fmt: skip


def refused(ada: User, project: Project, checkpoint: Checkpoint, **said: object) -> str:
    with pytest.raises(recipes.ConfigInvalid) as raised:
        go_on(ada, project, checkpoint, **said)
    return raised.value.errors["start_from"]


# --- Never wider -----------------------------------------------------------------------------

SCOPES = st.fixed_dictionaries(
    {
        "purposes": st.sampled_from([["research"], ["research", "commercial"]]),
        "territories": st.sampled_from([["world"], ["FR", "JP"], ["FR"]]),
        "last_version": st.sampled_from([None, 1, 2]),
        "products": st.sampled_from([[], ["radio"]]),
    }
)
CONTEXTS = [
    Context(Purpose(purpose), place, "backline", version, product)
    for purpose in ("research", "commercial")
    for place in ("world", "FR", "JP")
    for version in (1, 2)
    for product in ("", "radio")
]


@pytest.mark.django_db(transaction=False)
@settings(
    max_examples=examples(12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(SCOPES, min_size=3, max_size=3), st.lists(SCOPES, min_size=2, max_size=2))
def test_it_is_never_wider_than_any_item_or_parent(
    rosa: User, ada: User, project: Project, trains: list[dict[str, object]],
    evals: list[dict[str, object]],
) -> None:  # fmt: skip
    """Two items of the parent and one of the child, each with terms of its own."""
    everything = Project.objects.get(pk=project.pk)
    made = []
    for number, terms in enumerate(trains):
        party = make_party(rosa)
        made.append(make_recording(rosa, party))
        allow(rosa, party, TRAIN, **terms)
        allow(rosa, party, TRAIN)  # so that it may be frozen whatever the terms are
        if number < 2:
            allow(rosa, party, Use.EVAL, **evals[number])
    parent = trained(ada, everything, made[:2])
    child = runs.submit(
        by=ada, project=everything, recipe="flow_matching", config={}, start_from=parent,
        dataset=datasets.freeze(by=ada, project=everything, name=f"c{parent.pk}",
                                recordings=made[2:], use=TRAIN),
    )  # fmt: skip
    above, below = clearance.stored_scope(parent.run), clearance.stored_scope(child)
    assert below.within(above)
    assert clearance.current_scope(child).within(below)
    for context in CONTEXTS:
        each = [consent.evaluate([one], TRAIN, context).allowed for one in made]
        assert above.model.covers(context) == all(each[:2])
        assert below.model.covers(context) == all(each)
        heard = [consent.evaluate([one], Use.EVAL, context).allowed for one in made]
        assert above.for_use(Use.EVAL).covers(context) == all(heard[:2] + each[:2])
        assert not below.for_use(Use.EVAL).covers(context)


def test_without_recordings_there_is_nobody_to_ask(ada: User, project: Project) -> None:
    run = runs.submit(by=ada, project=project, recipe="tone_check", config={})
    found = clearance.stored_scope(run)
    assert found.free
    assert clearance.allows(found, Use.EVAL, CONTEXTS[0]) == []


def test_of_a_program_outside_nothing_is_known_and_nothing_is_cleared(
    ada: User, project: Project
) -> None:
    outside = runs.open_client_run(by=ada, project=project)
    checkpoint = make_checkpoint(outside)
    why = clearance.allows(clearance.stored_scope(outside), "", CONTEXTS[0])
    assert "does not know what it learned from" in str(why[0])
    with pytest.raises(recipes.ConfigInvalid) as raised:
        runs.submit(by=ada, project=project, recipe="program", config={}, start_from=checkpoint)
    assert "does not know" in raised.value.errors["start_from"]


# --- Kept, and now ---------------------------------------------------------------------------


def test_it_is_kept_once_with_its_digest_and_its_line_and_never_changed(
    ada: User, rosa: User, project: Project
) -> None:
    run = make_run(ada, project, make_allowed(rosa))
    first = clearance.stored_scope(run)
    row = ClearedScope.objects.get(run=run)
    assert clearance.Scope.from_json(json.loads(json.dumps(row.body))) == first
    assert row.digest == clearance.digest(row.body)
    line = audit.history(run).first()
    assert line is not None
    assert line.verb == "scope.cleared"
    with pytest.raises(Immutable):
        row.save()
    with pytest.raises(Immutable):
        ClearedScope.objects.update(digest="")
    assert clearance.clear(run) == first
    assert ClearedScope.objects.count() == 1


def test_what_ends_since_narrows_it_and_what_is_allowed_later_does_not_widen_it(
    ada: User, rosa: User, project: Project
) -> None:
    party = make_party(rosa)
    song = make_recording(rosa, party)
    allow(rosa, party, TRAIN)
    grants = allow(rosa, party, Use.EVAL)
    run = make_run(ada, project, [song])
    here = permission.context_of(project)
    before = clearance.stored_scope(run)
    assert clearance.allows(before, Use.EVAL, here) == []
    assert clearance.allows(before, Use.DISTRIBUTE, here)
    allow(rosa, party, Use.DISTRIBUTE, channels=["walled"])
    assert clearance.allows(clearance.current_scope(run), Use.DISTRIBUTE, here)
    lifecycle.withdraw(grants[0], rosa, "No more listening tests")
    why = clearance.allows(clearance.current_scope(run), Use.EVAL, here)
    assert [one.holder for one in why] == [party.name]
    assert "withdrew the permission for evaluation" in str(why[0])
    assert clearance.stored_scope(run) == before


def test_it_takes_so_many_queries_whatever_the_number_of_recordings(
    ada: User, rosa: User, project: Project
) -> None:
    counts = []
    for many in (1, 6):
        run = make_run(ada, project, make_allowed(rosa, many))
        clearance.stored_scope(run)
        with connection.execute_wrapper(_Counter(counts)):
            clearance.current_scope(run)
    assert counts[0] == counts[1]


class _Counter:
    def __init__(self, into: list[int]) -> None:
        self.into = into
        into.append(0)

    def __call__(self, execute: object, *args: object) -> object:
        self.into[-1] += 1
        return execute(*args)  # type: ignore[operator]


# --- What it stops ---------------------------------------------------------------------------


@pytest.fixture
def checkpoint(ada: User, rosa: User, project: Project) -> Checkpoint:
    return trained(ada, project, make_allowed(rosa))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"purpose": Purpose.COMMERCIAL}, "has not allowed training of generative models for comm"),
        ({"model_family": "other"}, ""),
    ],
)
def test_a_project_of_another_purpose_may_not_begin_with_it(
    ada: User, checkpoint: Checkpoint, fields: dict[str, object], words: str
) -> None:
    elsewhere = another(ada, "elsewhere", **fields)
    if not words:
        assert go_on(ada, elsewhere, checkpoint).start_from == checkpoint
        return
    sentence = refused(ada, elsewhere, checkpoint)
    assert sentence.startswith("Not licensed for Elsewhere: ")
    assert words in sentence
    assert Run.objects.filter(project=elsewhere).count() == 0


def test_an_ended_permission_withholds_a_run_that_waits_and_one_that_is_tried_again(
    ada: User, rosa: User, project: Project
) -> None:
    """A suspension leaves no hold: only the scope as it is now knows of it."""
    party = make_party(rosa)
    song = make_recording(rosa, party)
    grants = allow(rosa, party, TRAIN)
    first = trained(ada, project, [song])
    run = go_on(ada, project, first)
    lifecycle.suspend(grants[0], rosa, "To be talked about")
    with pytest.raises(permission.NotUsable, match=party.name):
        permission.check_start(run)
    runs.cancel(run=run, by=ada)
    with pytest.raises(runs.NotPossible, match="suspended the permission"):
        runs.retry(run=run, by=ada)
    assert "suspended" in refused(ada, project, first)


def test_a_model_version_that_may_stay_still_generates_and_is_not_trained_on_from(
    ada: User, rosa: User, project: Project
) -> None:
    party = make_party(rosa)
    song, other = make_recording(rosa, party), make_allowed(rosa, 1)
    first_grants = _allow_with_policy(rosa, party, WithdrawalPolicy.NEXT_VERSION)
    checkpoint = trained(ada, project, [song])
    lifecycle.withdraw(first_grants[0], rosa, "From the next version on")
    assert go_on(ada, project, checkpoint).start_from == checkpoint
    dataset = datasets.freeze(by=ada, project=project, name="next", recordings=other, use=TRAIN)
    with pytest.raises(recipes.ConfigInvalid) as raised:
        runs.submit(
            by=ada, project=project, recipe="flow_matching", config={}, dataset=dataset,
            start_from=checkpoint,
        )  # fmt: skip
    assert party.name in raised.value.errors["start_from"]


def _allow_with_policy(rosa: User, party: Party, policy: WithdrawalPolicy) -> list[object]:
    agreement = agreements.sign(
        by=rosa, counterparty=party, title="Per version", signed_on=date(2026, 1, 1),
        withdrawal_policy=policy,
    )  # fmt: skip
    return [
        lifecycle.activate(
            agreements.draft_grant(
                by=rosa, agreement=agreement, right_type=right, use=TRAIN,
                purposes=[Purpose.RESEARCH],
            ),
            second_admin(),
        )
        for right in ("composition", "master")
    ]  # fmt: skip


def test_fine_tuning_asks_consent_for_fine_tuning_and_begins_with_a_model(
    ada: User, rosa: User, project: Project, checkpoint: Checkpoint
) -> None:
    songs = make_allowed(rosa, 1)
    dataset = datasets.freeze(by=ada, project=project, name="one", recordings=songs, use=TRAIN)

    def submit(**said: object) -> Run:
        return runs.submit(
            by=ada, project=project, recipe="flow_matching", config={"use": "finetune"},
            dataset=dataset, **said,  # type: ignore[arg-type]
        )  # fmt: skip

    with pytest.raises(recipes.ConfigInvalid, match="starts from a model"):
        submit()
    with pytest.raises(runs.NotAllowed, match="fine-tuning"):
        submit(start_from=checkpoint)
    artist = songs[0].credits.get(role="MainArtist").party
    allow(rosa, artist, Use.FINETUNE)
    run = submit(start_from=checkpoint)
    assert run.use == Use.FINETUNE
    assert run.decision is not None
    assert run.decision.use == Use.FINETUNE


def test_weights_of_another_shape_are_refused_beside_each_setting(
    ada: User, rosa: User, project: Project, checkpoint: Checkpoint
) -> None:
    dataset = datasets.freeze(
        by=ada, project=project, name="one", recordings=make_allowed(rosa, 1), use=TRAIN
    )
    with pytest.raises(recipes.ConfigInvalid) as raised:
        runs.submit(
            by=ada, project=project, recipe="flow_matching", config={"blocks": 2, "width": 64},
            dataset=dataset, start_from=checkpoint,
        )  # fmt: skip
    assert set(raised.value.errors) == {"start_from", "blocks", "width"}
    assert raised.value.errors["blocks"] == "Blocks must be 4, as in the checkpoint; it is 2."


def test_somebody_elses_checkpoint_is_none(ben: User, checkpoint: Checkpoint) -> None:
    his = another(ben, "his")
    assert refused(ben, his, checkpoint) == "There is no such checkpoint that you may use."


def test_generation_needs_a_model_and_a_tone_check_takes_none(
    ada: User, project: Project, checkpoint: Checkpoint
) -> None:
    with pytest.raises(recipes.ConfigInvalid, match="choose a checkpoint"):
        runs.submit(by=ada, project=project, recipe="generate", config={})
    with pytest.raises(recipes.ConfigInvalid, match="starts from nothing"):
        runs.submit(by=ada, project=project, recipe="tone_check", config={}, start_from=checkpoint)


def test_references_need_their_own_consent_and_it_is_kept(
    ada: User, rosa: User, project: Project, checkpoint: Checkpoint
) -> None:
    songs = make_allowed(rosa, 1, use=Use.CONDITION)
    heard = datasets.freeze(
        by=ada, project=project, name="heard", recordings=songs, use=Use.CONDITION
    )
    run = go_on(ada, project, checkpoint, dataset=heard)
    assert run.use == Use.CONDITION
    assert run.decision is not None
    assert list(run.decision.lines.values_list("recording", flat=True)) == [songs[0].pk]
    party = songs[0].credits.get(role="MainArtist").party
    lifecycle.opt_out(songs[0], Use.CONDITION, party, rosa, "Not as a reference")
    with pytest.raises(runs.NotAllowed, match="reference audio"):
        permission.check_start(run)
    with pytest.raises(runs.NotAllowed):
        go_on(ada, project, checkpoint, dataset=heard)


# --- The program's side ----------------------------------------------------------------------


def test_a_program_fetches_exactly_the_weights_it_begins_with_while_it_runs(
    ada: User, rosa: User, project: Project, checkpoint: Checkpoint, client: Client
) -> None:
    run = go_on(ada, project, checkpoint)
    _, secret = tokens.issue(ada, "run", scope=f"run:{run.pk}", by=ada)
    headers = {"Authorization": f"Bearer {secret}"}

    def get(path: str) -> int:
        return client.get(f"/api/v1/runs/{path}", headers=headers).status_code

    assert get(f"{run.pk}/start-from") == 403
    Run.objects.filter(pk=run.pk).update(state=Run.State.RUNNING)
    spec = client.get(f"/api/v1/runs/{run.pk}/spec", headers=headers).json()
    assert spec["start_from"]["sha256"] == checkpoint.blob_id
    answer = client.get(spec["start_from"]["url"], headers=headers)
    assert b"".join(answer.streaming_content) == f"weights of {checkpoint.run_id} at 100".encode()
    assert get(f"{checkpoint.run_id}/checkpoints/100") == 403
    grant = checkpoint.run.dataset.items.first().recording.credits.get(  # type: ignore[union-attr]
        role="MainArtist"
    ).party.grants.filter(use=TRAIN).first()  # fmt: skip
    assert grant is not None
    lifecycle.withdraw(grant, rosa, "No more")
    assert get(f"{run.pk}/start-from") == 410


def test_a_submit_file_names_the_checkpoint(
    ada: User, ben: User, project: Project, checkpoint: Checkpoint, client: Client
) -> None:
    def send(user: User, number: int) -> object:
        _, secret = tokens.issue(user, "mine", scope="api", by=user)
        return client.post(
            "/api/v1/submissions",
            {"project": project.slug, "recipe": "generate", "start_from": number},
            content_type="application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )

    answer = send(ada, checkpoint.pk)
    assert answer.status_code == 200  # type: ignore[attr-defined]
    assert Run.objects.get(pk=answer.json()["id"]).start_from == checkpoint  # type: ignore[attr-defined]
    assert send(ada, 10**9).status_code == 404  # type: ignore[attr-defined]


# --- Pages and the API -----------------------------------------------------------------------


@pytest.fixture
def page(ada: User, client: Client) -> Client:
    client.force_login(ada)
    return client


def test_the_form_says_what_a_model_is_cleared_for_and_what_would_be_refused(
    ada: User, project: Project, checkpoint: Checkpoint, page: Client
) -> None:
    def form(where: Project, recipe: str) -> str:
        url = reverse("experiments:run_new", args=[where.slug])
        return page.get(url, {"recipe": recipe, "start_from": checkpoint.pk}).content.decode()

    here = form(project, "generate")
    assert f'<option value="{checkpoint.pk}" selected>' in here
    assert "for research in the world" in here
    assert "has not allowed distribution of outputs" in here
    assert "Not licensed for" not in here
    elsewhere = another(ada, "elsewhere", purpose=Purpose.COMMERCIAL)
    assert "Not licensed for Elsewhere" in form(elsewhere, "generate")
    assert "id_start_from" not in form(project, "tone_check")


def test_the_form_takes_the_settings_of_the_network_from_the_checkpoint(
    rosa: User, project: Project, checkpoint: Checkpoint, page: Client
) -> None:
    checkpoint.meta["config"]["blocks"] = 7
    checkpoint.save()
    url = reverse("experiments:run_new", args=[project.slug])
    asked = {"recipe": "flow_matching", "start_from": checkpoint.pk}
    shown = page.get(url, asked).content.decode()
    assert 'name="config.blocks" value="7"' in shown


def test_a_refused_beginning_stands_beside_its_field_with_all_that_was_typed(
    ada: User, checkpoint: Checkpoint, page: Client
) -> None:
    elsewhere = another(ada, "elsewhere", purpose=Purpose.COMMERCIAL)
    typed = {"recipe": "generate", "start_from": checkpoint.pk, "name": "Mine, typed",
             "config.prompts": "one of a kind"}  # fmt: skip
    answer = page.post(reverse("experiments:run_submit", args=[elsewhere.slug]), typed)
    shown = answer.content.decode()
    assert answer.status_code == 422
    assert re.search(r'id="start-error">Not licensed for Elsewhere', shown)
    assert "Mine, typed" in shown
    assert "one of a kind" in shown
    answer = page.post(reverse("experiments:run_submit", args=[checkpoint.run.project.slug]), typed)
    assert answer.status_code == 302
    assert Run.objects.get(name="Mine, typed").start_from == checkpoint


def test_a_run_says_what_it_is_cleared_for_and_names_holders_to_its_members_only(
    ben: User, lou: User, project: Project, checkpoint: Checkpoint, client: Client
) -> None:
    url = reverse("experiments:run_scope", args=[project.slug, checkpoint.run.number])
    holder = Party.objects.latest("pk").name
    Membership.objects.create(project=project, user=ben, level=Membership.Level.VIEWER)
    ada = checkpoint.run.submitted_by
    for user, status, named in ((ada, 200, True), (ben, 200, False), (lou, 404, False)):
        client.force_login(user)
        answer = client.get(url)
        assert answer.status_code == status
        assert (holder in answer.content.decode()) == named
    client.force_login(ada)
    numbered = [project.slug, checkpoint.run.number]
    page = client.get(reverse("experiments:run_checkpoints", args=numbered)).content.decode()
    assert f"recipe=generate&amp;start_from={checkpoint.pk}" in page
    assert url in client.get(reverse("experiments:run_data", args=numbered)).content.decode()


def test_the_api_has_the_scope_with_the_checkpoints(
    ada: User, project: Project, checkpoint: Checkpoint, client: Client
) -> None:
    _, secret = tokens.issue(ada, "mine", scope="api", by=ada)
    headers = {"Authorization": f"Bearer {secret}"}
    body = client.get(f"/api/v1/runs/{checkpoint.run_id}", headers=headers).json()
    assert [one["id"] for one in body["checkpoints"]] == [checkpoint.pk]
    uses = {one["use"]: one for one in body["scope"]["uses"]}
    assert uses[""]["here"]
    assert uses["eval"]["cleared"] == "for research in the world"
    assert not uses["distribute"]["here"]
    assert body["scope"]["digest"] == checkpoint.run.cleared_scope.digest
