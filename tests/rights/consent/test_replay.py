"""Whatever happens later leaves a kept decision as it was: what went in and what came out.

One world, one decision of each kind, then acts in any order. After each the decisions are made
anew, and both digests have to be the kept ones.
"""

from collections.abc import Callable
from contextlib import suppress

import pytest
from django.db.models import Q
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from portal.models import User
from rights.catalogue import catalogue, derivations
from rights.consent import consent, decisions
from rights.errors import Refused
from rights.grants import agreements, lifecycle
from rights.models import (
    Decision,
    Grant,
    Party,
    Purpose,
    Recording,
    RecordingRelation,
    RightType,
    SplitSheet,
    Use,
)
from rights.parties import members, parties, splits
from tests.catalogue import allow, make_party, make_recording, second_admin
from tests.examples import examples
from tests.rights.exchange.importing import imported
from tests.rights.history.world import nobodys_turn, undone

HERE = consent.Context(Purpose.RESEARCH, "world", "backline")
# More histories where there is time for them: the moments of the machine (tests/rights).
EXAMPLES = 12


class Place:
    """Two recordings, their holders, and three decisions over them."""

    def __init__(self, rosa: User) -> None:
        self.rosa = rosa
        self.singer = make_party(rosa, "Ines Faro")
        self.publisher = make_party(rosa, "Lantern", kind=Party.Kind.PUBLISHER)
        self.other = make_party(rosa, "Tomas Lind")
        self.songs = [make_recording(rosa, self.singer) for _ in range(2)]
        persona = (RightType.PERSONA,)
        allow(rosa, self.singer, Use.VOICE, Use.EVAL, rights=(RightType.MASTER,))
        allow(rosa, self.publisher, Use.VOICE, Use.EVAL, rights=(RightType.COMPOSITION,))
        allow(rosa, self.singer, Use.VOICE, rights=persona)
        allow(rosa, self.other, Use.VOICE, rights=(*persona, RightType.MASTER))
        self.mandate = parties.enter_mandate(
            by=rosa, holder=self.singer, agent=self.publisher, right_types=["composition"]
        )
        parties.approve_mandate(self.mandate, second_admin())
        self.decisions: list[Decision] = []
        self.decide()

    @property
    def song(self) -> Recording:
        return self.songs[0]

    def grant(self, right: RightType, use: Use = Use.VOICE) -> Grant:
        return Grant.objects.filter(use=use, right_type=right).order_by("pk").first()  # type: ignore[return-value]

    def sheets(self) -> list[SplitSheet]:
        both = Q(recording=self.song) | Q(work__recordings=self.song)
        return list(SplitSheet.objects.filter(both, superseded_at=None))

    def decide(self) -> None:
        self.decisions += [
            consent.check(self.songs, use, HERE, by=self.rosa) for use in (Use.VOICE, Use.EVAL)
        ]

    # --- What may happen. Each is tried, and may be refused where an earlier act stands against it.

    def suspend(self) -> None:
        for grant in Grant.objects.filter(status=Grant.Status.ACTIVE):
            lifecycle.suspend(grant, self.rosa, "A question.")

    def resume(self) -> None:
        for grant in Grant.objects.filter(status=Grant.Status.SUSPENDED):
            lifecycle.resume(grant, self.rosa)

    def withdraw(self) -> None:
        lifecycle.withdraw(self.grant(RightType.MASTER), self.rosa, "No more.")

    def narrow(self) -> None:
        old = self.grant(RightType.COMPOSITION)
        new = agreements.change(old, by=self.rosa, purposes=["commercial"])
        lifecycle.activate(new, second_admin())

    def draft(self) -> None:
        agreement = self.grant(RightType.PERSONA).agreement
        agreements.draft_grant(
            by=self.rosa, agreement=agreement, right_type=RightType.MASTER, use=Use.VOICE
        )

    def opt_out(self) -> None:
        lifecycle.opt_out(self.song, Use.VOICE, self.singer, self.rosa, "Not this one.")

    def allow_again(self) -> None:
        allow(self.rosa, self.singer, Use.VOICE, recording=self.song)

    def end_mandate(self) -> None:
        parties.end_mandate(self.mandate, self.rosa, "She signs herself.")

    def new_mandate(self) -> None:
        row = parties.enter_mandate(
            by=self.rosa, holder=self.singer, agent=self.other, right_types=["master"]
        )
        parties.approve_mandate(row, second_admin())

    def dispute(self) -> None:
        for sheet in self.sheets():
            splits.dispute(sheet=sheet, party=self.singer, by=self.rosa, reason="Too little.")

    def settle(self) -> None:
        for sheet in self.sheets():
            splits.confirm(sheet=sheet, party=self.singer, by=self.rosa)

    def propose(self) -> None:
        halves = {self.singer: 500_000, self.other: 500_000}
        splits.propose(by=self.rosa, subject=self.song, lines=halves)

    def find_a_work(self) -> None:
        work = catalogue.add_work(by=self.rosa, title="A quotation")
        catalogue.attach_work(by=self.rosa, recording=self.song, work=work)

    def credit(self) -> None:
        catalogue.add_credit(by=self.rosa, subject=self.song, party=self.other, role="MainArtist")

    def come_from_another(self) -> None:
        derivations.add_relation(
            by=self.rosa, recording=self.song, source=self.songs[1], kind="contains"
        )

    def take_it_back(self) -> None:
        for relation in RecordingRelation.objects.filter(ended_at=None):
            derivations.end_relation(by=second_admin(), relation=relation, reason="A slip.")

    def turn_out_a_group(self) -> None:
        parties.update_party(by=self.rosa, party=self.singer, name=self.singer.name, kind="group")

    def find_a_member(self) -> None:
        members.add(by=self.rosa, group=self.singer, member=self.other)
        members.declare_complete(by=self.rosa, group=self.singer)

    def rename(self) -> None:
        parties.update_party(by=self.rosa, party=self.singer, name="Inês F.", kind="person")

    def import_it(self) -> None:
        row = {"ISRC": self.song.isrc, "Title": self.song.title, "Artist": "Somebody New",
               "Genre": "ambient"}  # fmt: skip
        content = ",".join(row) + "\n" + ",".join(row.values()) + "\n"
        imported(self.rosa, content.encode(), update_tags=True, extend=True)


ACTS: dict[str, Callable[[Place], None]] = {
    name: act
    for name, act in vars(Place).items()
    if callable(act) and not name.startswith("_") and name not in ("grant", "sheets")
}


@pytest.fixture
def place(rosa: User) -> Place:
    return Place(rosa)


def act(place: Place, name: str) -> None:
    with suppress(Refused), nobodys_turn():
        ACTS[name](place)


def all_replay(place: Place, after: object) -> None:
    for decision in place.decisions:
        found = decisions.replay(decision)
        assert found.digest == decision.output_digest, (after, found.differences)
        assert found.input_digest == decision.input_digest, after
        assert found.same


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(ACTS))
def test_one_act_later_leaves_a_decision_as_it_was(place: Place, name: str) -> None:
    ACTS[name](place) if name not in ("resume", "settle", "find_a_member") else act(place, name)
    all_replay(place, name)


@pytest.mark.django_db
def test_a_pause_that_is_over_leaves_the_decisions_before_in_and_after_it(place: Place) -> None:
    place.suspend()
    place.decide()
    place.resume()
    place.decide()
    place.suspend()
    place.decide()
    place.withdraw()
    place.decide()
    all_replay(place, "pauses")
    # The pause was seen while it lasted.
    allowed = [decision.allowed for decision in place.decisions]
    assert allowed == [True, True, False, False, True, True, False, False, False, False]


@pytest.mark.slow
@pytest.mark.django_db
def test_any_later_history_leaves_every_decision_as_it_was(place: Place) -> None:
    @settings(max_examples=examples(EXAMPLES), phases=(Phase.reuse, Phase.generate))
    @given(st.lists(st.sampled_from(sorted(ACTS)), min_size=3, max_size=10))
    def histories(names: list[str]) -> None:
        kept = list(place.decisions)
        with undone():
            for name in names:
                act(place, name)
            all_replay(place, names)
        place.decisions = kept

    histories()
