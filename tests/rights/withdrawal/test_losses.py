"""What an ending takes: word by word, in the context that something was made for, by the policy of
the permissions that it was made under; and what is given back when a question is settled."""

from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from django.utils import timezone

from audio_samples.models import Sample
from experiments.clearance import clearance, permission
from experiments.models import Attempt, Checkpoint, Dataset, Project, Run
from experiments.runs import datasets, runs
from portal.models import User
from rights.catalogue import catalogue
from rights.consent import consent
from rights.errors import Refused
from rights.grants import agreements, lifecycle
from rights.models import (
    CaseItem,
    Grant,
    Hold,
    Mandate,
    Party,
    Recording,
    RightType,
    Use,
    WithdrawalCase,
    WithdrawalPolicy,
    Work,
)
from rights.parties import parties, splits
from rights.withdrawal import cases, impact, losses
from tests.audio_samples.cast import make_run
from tests.catalogue import allow, make_party, make_recording, second_admin
from tests.rights.withdrawal.affected import Line, make_line

pytestmark = pytest.mark.django_db

TRAIN = Use.TRAIN_GENERATIVE
WHOLE = 1_000_000


@pytest.fixture
def party(rosa: User) -> Party:
    return make_party(rosa)


@pytest.fixture
def song(rosa: User, party: Party) -> Recording:
    return make_recording(rosa, party)


def give(
    by: User,
    party: Party,
    right: RightType = RightType.MASTER,
    *,
    policy: WithdrawalPolicy = WithdrawalPolicy.RECALL,
    use: Use = TRAIN,
    starts_on: date | None = None,
    **subject: object,
) -> Grant:
    """One permission in force, under an agreement with this policy."""
    paper = agreements.sign(
        by=by, counterparty=party, title="Paper", signed_on=date(2026, 1, 1),
        withdrawal_policy=policy, remedy_days=30,
    )  # fmt: skip
    made = agreements.draft_grant(
        by=by,
        agreement=paper,
        right_type=right,
        use=use,
        starts_on=starts_on,
        **subject,  # type: ignore[arg-type]
    )
    return lifecycle.activate(made, second_admin())


def give_both(by: User, party: Party, **terms: object) -> list[Grant]:
    return [give(by, party, right, **terms) for right in (RightType.MASTER, RightType.COMPOSITION)]  # type: ignore[arg-type]


def end(*grants: Grant, by: User) -> None:
    for grant in grants:
        grant.refresh_from_db()
        lifecycle.withdraw(grant, by, "No more.")


def holder_of(song: Recording) -> Party:
    return song.splits.get().lines.get().party


def is_heard(line: Line) -> bool:
    return Sample.objects.audible().filter(pk=line.sample.pk).exists()


def is_usable(line: Line) -> bool:
    return Checkpoint.objects.usable().filter(pk=line.checkpoint.pk).exists()


def listed(case: WithdrawalCase) -> set[str]:
    return set(case.items.values_list("kind", flat=True))


# --- Word by word -----------------------------------------------------------------------------


@pytest.fixture
def works(rosa: User, party: Party, song: Recording) -> list[Work]:
    """The song has another work in it, of the same party."""
    first = song.works.get()
    work = catalogue.add_work(by=rosa, title="The other one")
    sheet = splits.propose(by=rosa, subject=work, lines={party: WHOLE})
    splits.confirm(sheet=sheet, party=party, by=rosa)
    catalogue.attach_work(by=rosa, recording=song, work=work)
    return [first, work]


def test_the_end_of_one_works_permission_silences_what_holds_another_work_too(
    rosa: User, ada: User, project: Project, song: Recording, works: list[Work]
) -> None:
    party = holder_of(song)
    allow(rosa, party, Use.EVAL)
    give(rosa, party)
    one, _ = (give(rosa, party, RightType.COMPOSITION, work=work) for work in works)
    line = make_line(ada, project, [song])
    assert impact.of_ending([one]).count == 1
    end(one, by=rosa)
    case = WithdrawalCase.objects.get()
    assert not is_heard(line)
    assert not is_usable(line)
    assert listed(case) == {"dataset", "run", "checkpoint", "sample", "test"}
    # What is given anew permits new use, and gives back nothing.
    give(rosa, party, RightType.COMPOSITION, work=works[0])
    assert not is_heard(line)
    with pytest.raises(runs.NotAllowed):
        runs.submit(
            by=ada, project=project, recipe="flow_matching", config={}, dataset=line.run.dataset
        )


def test_a_grant_for_the_recording_covers_both_its_works_when_one_of_theirs_ends(
    rosa: User, ada: User, project: Project, song: Recording, works: list[Work]
) -> None:
    party = holder_of(song)
    allow(rosa, party, TRAIN, Use.EVAL)
    one = give(rosa, party, RightType.COMPOSITION, work=works[1])
    line = make_line(ada, project, [song])
    end(one, by=rosa)
    assert not WithdrawalCase.objects.exists()
    assert is_heard(line)


def test_two_holders_of_one_right_are_two_words(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    other = make_party(rosa)
    sheet = splits.propose(by=rosa, subject=song, lines={party: 400_000, other: 600_000})
    for one in (party, other):
        splits.confirm(sheet=sheet, party=one, by=rosa)
    allow(rosa, party, TRAIN, Use.EVAL)
    allow(rosa, other, Use.EVAL, rights=(RightType.MASTER,))
    theirs = give(rosa, other)
    line = make_line(ada, project, [song])
    end(theirs, by=rosa)
    assert not is_heard(line)


# --- In the context that it was made for -------------------------------------------------------


def test_what_a_narrower_grant_still_allows_here_goes_on(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    Project.objects.update(territory="SE")
    project.refresh_from_db()
    allow(rosa, party, Use.EVAL)
    give_both(rosa, party, territories=["SE"])
    wide = give_both(rosa, party)
    line = make_line(ada, project, [song])
    end(*wide, by=rosa)
    assert is_heard(line)
    assert is_usable(line)
    assert permission.holds_on(line.run.dataset, TRAIN) == []
    assert Hold.objects.filter(recording=song).exists()


def test_a_narrower_version_silences_only_what_it_leaves_out(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    elsewhere = Project.objects.create(slug="no", name="Norway", territory="NO")
    Project.objects.filter(pk=project.pk).update(territory="SE")
    project.refresh_from_db()
    for where in (elsewhere, project):
        where.memberships.get_or_create(user=ada)
    allow(rosa, party, Use.EVAL)
    wide = give_both(rosa, party)
    stays, goes = make_line(ada, project, [song]), make_line(ada, elsewhere, [song])
    for grant in wide:
        newer = agreements.change(grant, by=rosa, territories=["SE"])
        lifecycle.activate(newer, second_admin())
    assert (is_heard(stays), is_heard(goes)) == (True, False)
    keys = {item.key for item in CaseItem.objects.filter(kind="sample")}
    assert keys == {str(goes.sample.pk)}


def test_an_agents_withdrawal_beside_the_holders_own_grant_takes_nothing(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    agent = make_party(rosa, "Agent")
    row = parties.enter_mandate(
        by=rosa, holder=party, agent=agent, right_types=["master", "composition"]
    )
    parties.approve_mandate(row, second_admin())
    allow(rosa, party, TRAIN, Use.EVAL)
    theirs = give_both(rosa, agent)
    line = make_line(ada, project, [song])
    end(*theirs, by=rosa)
    assert is_heard(line)


def sign_for(by: User, party: Party, agent: Party) -> Mandate:
    row = parties.enter_mandate(
        by=by, holder=party, agent=agent, right_types=["master", "composition"]
    )
    return parties.approve_mandate(row, second_admin())


def test_of_two_equal_mandates_the_last_one_counts(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    agent = make_party(rosa, "Agent")
    first, second = (sign_for(rosa, party, agent) for _ in range(2))
    allow(rosa, agent, TRAIN, Use.EVAL)
    line = make_line(ada, project, [song])
    parties.end_mandate(first, rosa, "Signed twice.")
    assert is_heard(line)
    assert not WithdrawalCase.objects.exists()
    parties.end_mandate(second, rosa, "Over.")
    assert not is_heard(line)


# --- The policy that was relied on -------------------------------------------------------------


def test_a_permission_that_came_later_does_not_bring_its_policy_to_what_was_there(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    allow(rosa, party, Use.EVAL)
    recall = give_both(rosa, party)
    line = make_line(ada, project, [song])
    lenient = give_both(rosa, party, policy=WithdrawalPolicy.NEXT_VERSION)
    end(*recall, by=rosa)
    assert is_heard(line)
    end(*lenient, by=rosa)
    assert not is_heard(line)
    case = WithdrawalCase.objects.filter(items__kind="sample").distinct().get()
    assert (case.policy, case.remedy_days) == (WithdrawalPolicy.RECALL, 30)


def test_what_was_made_under_the_lenient_permission_stays_in_whatever_order_both_end(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    allow(rosa, party, Use.EVAL)
    lenient = give_both(rosa, party, policy=WithdrawalPolicy.NEXT_VERSION)
    line = make_line(ada, project, [song])
    recall = give_both(rosa, party)
    end(*lenient, *recall, by=rosa)
    assert is_heard(line)
    assert set(CaseItem.objects.values_list("outcome", flat=True)) == {CaseItem.Outcome.COVERED}
    assert not consent.evaluate([song], TRAIN, permission.context_of(project)).allowed


def test_who_is_found_later_is_asked_though_another_agreed_that_the_version_stays(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    allow(rosa, party, Use.EVAL)
    grants = give_both(rosa, party, policy=WithdrawalPolicy.NEXT_VERSION)
    line = make_line(ada, project, [song])
    end(*grants, by=rosa)
    assert is_heard(line)
    work = catalogue.add_work(by=rosa, title="Found in it")
    stranger = make_party(rosa)
    sheet = splits.propose(by=rosa, subject=work, lines={stranger: WHOLE})
    splits.confirm(sheet=sheet, party=stranger, by=rosa)
    catalogue.attach_work(by=rosa, recording=song, work=work)
    assert not is_heard(line)
    case = WithdrawalCase.objects.get(cause=WithdrawalCase.Cause.IN_QUESTION, use=TRAIN)
    assert "sample" in listed(case)


def _shared(by: User, party: Party, other: Party, song: Recording) -> None:
    sheet = splits.propose(by=by, subject=song, lines={party: 500_000, other: 500_000})
    for one in (party, other):
        splits.confirm(sheet=sheet, party=one, by=by)


def test_another_holders_suspension_is_not_hidden_by_a_withdrawal_that_lets_the_version_stay(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    other = make_party(rosa)
    _shared(rosa, party, other, song)
    grants = give_both(rosa, party, policy=WithdrawalPolicy.NEXT_VERSION)
    theirs = give(rosa, other)
    allow(rosa, party, Use.EVAL)
    run = make_run(ada, project, [song])
    permission.check_start(run)
    Attempt.objects.create(run=run, number=1, job_name="one", state=Attempt.State.LOST)
    end(*grants, by=rosa)
    permission.check_start(run)
    context = permission.context_of(project)
    assert clearance.allows(clearance.current_scope(run, ()), "", context) == []
    lifecycle.suspend(theirs, rosa, "A question.")
    with pytest.raises(runs.NotAllowed):
        permission.check_start(run)
    assert clearance.allows(clearance.current_scope(run, ()), "", context)
    lifecycle.resume(theirs, rosa)
    permission.check_start(run)


# --- Every hold belongs to a case, and questions are settled -----------------------------------


def make_trouble(kind: str, by: User, party: Party, song: Recording) -> None:
    if kind == "dispute":
        splits.dispute(sheet=song.splits.get(), party=party, by=by, reason="Wrong shares.")
    elif kind == "co-writer":
        work = song.works.get()
        splits.propose(by=by, subject=work, lines={party: 900_000, make_party(by): 100_000})
    elif kind == "work":
        catalogue.attach_work(by=by, recording=song, work=catalogue.add_work(by=by, title="New"))
    elif kind == "mandate":
        parties.end_mandate(Mandate.objects.get(), by, "Over.")


@pytest.mark.parametrize("kind", ["dispute", "co-writer", "work", "mandate"])
def test_every_ending_opens_a_case_with_tasks_and_a_day(
    rosa: User, ada: User, project: Project, song: Recording, kind: str
) -> None:
    party = holder_of(song)
    agent = make_party(rosa, "Agent")
    if kind == "mandate":
        sign_for(rosa, party, agent)
    for use in (TRAIN, Use.EVAL):
        give_both(rosa, agent if kind == "mandate" else party, use=use)
    line = make_line(ada, project, [song])
    make_trouble(kind, rosa, party, song)
    assert not is_heard(line)
    assert not Hold.objects.filter(case=None).exists()
    case = WithdrawalCase.objects.get(use=TRAIN)
    assert listed(case) == {"dataset", "run", "checkpoint", "sample", "test"}
    assert case.tasks.filter(done_at=None).count() == 4
    assert case.due_at > timezone.now()
    ended = kind == "mandate"
    assert case.cause == ("ended" if ended else "in_question")


def settle(by: User, sheets: Sequence[object], parties_: Sequence[Party]) -> None:
    for sheet in sheets:
        for party in parties_:
            splits.confirm(sheet=sheet, party=party, by=by)  # type: ignore[arg-type]


def test_what_a_dispute_silenced_is_heard_again_when_it_is_settled(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    allow(rosa, party, TRAIN, Use.EVAL)
    line = make_line(ada, project, [song])
    sheet = song.splits.get()
    splits.dispute(sheet=sheet, party=party, by=rosa, reason="Wrong shares.")
    permission.mark_affected_datasets()
    assert not is_heard(line)
    splits.confirm(sheet=sheet, party=party, by=rosa)
    assert is_heard(line)
    assert is_usable(line)
    dataset = Dataset.objects.get()
    assert dataset.status == Dataset.Status.FROZEN
    case = WithdrawalCase.objects.get(use=TRAIN)
    assert set(case.items.exclude(kind="run").values_list("outcome", flat=True)) == {"covered"}
    assert not Hold.objects.filter(lifted_at=None).exists()
    assert case.status == WithdrawalCase.Status.VERIFIED


def test_the_same_sheet_entered_again_silences_until_it_is_confirmed(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    allow(rosa, party, TRAIN, Use.EVAL)
    line = make_line(ada, project, [song])
    sheet = splits.propose(by=rosa, subject=song, lines={party: WHOLE})
    assert not is_heard(line)
    splits.confirm(sheet=sheet, party=party, by=rosa)
    assert is_heard(line)


def test_a_co_writer_who_allows_it_later_gives_back_nothing(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    allow(rosa, party, TRAIN, Use.EVAL)
    line = make_line(ada, project, [song])
    other = make_party(rosa)
    work = song.works.get()
    sheet = splits.propose(by=rosa, subject=work, lines={party: 900_000, other: 100_000})
    allow(rosa, other, TRAIN, Use.EVAL)
    settle(rosa, [sheet], [party, other])
    assert consent.evaluate([song], TRAIN, permission.context_of(project)).allowed
    assert not is_heard(line)


def test_a_co_writer_who_had_allowed_it_already_silences_nothing_for_long(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    other = make_party(rosa)
    for one in (party, other):
        allow(rosa, one, TRAIN, Use.EVAL)
    line = make_line(ada, project, [song])
    work = song.works.get()
    sheet = splits.propose(by=rosa, subject=work, lines={party: 900_000, other: 100_000})
    assert not is_heard(line)
    settle(rosa, [sheet], [party, other])
    assert is_heard(line)


def test_what_was_withdrawn_during_a_dispute_stays_withdrawn_when_it_is_settled(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    allow(rosa, party, Use.EVAL)
    grants = give_both(rosa, party)
    line = make_line(ada, project, [song])
    sheet = song.splits.get()
    splits.dispute(sheet=sheet, party=party, by=rosa, reason="Wrong shares.")
    end(*grants, by=rosa)
    # Another yes before the question is settled is no yes to what had been made.
    give_both(rosa, party)
    splits.confirm(sheet=sheet, party=party, by=rosa)
    assert not is_heard(line)


def test_a_dispute_that_is_raised_again_silences_again(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    allow(rosa, party, TRAIN, Use.EVAL)
    line = make_line(ada, project, [song])
    sheet = song.splits.get()
    for _ in range(2):
        splits.dispute(sheet=sheet, party=party, by=rosa, reason="Wrong shares.")
        assert not is_heard(line)
        splits.confirm(sheet=sheet, party=party, by=rosa)
        assert is_heard(line)
    splits.dispute(sheet=sheet, party=party, by=rosa, reason="Wrong shares.")
    newest = WithdrawalCase.objects.filter(use=TRAIN).order_by("-pk")[0]
    assert newest.items.get(kind="sample").outcome == "withheld"


# --- Versions, time, four eyes -------------------------------------------------------------------


def test_a_version_that_begins_later_leaves_the_old_one_in_force_until_then(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    allow(rosa, party, Use.EVAL)
    old = give_both(rosa, party)
    line = make_line(ada, project, [song])
    begins = timezone.now().date() + timedelta(days=30)
    for grant in old:
        newer = agreements.change(grant, by=rosa, territories=["SE"], starts_on=begins)
        lifecycle.activate(newer, second_admin())
    assert set(Grant.objects.filter(use=TRAIN).values_list("status", flat=True)) == {"active"}
    context = permission.context_of(project)
    assert consent.evaluate([song], TRAIN, context).allowed
    # From that day on the new terms count, before anybody has written down that it has come.
    then = timezone.now() + timedelta(days=31)
    verdict = consent.evaluate([song], TRAIN, context, at=then)
    assert {reason["code"] for reason in verdict[song.pk].reasons} == {"territory"}
    assert is_heard(line)
    assert lifecycle.expire_due(timezone.now()) == 0
    Grant.objects.filter(replaces__isnull=False).update(starts_on=timezone.now().date())
    assert lifecycle.expire_due() == 2
    assert {Grant.objects.get(pk=grant.pk).status for grant in old} == {"superseded"}
    assert not is_heard(line)


def test_a_withdrawal_reaches_the_version_that_was_to_follow(
    rosa: User, party: Party, song: Recording
) -> None:
    old = give(rosa, party)
    later = timezone.now().date() + timedelta(days=30)
    newer = lifecycle.activate(agreements.change(old, by=rosa, starts_on=later), second_admin())
    end(old, by=rosa)
    newer.refresh_from_db()
    assert newer.status == Grant.Status.WITHDRAWN


def test_taking_an_offered_version_back_leaves_the_one_in_force(
    rosa: User, party: Party, song: Recording
) -> None:
    old = give(rosa, party)
    end(agreements.change(old, by=rosa, territories=["SE"]), by=rosa)
    old.refresh_from_db()
    assert old.status == Grant.Status.ACTIVE


def test_a_version_that_begins_and_ends_between_two_rounds_ends_the_old_one(
    rosa: User, party: Party, song: Recording
) -> None:
    old = give(rosa, party)
    begins = timezone.now().date() + timedelta(days=1)
    newer = agreements.change(old, by=rosa, starts_on=begins, ends_on=begins)
    lifecycle.activate(newer, second_admin())
    lifecycle.expire_due(timezone.now() + timedelta(days=3))
    assert set(Grant.objects.values_list("status", flat=True)) == {"superseded", "expired"}


def test_a_set_frozen_just_after_a_withdrawal_is_not_in_its_case(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    allow(rosa, party, Use.EVAL)
    grants = give_both(rosa, party)
    line = make_line(ada, project, [song])
    end(*grants, by=rosa)
    give_both(rosa, party)
    lawful = datasets.freeze(by=ada, project=project, name="new", recordings=[song], use=TRAIN)
    cases.refresh_cases()
    keys = set(CaseItem.objects.filter(kind="dataset").values_list("key", flat=True))
    assert keys == {str(line.run.dataset_id)}
    case = WithdrawalCase.objects.get(use=TRAIN)
    cases.remedy(case, "dataset", rosa)
    lawful.refresh_from_db()
    assert lawful.status == Dataset.Status.FROZEN


def test_who_says_that_something_is_covered_does_not_close_the_case(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    allow(rosa, party, Use.EVAL)
    grant, _ = give_both(rosa, party)
    make_line(ada, project, [song])
    lifecycle.withdraw(grant, None, "No more.")
    case = WithdrawalCase.objects.get()
    for kind in ("dataset", "sample", "test"):
        cases.remedy(case, kind, rosa)
    Run.objects.update(state=Run.State.FINISHED)
    cases.settle(case.items.get(kind="checkpoint"), outcome="covered", by=rosa, note="It says so.")
    with pytest.raises(Refused, match="somebody else has to look"):
        cases.close(case, rosa, "Done.")
    assert [item.kind for item in cases.by_hand(case)] == ["checkpoint"]
    assert cases.close(case, second_admin(), "Looked at.").closed_at is not None


def test_the_preview_says_what_the_act_does(
    rosa: User, ada: User, project: Project, party: Party, song: Recording
) -> None:
    """Of a wide grant beside a narrow one: the recording loses something, nothing is silenced."""
    Project.objects.update(territory="SE")
    project.refresh_from_db()
    allow(rosa, party, Use.EVAL)
    give_both(rosa, party, territories=["SE"])
    wide = give_both(rosa, party)
    make_line(ada, project, [song])
    shown = impact.of_ending(wide)
    assert (shown.count, shown.levels) == (1, [])
    loss = losses.of_grants([wide[0]])
    assert (loss.recordings, loss.affected) == ([song.pk], [])
