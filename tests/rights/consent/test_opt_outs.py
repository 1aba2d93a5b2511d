"""The rule of opt-outs, in Python and in SQL: over small worlds all who ask hear the same."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from portal.models import Role, User
from rights.consent import consent, opt_outs, snapshot
from rights.consent.evaluator import Context, Judge, Need
from rights.grants import lifecycle
from rights.models import (
    Agreement,
    Credit,
    Grant,
    Mandate,
    OptOut,
    Party,
    Purpose,
    Recording,
    RecordingWork,
    RightType,
    SplitLine,
    SplitSheet,
    Use,
    Work,
)
from rights.parties import parties
from rights.rightsholder import use_status
from rights.withdrawal import holds
from tests.catalogue import allow, make_party, make_recording, second_admin
from tests.conftest import person
from tests.examples import examples

USE = Use.VOICE
HERE = Context(Purpose.RESEARCH, "world", "backline")
START = datetime(2026, 3, 1, tzinfo=UTC)
Status = Grant.Status

# Who signs, for which right, of what ("r0": the first recording, "w1": the second's work), how it
# stands, and the moments of its draft and of its coming into force.
GRANTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(list(RightType)),
        st.sampled_from(["", "", "r0", "r0", "r1", "w0", "w1"]),
        st.sampled_from([Status.ACTIVE, Status.ACTIVE, Status.SUSPENDED, Status.OFFERED,
                         Status.WITHDRAWN, Status.SUPERSEDED]),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    max_size=6,
)  # fmt: skip
# Who says no to which recording, for which use, and when.
NOES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 1),
        st.sampled_from([USE, USE, USE, Use.EVAL]),
        st.integers(0, 6),
    ),
    max_size=5,
)


@dataclass
class World:
    """A holder, an agent that has a share as well, and somebody else; two recordings."""

    user: User
    parties: list[Party]
    recordings: list[Recording]
    works: list[Work]
    # Who has a part in which right of which recording, and by which work.
    shares: list[tuple[Party, RightType, Recording, Work | None]]

    @classmethod
    def made(cls) -> "World":
        user = person("rosa", "Rosa", Role.RIGHTS_ADMIN)
        some = [Party.objects.create(name=name, kind="person") for name in "HAS"]
        recordings = [Recording.objects.create(title=title, added_by=user) for title in "PQ"]
        works = [Work.objects.create(title=title) for title in "PQ"]
        shares: list[tuple[Party, RightType, Recording, Work | None]] = []
        for recording, work in zip(recordings, works, strict=True):
            RecordingWork.objects.create(recording=recording, work=work)
            master = SplitSheet.objects.create(recording=recording, right_type=RightType.MASTER)
            song = SplitSheet.objects.create(work=work, right_type=RightType.COMPOSITION)
            for sheet, whose in ((master, some[:1]), (song, some[:2])):
                for party in whose:
                    SplitLine.objects.create(sheet=sheet, party=party, ppm=500_000)
                    shares.append((party, RightType(sheet.right_type), recording, sheet.work))
            artist = Credit.RoleCode.MAIN_ARTIST
            Credit.objects.create(recording=recording, party=some[0], role=artist)
            shares.append((some[0], RightType.PERSONA, recording, None))
        Mandate.objects.create(
            holder=some[0], agent=some[1], right_types=["composition", "master"],
            territories=["world"], starts_on=date(2026, 1, 1), entered_by=user, approved_at=START,
        )  # fmt: skip
        return cls(user, some, recordings, works, shares)

    def grant(self, one: tuple[int, RightType, str, Status, int, int]) -> None:
        who, right, about, status, draft, wait = one
        agreement = Agreement.objects.create(
            title="Paper", counterparty=self.parties[who], signed_on=date(2026, 1, 1),
            created_by=self.user,
        )  # fmt: skip
        work = None
        if about.startswith("w"):
            right, work = RightType.COMPOSITION, self.works[int(about[1])]
        Grant.objects.create(
            agreement=agreement, grantor=self.parties[who], right_type=right, use=USE,
            recording=self.recordings[int(about[1])] if about.startswith("r") else None, work=work,
            purposes=[Purpose.RESEARCH], territories=["world"], starts_on=date(2026, 1, 1),
            status=status, drafted_by=self.user, created_at=moment(draft),
            activated_at=None if status == Status.OFFERED else moment(draft + wait),
            ended_at=moment(9) if status in {Status.WITHDRAWN, Status.SUPERSEDED} else None,
        )  # fmt: skip

    def opt_out(self, who: int, which: int, use: Use, at: int) -> None:
        OptOut.objects.create(
            party=self.parties[who], recording=self.recordings[which], use=use, at=moment(at),
            reason="No.",
        )  # fmt: skip

    @staticmethod
    def refused(grant: Grant, holder: int, recording: int, noes: Iterable[OptOut]) -> bool:
        """The rule a third time, as docs/consent.md has it: each no by itself."""
        given = grant.activated_at or grant.created_at
        return any(
            no.party_id in {holder, grant.grantor_id}
            and (no.recording_id, no.use) == (recording, grant.use)
            and not (
                no.party_id == grant.grantor_id
                and grant.recording_id == recording
                and given > no.at
            )
            for no in noes
        )

    def spoken_for(self, grant: Grant) -> Iterator[tuple[Party, Recording]]:
        """The shares that the grant is about."""
        signs = grant.grantor_id == self.parties[1].pk
        for party, right, recording, work in self.shares:
            about = grant.recording in {None, recording} and grant.work in {None, work}
            whose = party.pk == grant.grantor_id or (signs and party == self.parties[0])
            # A person's own rights nobody signs for.
            mine = party.pk == grant.grantor_id or right != RightType.PERSONA
            if right == grant.right_type and about and whose and mine:
                yield party, recording


def moment(number: int) -> datetime:
    return START + timedelta(days=number)


HOLDER, AGENT = 0, 1
MASTER, COMPOSITION = RightType.MASTER, RightType.COMPOSITION


def the(
    who: int, right: RightType, about: str, status: Status = Status.ACTIVE, *, at: int
) -> tuple[int, RightType, str, Status, int, int]:
    return who, right, about, status, at, 0


class TheyAgree(TestCase):
    world: World

    @classmethod
    def setUpTestData(cls) -> None:
        cls.world = World.made()

    @settings(max_examples=examples(80), suppress_health_check=[HealthCheck.too_slow])
    @given(grants=GRANTS, noes=NOES)
    # By chance alone these would be seldom: a yes in the moment of the no, for another recording,
    # of the agent after the holder's no, of one right of several, and of all of them but pausing.
    @example(grants=[the(HOLDER, MASTER, "r0", at=2)], noes=[(HOLDER, 0, USE, 2)])
    @example(grants=[the(HOLDER, MASTER, "r1", at=3)], noes=[(HOLDER, 0, USE, 2)])
    @example(grants=[the(AGENT, MASTER, "r0", at=3)], noes=[(HOLDER, 0, USE, 2)])
    @example(grants=[the(AGENT, MASTER, "", at=3)], noes=[(AGENT, 0, USE, 2)])
    @example(grants=[the(HOLDER, MASTER, "r0", at=3)], noes=[(HOLDER, 0, USE, 2)])
    @example(
        grants=[the(HOLDER, right, "r0", Status.SUSPENDED, at=3) for right in RightType],
        noes=[(HOLDER, 0, USE, 2)],
    )
    @example(
        grants=[the(HOLDER, right, "r0", Status.OFFERED, at=3) for right in RightType],
        noes=[(HOLDER, 0, USE, 2)],
    )
    @example(
        grants=[the(HOLDER, right, "r0", Status.WITHDRAWN, at=3) for right in RightType],
        noes=[(HOLDER, 0, USE, 2)],
    )
    @example(grants=[the(HOLDER, COMPOSITION, "w1", at=1)], noes=[(HOLDER, 1, USE, 2)])
    def test_everybody_who_asks_hears_the_same(self, grants: list[Any], noes: list[Any]) -> None:
        world = self.world
        for one in grants:
            world.grant(one)
        for one in noes:
            world.opt_out(*one)
        ids, now = [row.pk for row in world.recordings], timezone.now()
        judge = Judge(snapshot.gather(ids, USE, now, now=True), HERE, now)
        page = use_status._OwnGrants(ids, {}, {party.pk: set() for party in world.parties})
        said = list(OptOut.objects.all())
        for grant in Grant.objects.select_related("recording", "work"):
            shown = set(opt_outs.keeping_out_of(grant).values_list("party", "recording"))
            for holder, recording in world.spoken_for(grant):
                refused = world.refused(grant, holder.pk, recording.pk, said)
                assert holds.covers_share(grant, recording, holder) != refused
                assert page.left_out(grant, recording.pk, holder.pk) == refused
                if not grant.ended_at:
                    noes_of = {(party, recording.pk) for party in (holder.pk, grant.grantor_id)}
                    assert bool(noes_of & shown) == refused
                # An offer is refused before anybody looks for a no.
                if grant.activated_at:
                    assert decided(judge, grant, holder.pk, recording.pk) == refused
        self.what_stands_is_what_the_judge_refuses(judge)
        self.what_is_told_is_what_the_judge_lets_speak(judge)

    def what_is_told_is_what_the_judge_lets_speak(self, judge: Judge) -> None:
        """Each last no comes with the party's own grants for that recording that are not refused
        for it, and SQL finds those that have some."""
        rows = OptOut.objects.filter(use=USE)
        own = Grant.objects.filter(ended_at=None).exclude(activated_at=None)
        told = opt_outs.opt_outs_with_grants(rows)
        assert {(one.opt_out.party_id, one.opt_out.recording_id) for one in told} == set(
            rows.values_list("party", "recording")
        )
        for one in told:
            mine = own.filter(grantor=one.opt_out.party_id, recording=one.opt_out.recording_id)
            assert {grant.pk for grant in one.since} == {
                grant.pk
                for grant in mine
                if not decided(judge, grant, one.opt_out.party_id, one.opt_out.recording_id)
            }
        eased = {no.pk for no in opt_outs.eased_by_later_grants(rows)}
        assert eased == {one.opt_out.pk for one in told if one.since}

    def what_stands_is_what_the_judge_refuses(self, judge: Judge) -> None:
        """A no stands until, for each right of the party's that the use needs, a grant of its own
        for that recording speaks in spite of it."""
        rows = OptOut.objects.filter(use=USE).order_by()
        stands = set(opt_outs.not_taken_back(rows).values_list("party", "recording"))
        for party, recording in rows.values_list("party", "recording").distinct():
            own = Grant.objects.filter(grantor=party, recording=recording, ended_at=None)
            speaking = {
                grant.right_type
                for grant in own.exclude(activated_at=None)
                if not decided(judge, grant, party, recording)
            }
            needed = {
                right
                for who, right, which, _ in self.world.shares
                if (who.pk, which.pk) == (party, recording)
            }
            taken_back = bool(speaking) and needed <= speaking
            assert ((party, recording) in stands) != taken_back


def decided(judge: Judge, grant: Grant, holder: int, recording: int) -> bool:
    """Whether the judge finds that a no keeps this share of the recording out of the grant."""
    every = (one for some in judge.facts.grants.values() for one in some)
    terms = next(one for one in every if one.pk == grant.pk)
    music = next(one for one in judge.facts.recordings if one.pk == recording)
    need = Need(holder, RightType(grant.right_type), grant.work_id, None)
    return judge.opted_out(terms, need, music) is not None


# --- By hand ----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_grant_of_the_master_takes_back_nothing_of_the_composition(
    rosa: User,
) -> None:
    writer = make_party(rosa)
    song = make_recording(rosa, writer)
    allow(rosa, writer, Use.EVAL)
    lifecycle.opt_out(song, Use.EVAL, writer, rosa, "No.")
    assert opt_outs.not_taken_back(song.opt_outs.all()).exists()
    allow(rosa, writer, Use.EVAL, recording=song, rights=(RightType.MASTER,))
    line = consent.evaluate([song], Use.EVAL, HERE)[song.pk]
    assert [(reason["code"], reason["right"]) for reason in line.reasons] == [
        ("opted_out", "composition")
    ]
    assert opt_outs.not_taken_back(song.opt_outs.all()).exists()
    allow(rosa, writer, Use.EVAL, recording=song, rights=(RightType.COMPOSITION,))
    assert consent.evaluate([song], Use.EVAL, HERE).allowed
    assert not opt_outs.not_taken_back(song.opt_outs.all()).exists()


@pytest.mark.django_db
def test_a_page_tells_a_no_with_what_was_allowed_since(
    rosa: User, noor: User, client: Client
) -> None:
    """A later yes for Sweden alone takes nothing back elsewhere."""
    writer = make_party(rosa, "Ines Faro", people=[noor])
    song = make_recording(rosa, writer)
    allow(rosa, writer, Use.EVAL)
    lifecycle.opt_out(song, Use.EVAL, writer, rosa, "No.")
    allow(rosa, writer, Use.EVAL, recording=song, territories=["SE"])
    assert not consent.evaluate([song], Use.EVAL, HERE).allowed
    client.force_login(rosa)
    page = text(client, "rights:recording", song.pk)
    assert "It stands, except for what was allowed since for this recording alone:" in page
    assert "research; Sweden" in page
    # Who does not read the grants reads that there are some.
    client.force_login(person("ben", "Ben", Role.RESEARCHER))
    page = text(client, "rights:recording", song.pk)
    assert "except for what was allowed since for this recording alone." in page
    assert "Sweden" not in page
    client.force_login(noor)
    page = text(client, "rights:mine_use_on", writer.pk, Use.EVAL)
    assert "1 that you took out of this use before stays out, 1 of them but for what" in page


def text(client: Client, name: str, *keys: object) -> str:
    answer = client.get(reverse(name, args=keys))
    assert answer.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


@pytest.mark.django_db
def test_a_use_is_asked_in_the_scope_of_a_grant_that_speaks(rosa: User) -> None:
    """Not in that of an agent's grant which the holder's no keeps the recording out of."""
    writer, publisher = make_party(rosa), make_party(rosa)
    song = make_recording(rosa, writer)
    mandate = parties.enter_mandate(
        by=rosa, holder=writer, agent=publisher, right_types=["composition"]
    )
    parties.approve_mandate(mandate, second_admin())
    allow(rosa, publisher, Use.EVAL, rights=(RightType.COMPOSITION,))
    lifecycle.opt_out(song, Use.EVAL, writer, rosa, "No.")
    allow(rosa, writer, Use.EVAL, recording=song, territories=["SE"])
    (stood,) = (
        one for one in use_status.statuses_of([song], [writer])[song.pk] if one.use == Use.EVAL
    )
    assert stood.allowed, stood.words
