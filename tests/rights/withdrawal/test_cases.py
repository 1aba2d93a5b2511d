"""A case lists all that came out of withdrawn music, and closes when that is done."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audio_samples.models import Sample
from experiments.models import Checkpoint, Dataset, Project, Run
from listening.models import ListeningTest
from portal.models import AuditEvent, User
from rights.errors import Refused
from rights.grants import lifecycle
from rights.models import (
    CaseItem,
    CaseStep,
    Grant,
    Hold,
    Party,
    Recording,
    RightType,
    Use,
    WithdrawalCase,
    WithdrawalPolicy,
)
from rights.withdrawal import case_items, cases, descendants, impact, withdraw_party
from tests.audio_samples.cast import make_sample
from tests.catalogue import allow, make_party, make_recording, second_admin
from tests.rights.withdrawal.affected import Line, go_on_from, make_checkpoint, make_line

pytestmark = pytest.mark.django_db

Outcome = CaseItem.Outcome
TRAIN = Use.TRAIN_GENERATIVE


@pytest.fixture
def party(rosa: User) -> Party:
    return make_party(rosa)


@pytest.fixture
def songs(rosa: User, party: Party) -> list[Recording]:
    return [make_recording(rosa, party) for _ in range(2)]


@pytest.fixture
def grants(rosa: User, party: Party, songs: list[Recording]) -> list[Grant]:
    # The samples are heard in a listening test.
    allow(rosa, party, Use.EVAL)
    return allow(rosa, party, TRAIN)


@pytest.fixture
def line(ada: User, project: Project, songs: list[Recording], grants: list[Grant]) -> Line:
    return make_line(ada, project, songs)


def withdraw(grant: Grant, by: User) -> WithdrawalCase:
    lifecycle.withdraw(grant, by, "Changed my mind.")
    return WithdrawalCase.objects.get()


def policy(grants: list[Grant], wanted: WithdrawalPolicy) -> Grant:
    Grant.objects.update(withdrawal_policy=wanted)
    grants[0].refresh_from_db()
    return grants[0]


def outcomes(case: WithdrawalCase) -> dict[str, str]:
    return dict(case.items.values_list("kind", "outcome"))


def listed(case: WithdrawalCase) -> set[tuple[str, str]]:
    return set(case.items.values_list("kind", "key"))


def rungs(case: WithdrawalCase) -> dict[str, bool]:
    return {step.rung: step.done_at is not None for step in case.steps.all()}


def remedy_all(case: WithdrawalCase, by: User) -> None:
    for kind in ("dataset", "checkpoint", "sample", "test"):
        cases.remedy(case, kind, by)


def test_every_descendant_is_in_the_case_from_the_first_moment(
    rosa: User, grants: list[Grant], line: Line
) -> None:
    case = withdraw(grants[0], rosa)
    assert listed(case) == {
        ("dataset", str(line.run.dataset_id)),
        ("run", str(line.run.pk)),
        ("checkpoint", str(line.checkpoint.pk)),
        ("sample", str(line.sample.pk)),
        ("test", str(line.test.pk)),
    }
    assert case.status == WithdrawalCase.Status.REMEDIATING
    assert rungs(case) == {
        "E0": True, "E1": True, "E2": True, "E3": True, "E4": False, "E5": False, "E6": False,
    }  # fmt: skip
    assert {task.title for task in case.tasks.all()} == {
        "Retire the frozen datasets",
        "Train the models anew without it, or retire their checkpoints",
        "Recall the samples",
        "Close the listening tests",
    }


def test_what_was_made_with_other_music_or_for_another_use_is_not_in_it(
    rosa: User, ada: User, project: Project, grants: list[Grant], line: Line
) -> None:
    apart = _other_line(rosa, ada, project)
    case = withdraw(grants[0], rosa)
    assert ("run", str(apart.run.pk)) not in listed(case)
    evaluation = Grant.objects.filter(use=Use.EVAL, grantor=grants[0].grantor)[0]
    lifecycle.withdraw(evaluation, rosa, "No listening.")
    assert not WithdrawalCase.objects.get(use=Use.EVAL).items.exists()


def test_runs_and_samples_that_began_with_its_weights_are_in_it_and_withheld(
    rosa: User, ada: User, project: Project, grants: list[Grant], line: Line
) -> None:
    second = go_on_from(line.checkpoint, by=ada, project=project)
    third = go_on_from(make_checkpoint(second), by=ada, project=project)
    sample, apart = make_sample(third), _other_line(rosa, ada, project).sample
    assert Sample.objects.audible().count() == 3
    case = withdraw(grants[0], rosa)
    assert {("run", str(second.pk)), ("run", str(third.pk)), ("sample", str(sample.pk))} <= listed(
        case
    )
    assert list(Sample.objects.audible()) == [apart]
    assert set(Sample.objects.withheld()) == {line.sample, sample}
    assert Sample.objects.with_holds().get(pk=sample.pk).hold_reason == "Changed my mind."


def _other_line(rosa: User, ada: User, project: Project) -> Line:
    other = make_party(rosa)
    songs = [make_recording(rosa, other)]
    allow(rosa, other, TRAIN, Use.EVAL)
    return make_line(ada, project, songs)


def test_a_sample_that_comes_late_is_taken_into_the_case_by_the_clock(
    rosa: User, grants: list[Grant], line: Line
) -> None:
    case = withdraw(grants[0], rosa)
    assert cases.refresh_cases() == 1
    late = make_sample(line.run, "final/late/0")
    assert not Sample.objects.audible().filter(pk=late.pk).exists()
    assert cases.refresh_cases() == 1
    assert ("sample", str(late.pk)) in listed(case)


def test_the_clock_asks_little_where_nothing_has_changed(
    rosa: User, grants: list[Grant], line: Line, django_assert_max_num_queries: object
) -> None:
    withdraw(grants[0], rosa)
    cases.refresh_cases()
    # A question for each kind, and two for the cases.
    most = len(descendants.kinds()) + 2
    with django_assert_max_num_queries(most):  # type: ignore[operator]
        assert cases.refresh_cases() == 0


def test_what_comes_after_a_case_was_closed_opens_it_again(
    rosa: User, grants: list[Grant], line: Line
) -> None:
    case = withdraw(grants[0], rosa)
    remedy_all(case, rosa)
    cases.close(case, second_admin(), "All is gone.")
    make_sample(line.run, "final/late/0")
    cases.refresh_cases()
    case.refresh_from_db()
    assert (case.status, case.closed_at) == ("remediating", None)
    assert rungs(case)["E6"] is False
    assert AuditEvent.objects.filter(verb="case.reopened").exists()
    cases.remedy(case, "sample", rosa)
    cases.close(case, second_admin(), "Now all is gone.")
    assert cases.refresh_cases(timezone.now() + timedelta(days=8)) == 0


def test_what_is_frozen_later_with_a_new_permission_is_not_in_the_old_case(
    rosa: User, party: Party, songs: list[Recording], grants: list[Grant], line: Line
) -> None:
    case = withdraw(grants[0], rosa)
    past = timezone.now() - timedelta(hours=1)
    WithdrawalCase.objects.update(opened_at=past)
    Dataset.objects.update(frozen_at=past)
    Hold.objects.update(at=past)
    allow(rosa, party, TRAIN)
    new = make_line(line.run.submitted_by, line.run.project, songs)
    case.refresh_from_db()
    cases.refresh(case)
    assert ("run", str(line.run.pk)) in listed(case)
    assert ("run", str(new.run.pk)) not in listed(case)
    assert list(Sample.objects.audible()) == [new.sample]


def test_closing_is_refused_while_anything_is_open(
    rosa: User, grants: list[Grant], line: Line
) -> None:
    case = withdraw(grants[0], rosa)
    for kind in ("dataset", "checkpoint", "sample"):
        with pytest.raises(Refused, match="open"):
            cases.close(case, second_admin(), "Done.")
        cases.remedy(case, kind, rosa)
    with pytest.raises(Refused, match="1 of what came out of it is open"):
        cases.close(case, second_admin(), "Done.")
    cases.remedy(case, "test", rosa)
    assert case.status == WithdrawalCase.Status.VERIFIED
    closed = cases.close(case, second_admin(), "Every copy is gone.")
    assert closed.status == WithdrawalCase.Status.CLOSED
    assert all(rungs(closed).values())
    assert closed.steps.get(rung="E6").note == "Every copy is gone."
    assert not closed.tasks.filter(done_at=None).exists()


def test_closing_is_refused_while_a_run_of_it_goes_on(
    rosa: User, grants: list[Grant], line: Line
) -> None:
    Run.objects.update(state=Run.State.RUNNING)
    case = withdraw(grants[0], rosa)
    remedy_all(case, rosa)
    with pytest.raises(Refused, match="open"):
        cases.close(case, second_admin(), "Done.")
    with pytest.raises(Refused, match="end by themselves"):
        cases.remedy(case, "run", rosa)
    Run.objects.update(state=Run.State.WITHHELD)
    cases.close(case, second_admin(), "Done.")


def test_a_rung_with_nothing_to_do_says_so_until_something_comes(
    rosa: User, grants: list[Grant], line: Line
) -> None:
    ListeningTest.objects.all().delete()
    Sample.objects.all().delete()
    case = withdraw(grants[0], rosa)

    def recall() -> tuple[bool, str]:
        return rungs(case)["E5"], case.steps.get(rung=CaseStep.Rung.E5).note

    assert recall() == (True, case_items.NOTHING)
    make_sample(line.run, "final/late/0")
    cases.refresh_cases()
    assert recall() == (False, "")
    cases.remedy(case, "sample", rosa)
    assert recall() == (True, "")
    assert case.steps.get(rung=CaseStep.Rung.E4).note == ""


def test_who_opened_a_case_does_not_close_it(rosa: User, grants: list[Grant], line: Line) -> None:
    case = withdraw(grants[0], rosa)
    remedy_all(case, rosa)
    with pytest.raises(Refused, match="Somebody else"):
        cases.close(case, rosa, "Done.")
    with pytest.raises(Refused, match="note is missing"):
        cases.close(case, second_admin(), " ")
    cases.close(case, second_admin(), "Done.")
    with pytest.raises(Refused, match="closed"):
        cases.close(case, second_admin(), "Twice.")


def test_a_remedy_is_for_good(rosa: User, grants: list[Grant], line: Line) -> None:
    case = withdraw(grants[0], rosa)
    remedy_all(case, rosa)
    assert Dataset.objects.get().status == Dataset.Status.RETIRED
    assert Checkpoint.objects.get().retired_at is not None
    assert Sample.objects.get().withheld_reason.startswith("Recalled: ")
    assert ListeningTest.objects.get().closed_at is not None
    assert outcomes(case) == {
        "dataset": "retired", "run": "stopped", "checkpoint": "retired", "sample": "recalled",
        "test": "stopped",
    }  # fmt: skip
    with pytest.raises(Refused, match="None of the samples is open"):
        cases.remedy(case, "sample", rosa)


def test_a_checkpoint_is_replaced_only_by_one_that_learned_without_the_music(
    rosa: User, ada: User, project: Project, grants: list[Grant], line: Line
) -> None:
    again = go_on_from(line.checkpoint, by=ada, project=project)
    same_music = make_checkpoint(again)
    without = _other_line(rosa, ada, project).checkpoint
    case = withdraw(grants[0], rosa)
    item = case.items.get(kind="checkpoint", key=str(line.checkpoint.pk))
    for replaced_by in ("", "999999", "nonsense", str(line.checkpoint.pk), str(same_music.pk)):
        with pytest.raises(Refused) as refusal:
            cases.settle(item, outcome="retrained", by=rosa, note="Anew.", replaced_by=replaced_by)
        assert refusal.value.field == "replaced_by"
    cases.settle(
        item, outcome="retrained", by=rosa, note="Trained anew.", replaced_by=str(without.pk)
    )
    assert item.outcome == Outcome.RETRAINED
    line.checkpoint.refresh_from_db()
    assert line.checkpoint.retired_at is not None
    with pytest.raises(Refused, match="settled already"):
        cases.settle(item, outcome="covered", by=rosa, note="No.")


def test_unlearning_may_be_noted_and_settles_nothing(
    rosa: User, grants: list[Grant], line: Line
) -> None:
    case = withdraw(grants[0], rosa)
    cases.mitigate(case, by=rosa, note="Unlearned with 200 steps.")
    assert "Unlearned with 200 steps." in case.steps.get(rung="E4").note
    assert rungs(case)["E4"] is False
    item = case.items.get(kind="checkpoint")
    for outcome in ("unlearned", "open", "recalled"):
        with pytest.raises(Refused, match="Unlearning settles nothing"):
            cases.settle(item, outcome=outcome, by=rosa, note="Unlearned.")


def test_a_task_has_an_owner_and_is_due_when_it_was_agreed_at_the_latest(
    rosa: User, ada: User, grants: list[Grant], line: Line
) -> None:
    case = withdraw(grants[0], rosa)
    assert case.due_at == case.opened_at + timedelta(days=90)
    task = case.tasks.all()[0]
    with pytest.raises(Refused) as refusal:
        cases.assign(task, by=rosa, owner=ada, due_at=case.due_at + timedelta(days=1))
    assert refusal.value.field == "due_at"
    sooner = timezone.now() + timedelta(days=3)
    cases.assign(task, by=rosa, owner=ada, due_at=sooner)
    assert (task.owner, task.due_at) == (ada, sooner)
    assert list(WithdrawalCase.objects.visible_to(ada)) == [case]


def test_two_grants_that_end_by_one_word_are_one_case(
    rosa: User, grants: list[Grant], line: Line
) -> None:
    for grant in grants:
        lifecycle.withdraw(grant, rosa, "Changed my mind.")
    assert WithdrawalCase.objects.count() == 1
    assert Hold.objects.filter(case=WithdrawalCase.objects.get()).count() == 4


def test_where_the_next_version_excludes_it_all_that_there_is_stays(
    rosa: User, grants: list[Grant], line: Line
) -> None:
    case = withdraw(policy(grants, WithdrawalPolicy.NEXT_VERSION), rosa)
    assert set(outcomes(case).values()) == {"covered"}
    assert not Hold.objects.exists()
    assert list(Sample.objects.audible()) == [line.sample]
    assert list(Checkpoint.objects.usable()) == [line.checkpoint]
    assert case.status == WithdrawalCase.Status.VERIFIED
    late = make_sample(line.run, "final/late/0")
    cases.refresh_cases()
    assert case.items.get(kind="sample", key=str(late.pk)).outcome == Outcome.COVERED
    cases.close(case, second_admin(), "Version 1 stays, version 2 is made without it.")


def test_until_samples_can_be_released_retraining_recalls_them_too(
    rosa: User, grants: list[Grant], line: Line
) -> None:
    case = withdraw(policy(grants, WithdrawalPolicy.RETRAIN), rosa)
    assert outcomes(case)["sample"] == "withheld"
    assert not Sample.objects.audible().exists()
    assert rungs(case)["E5"] is False
    assert "Released samples stay" in case.steps.get(rung=CaseStep.Rung.E5).note
    cases.remedy(case, "sample", rosa)
    cases.remedy(case, "test", rosa)
    assert rungs(case)["E5"] is True


def test_a_party_that_leaves_ends_everything_as_one_case_for_each_use_and_policy(
    rosa: User, party: Party, songs: list[Recording], grants: list[Grant], line: Line
) -> None:
    allow(rosa, party, TRAIN, recording=songs[0])
    for grant in Grant.objects.filter(use=Use.EVAL):
        grant.withdrawal_policy = WithdrawalPolicy.NEXT_VERSION
        grant.save()
    allow(rosa, party, Use.VOICE, rights=(RightType.PERSONA,))
    opened = withdraw_party.leave(party, by=rosa, reason="We part.")
    assert {(case.use, case.policy) for case in opened} == {
        ("train.generative", "recall"), ("eval", "next_version"), ("voice", "recall"),
    }  # fmt: skip
    assert set(Grant.objects.values_list("status", flat=True)) == {"withdrawn"}
    training = next(case for case in opened if case.use == TRAIN)
    assert set(training.recordings.all()) == set(songs)
    assert ("sample", str(line.sample.pk)) in listed(training)
    assert AuditEvent.objects.filter(verb="grant.withdrawn").count() == Grant.objects.count()
    with pytest.raises(Refused, match="nothing"):
        withdraw_party.leave(party, by=rosa, reason="Twice.")


def test_the_preview_of_a_leaving_counts_what_grants_cover_for_one_another(
    rosa: User, party: Party, songs: list[Recording], grants: list[Grant], line: Line
) -> None:
    allow(rosa, party, TRAIN)
    assert impact.impact([grants[0]]) == ([], [])
    lost, levels = impact.impact(impact.of_party(party))
    assert set(lost) == set(songs)
    assert [(level.kind.name, len(level.nodes)) for level in levels] == [
        ("dataset", 1), ("run", 1), ("checkpoint", 1), ("sample", 1), ("test", 1),
    ]  # fmt: skip


def test_a_holder_of_many_single_permissions_is_asked_about_in_few_queries(
    rosa: User, party: Party, songs: list[Recording], django_assert_max_num_queries: object
) -> None:
    for song in songs:
        allow(rosa, party, TRAIN, recording=song)
    with django_assert_max_num_queries(25):  # type: ignore[operator]
        lost, _ = impact.impact(impact.of_party(party))
    assert set(lost) == set(songs)
