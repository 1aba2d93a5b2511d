"""A permission that ends at the same moment as something is done with it, on PostgreSQL.

In every order: the later one saw the end and was refused, or the mark of the end lies after the
decision and the product is on hold. No order is a deadlock, breaks the log, or makes a decision
that replays to something else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from django.utils import timezone

from audio_samples import samples
from audio_samples.models import Sample
from experiments.clearance import permission
from experiments.models import Attempt, Dataset, Membership, Project, Run
from experiments.runs import datasets, runs
from portal import audit
from portal.models import User
from rights.consent import consent
from rights.errors import Refused
from rights.grants import agreements, lifecycle
from rights.models import (
    Decision,
    Grant,
    Hold,
    Mandate,
    Party,
    Purpose,
    Recording,
    RightType,
    Use,
    WithdrawalCase,
)
from rights.parties import parties, splits
from tests.catalogue import allow, make_party, make_recording, second_admin
from tests.races.together import together
from tests.tones import tone

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROUNDS = 6
GENERATIVE = Use.TRAIN_GENERATIVE
REFUSALS = (Refused, permission.NotAllowed, datasets.EmptyDataset, runs.NotPossible)


@dataclass
class World:
    """A song whose composition the holder's agent signs for, and what stands on it already."""

    rosa: User
    ada: User
    project: Project
    party: Party
    agent: Party
    mandate: Mandate
    song: Recording
    grants: list[Grant]
    dataset: Dataset
    waiting: Run
    running: Run

    def master(self) -> Grant:
        return Grant.objects.get(pk=self.grants[0].pk)


@pytest.fixture
def world(ada: User, rosa: User, project: Project) -> Callable[[], World]:
    Membership.objects.get_or_create(project=project, user=ada)

    def make() -> World:
        party, agent = make_party(rosa), make_party(rosa)
        song = make_recording(rosa, party)
        signs = parties.enter_mandate(
            by=rosa, holder=party, agent=agent, right_types=["composition"]
        )
        parties.approve_mandate(signs, second_admin())
        grants = allow(rosa, party, GENERATIVE, rights=(RightType.MASTER,))
        grants += allow(rosa, agent, GENERATIVE, rights=(RightType.COMPOSITION,))
        dataset = freeze(ada, project, song)
        waiting, running = submit(ada, project, dataset), submit(ada, project, dataset)
        assert runs.claim(running)
        return World(rosa, ada, project, party, agent, signs, song, grants, dataset, waiting,
                     running)  # fmt: skip

    return make


def freeze(by: User, project: Project, song: Recording) -> Dataset:
    return datasets.freeze(by=by, project=project, name="raced", recordings=[song], use=GENERATIVE)


def submit(by: User, project: Project, dataset: Dataset) -> Run:
    return runs.submit(by=by, project=project, recipe="flow_matching", config={}, dataset=dataset)


# --- What ends a permission -----------------------------------------------------------------


def withdraw(world: World) -> object:
    return lifecycle.withdraw(world.master(), world.rosa, "No more.")


def opt_out(world: World) -> object:
    return lifecycle.opt_out(world.song, GENERATIVE, world.party, world.rosa, "Not this one.")


def dispute_master(world: World) -> object:
    sheet = world.song.splits.earliest("version")
    return splits.dispute(sheet=sheet, party=world.party, by=world.rosa, reason="Wrong.")


def dispute_composition(world: World) -> object:
    """The grant in force is the agent's: the holder's own party has none for this right."""
    sheet = world.song.works.get().splits.get()
    return splits.dispute(sheet=sheet, party=world.party, by=world.rosa, reason="Wrong.")


def propose(world: World) -> object:
    return splits.propose(by=world.rosa, subject=world.song, lines={world.agent: 1_000_000})


def end_mandate(world: World) -> object:
    return parties.end_mandate(world.mandate, world.rosa, "Over.")


ENDS = [withdraw, opt_out, dispute_master, dispute_composition, propose, end_mandate]


def withdraw_this(grant: Grant, by: User) -> object:
    return lifecycle.withdraw(fresh(grant), by, "No more.")


def change_this(grant: Grant, by: User) -> object:
    return agreements.change(fresh(grant), by=by)


def activate_this(grant: Grant) -> object:
    return lifecycle.activate(fresh(grant), second_admin())


def on_this(act: Callable[..., object], grant: Grant, *words: object) -> object:
    return act(fresh(grant), *words)


def fresh(grant: Grant) -> Grant:
    """As a page has it that was opened before."""
    return Grant.objects.get(pk=grant.pk)


# --- What is done with it -------------------------------------------------------------------


def act_freeze(world: World) -> object:
    return freeze(world.ada, world.project, world.song)


def act_submit(world: World) -> object:
    return submit(world.ada, world.project, world.dataset)


def act_claim(world: World) -> object:
    """As the reconciler starts a run: consent is asked once more, then the run is claimed."""
    permission.check_consent(project=world.project, dataset=world.dataset, use=GENERATIVE, by=None)
    return runs.claim(world.waiting)


def act_sample(world: World, name: str = "raced") -> object:
    run = Run.objects.get(pk=world.running.pk)
    return samples.receive(run=run, name=name, file=tone(seconds=0.5))


def act_check(world: World) -> object:
    return consent.check(
        [world.song], GENERATIVE, permission.context_of(world.project), by=world.ada
    )


ACTS = [act_freeze, act_submit, act_claim, act_sample, act_check]


def first_hold(world: World) -> Hold:
    return Hold.objects.filter(recording=world.song, use=GENERATIVE).earliest("at")


def judge(world: World, done: object) -> None:
    """What came of the act is refused, or on hold."""
    ended = first_hold(world).at
    if isinstance(done, Exception):
        return
    if isinstance(done, Dataset):
        assert done.decision.as_of < ended
        assert permission.holds_on(done, GENERATIVE)
    if isinstance(done, Run):
        assert done.decision
        assert done.decision.as_of < ended
        assert done in [run for run, _ in permission.runs_on_hold()]
    if isinstance(done, Attempt):
        assert done.run in [run for run, _ in permission.runs_on_hold()]
    if isinstance(done, Sample):
        assert not Sample.objects.audible().filter(pk=done.pk).exists()
    if isinstance(done, Decision):
        assert done.allowed == (done.as_of < ended)


def everything_holds() -> None:
    assert list(audit.broken_lines()) == []
    for decision in Decision.objects.all():
        assert consent.replay(decision).digest == decision.output_digest


@pytest.mark.parametrize("end", ENDS, ids=lambda one: one.__name__)
def test_an_end_against_everything_that_uses_the_permission(
    world: Callable[[], World], end: Callable[[World], object]
) -> None:
    for _ in range(ROUNDS):
        made = world()
        ended, *done = together(
            partial(end, made),
            *[partial(act, made) for act in ACTS],
            refusals=REFUSALS,
        )
        assert not isinstance(ended, Exception)
        for one in done:
            judge(made, one)
        # From here on nothing is permitted any more.
        for act in (act_freeze, act_submit, act_claim):
            with pytest.raises(REFUSALS):
                act(made)
    everything_holds()


def test_everything_that_ends_a_permission_at_once(world: Callable[[], World]) -> None:
    for _ in range(ROUNDS):
        made = world()
        done = together(
            *[partial(end, made) for end in ENDS],
            partial(act_freeze, made),
            refusals=REFUSALS,
        )
        judge(made, done[-1])
        assert not isinstance(done[0], Exception) or not isinstance(done[1], Exception)
    everything_holds()


def test_of_two_approvals_one_counts(world: Callable[[], World]) -> None:
    first = second_admin()
    second = User.objects.create(username="eva", roles=["rights_admin"])
    for _ in range(ROUNDS):
        made = world()
        agreement = agreements.sign(
            by=made.rosa, counterparty=made.party, title="More", signed_on=timezone.now().date()
        )
        grant = agreements.draft_grant(
            by=made.rosa, agreement=agreement, right_type="master", use="eval"
        )
        signs = parties.enter_mandate(
            by=made.rosa, holder=made.agent, agent=made.party, right_types=["master"]
        )
        for act in (lifecycle.activate, parties.approve_mandate):
            row = grant if act is lifecycle.activate else signs
            done = together(
                *[partial(act, type(row).objects.get(pk=row.pk), who) for who in (first, second)],
                refusals=REFUSALS,
            )
            assert sum(isinstance(one, Refused) for one in done) == 1
            lines = audit.history(row).filter(verb__in=("grant.activated", "mandate.approved"))
            assert lines.count() == 1
    everything_holds()


def test_of_two_withdrawals_one_counts_and_one_case_is_opened(world: Callable[[], World]) -> None:
    for _ in range(ROUNDS):
        made = world()
        grant = made.master()
        done = together(*[partial(withdraw, made)] * 2, refusals=REFUSALS)
        refused = [one for one in done if isinstance(one, Exception)]
        assert len(refused) == 1
        assert WithdrawalCase.objects.filter(grant=grant).count() == 1
        assert Hold.objects.filter(grant=grant).count() == 1
        assert audit.history(grant).filter(verb="grant.withdrawn").count() == 1
    everything_holds()


def test_of_two_changes_one_is_drafted(world: Callable[[], World]) -> None:
    for _ in range(ROUNDS):
        made = world()
        grant = made.master()
        done = together(
            *[partial(change_this, grant, made.rosa)] * 2,
            refusals=REFUSALS,
        )
        assert sum(isinstance(one, Refused) for one in done) == 1
        assert Grant.objects.filter(replaces=grant).count() == 1
    everything_holds()


def test_a_change_against_a_withdrawal_leaves_nothing_in_force(
    world: Callable[[], World],
) -> None:
    for _ in range(ROUNDS):
        made = world()
        grant = made.master()
        together(
            partial(change_this, grant, made.rosa),
            partial(withdraw, made),
            refusals=REFUSALS,
        )
        assert not Grant.objects.filter(grantor=made.party, status=Grant.Status.ACTIVE).exists()
    everything_holds()


def test_a_new_version_against_a_withdrawal_of_the_old_one(world: Callable[[], World]) -> None:
    for _ in range(ROUNDS):
        made = world()
        grant = made.master()
        new = agreements.change(grant, by=made.rosa, purposes=[Purpose.RESEARCH, "internal"])
        together(
            partial(activate_this, new),
            partial(withdraw_this, grant, made.rosa),
            partial(act_freeze, made),
            refusals=REFUSALS,
        )
        grant.refresh_from_db()
        assert grant.status in (Grant.Status.WITHDRAWN, Grant.Status.SUPERSEDED)
    everything_holds()


def test_an_activation_against_a_freeze(world: Callable[[], World]) -> None:
    for _ in range(ROUNDS):
        made = world()
        withdraw(made)
        agreement = made.grants[0].agreement
        grant = agreements.draft_grant(
            by=made.rosa, agreement=agreement, right_type="master", use=GENERATIVE
        )
        _, done = together(
            partial(activate_this, grant),
            partial(act_freeze, made),
            refusals=REFUSALS,
        )
        if isinstance(done, Dataset):
            assert done.decision.as_of > Grant.objects.get(pk=grant.pk).activated_at
            assert not permission.holds_on(done, GENERATIVE)
    everything_holds()


def test_suspending_resuming_and_withdrawing_at_once(world: Callable[[], World]) -> None:
    for _ in range(ROUNDS):
        made = world()
        grant = made.master()

        together(
            partial(on_this, lifecycle.suspend, grant, made.rosa, "A question."),
            partial(on_this, lifecycle.resume, grant, made.rosa),
            partial(on_this, lifecycle.withdraw, grant, made.rosa, "No more."),
            partial(on_this, lifecycle.suspend, grant, made.rosa, "Another."),
            partial(act_freeze, made),
            refusals=REFUSALS,
        )
        grant.refresh_from_db()
        assert grant.status == Grant.Status.WITHDRAWN
        assert not grant.suspensions.filter(until=None).exists()
    everything_holds()


def test_answers_on_a_split_and_a_new_split_at_once(world: Callable[[], World]) -> None:
    for _ in range(ROUNDS):
        made = world()
        sheet = made.song.splits.get()

        together(
            partial(dispute_master, made),
            partial(splits.confirm, sheet=sheet, party=made.party, by=made.rosa),
            partial(propose, made),
            partial(propose, made),
            partial(act_check, made),
            partial(withdraw, made),
            refusals=REFUSALS,
        )
        numbers = list(made.song.splits.order_by("version").values_list("version", flat=True))
        assert numbers == [1, 2, 3]
        assert made.song.splits.exclude(status="superseded").count() == 1
    everything_holds()


def test_clips_come_in_while_their_run_is_stopped(world: Callable[[], World]) -> None:
    for _ in range(ROUNDS):
        made = world()
        together(
            partial(withdraw, made),
            partial(runs.withhold, Run.objects.get(pk=made.running.pk), "A permission ended."),
            *[partial(act_sample, made, f"clip {number}") for number in range(3)],
            partial(runs.finish, made.running.attempts.get()),
            refusals=REFUSALS,
        )
        assert not Sample.objects.audible().filter(run=made.running).exists()
    everything_holds()
