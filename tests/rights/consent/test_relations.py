"""Recordings that come from recordings: whoever has a word on the source has one on them."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from portal import audit
from portal.models import Role, User
from rights.catalogue import catalogue, derivations
from rights.consent import allowances, consent, relations
from rights.errors import Refused
from rights.grants import agreements, lifecycle, preview
from rights.models import (
    Grant,
    Hold,
    Party,
    Purpose,
    Recording,
    RecordingRelation,
    RightType,
    Use,
    WithdrawalCase,
)
from rights.parties import splits
from rights.withdrawal import impact
from tests.catalogue import allow, make_party, make_recording, second_admin
from tests.conftest import person
from tests.examples import examples

HERE = consent.Context(Purpose.RESEARCH, "world", "backline")
GENERATIVE = Use.TRAIN_GENERATIVE
Kind = RecordingRelation.Kind
EVERY = tuple(RightType)


@pytest.fixture
def remixer(rosa: User) -> Party:
    return make_party(rosa, "Ada Remix")


@pytest.fixture
def singer(rosa: User) -> Party:
    return make_party(rosa, "Bea Voice")


@pytest.fixture
def vocal(rosa: User, singer: Party) -> Recording:
    return make_recording(rosa, singer, title="Vocal")


@pytest.fixture
def remix(rosa: User, remixer: Party) -> Recording:
    """All that its own holder can allow is allowed."""
    made = make_recording(rosa, remixer, title="Remix")
    allow(rosa, remixer, GENERATIVE, Use.VOICE, rights=EVERY)
    return made


def say(
    rosa: User, recording: Recording, source: Recording, kind: str = Kind.CONTAINS
) -> RecordingRelation:
    return derivations.add_relation(by=rosa, recording=recording, source=source, kind=kind)


def missing(song: Recording, use: Use = GENERATIVE) -> list[tuple[str, str, str, int | None]]:
    reasons = consent.evaluate([song], use, HERE)[song.pk].reasons
    return [
        (reason["code"], reason["right"], reason["party"], reason["through_id"])
        for reason in reasons
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", list(Kind))
def test_what_comes_from_another_needs_each_right_in_that_one(
    *, rosa: User, remix: Recording, vocal: Recording, singer: Party, kind: Kind
) -> None:
    assert missing(remix) == []
    say(rosa, remix, vocal, kind)
    lacking = [("no_grant", right, singer.name, vocal.pk) for right in ("master", "composition")]
    assert missing(remix) == lacking
    assert missing(remix, Use.VOICE) == [
        *lacking, ("no_grant", "persona", singer.name, vocal.pk)
    ]  # fmt: skip
    for right, left in ((RightType.MASTER, 1), (RightType.COMPOSITION, 0)):
        allow(rosa, singer, GENERATIVE, rights=(right,))
        assert len(missing(remix)) == left
    assert consent.evaluate([remix], GENERATIVE, HERE).allowed


@pytest.mark.django_db
def test_the_sentence_names_whose_word_is_missing_and_through_which_recording(
    rosa: User, remix: Recording, vocal: Recording
) -> None:
    say(rosa, remix, vocal)
    sentence = consent.evaluate([remix], GENERATIVE, HERE)[remix.pk].reasons[0]["sentence"]
    assert sentence == (
        "Bea Voice (100 % of the master “Vocal”) has not allowed training of generative models. "
        "“Remix” comes from “Vocal”."
    )


@pytest.mark.django_db
def test_the_same_sound_goes_both_ways_and_the_others_do_not(
    *, rosa: User, remix: Recording, vocal: Recording, singer: Party, remixer: Party
) -> None:
    allow(rosa, singer, GENERATIVE)
    say(rosa, remix, vocal, Kind.DERIVED)
    lifecycle.withdraw(
        Grant.objects.get(grantor=remixer, use=GENERATIVE, right_type="master"), rosa, "No."
    )
    assert missing(vocal) == []
    say(rosa, remix, vocal, Kind.SAME_SOUND)
    assert [party for *_, party, _ in missing(vocal)] == [remixer.name]


@pytest.mark.django_db
def test_a_source_of_a_source_is_a_source_and_a_circle_ends(
    *, rosa: User, remix: Recording, vocal: Recording, singer: Party
) -> None:
    between = make_recording(rosa, make_party(rosa), title="Between")
    say(rosa, remix, between)
    say(rosa, between, vocal)
    say(rosa, vocal, remix)
    everything = {remix.pk, between.pk, vocal.pk}
    for song in (remix, between, vocal):
        found = relations.sources_of([song.pk])[song.pk]
        assert set(found) == everything - {song.pk}
        assert relations.derived_from([song]) == everything - {song.pk}
    assert {through for *_, through in missing(remix)} == {between.pk, vocal.pk}


@pytest.mark.django_db
def test_a_chain_of_fifty_takes_as_many_queries_as_one_of_two(rosa: User) -> None:
    party = make_party(rosa)
    songs = [make_recording(rosa, party) for _ in range(50)]
    allow(rosa, party, GENERATIVE)

    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert consent.evaluate([songs[0]], GENERATIVE, HERE).allowed
        return len(seen)

    RecordingRelation.objects.create(recording=songs[0], source=songs[1], kind=Kind.DERIVED)
    few = queries()
    RecordingRelation.objects.bulk_create(
        RecordingRelation(recording=one, source=other, kind=Kind.DERIVED)
        for one, other in pairwise(songs[1:])
    )
    assert queries() == few
    assert len(relations.sources_of([songs[0].pk])[songs[0].pk]) == 49


@pytest.mark.django_db
@pytest.mark.parametrize(
    "spoil",
    [
        lambda rosa, vocal, party: splits.dispute(
            sheet=vocal.splits.get(), party=party, by=rosa, reason="Mine alone."
        ),
        lambda rosa, vocal, _: catalogue.attach_work(
            by=rosa, recording=vocal, work=catalogue.add_work(by=rosa, title="Found")
        ),
        lambda rosa, vocal, party: lifecycle.opt_out(vocal, GENERATIVE, party, rosa, "No."),
        lambda rosa, _, party: lifecycle.suspend(
            Grant.objects.filter(grantor=party).first(), rosa, "Wait."
        ),
    ],
    ids=["dispute", "found work", "opt-out", "suspension"],
)
def test_what_is_wrong_with_the_source_is_wrong_with_what_comes_from_it(
    *,
    rosa: User,
    remix: Recording,
    vocal: Recording,
    singer: Party,
    spoil: Callable[[User, Recording, Party], object],
) -> None:
    allow(rosa, singer, GENERATIVE)
    say(rosa, remix, vocal)
    assert missing(remix) == []
    spoil(rosa, vocal, singer)
    assert missing(remix)
    assert {through for *_, through in missing(remix)} == {vocal.pk}


@pytest.mark.django_db
def test_a_source_without_a_file_is_asked_for_all_the_same(
    rosa: User, remix: Recording, singer: Party
) -> None:
    known = catalogue.announce_recording(by=rosa, title="Only known")
    say(rosa, remix, known)
    assert [code for code, *_ in missing(remix)] == ["no_split", "no_work"]


@pytest.mark.django_db
def test_what_a_model_is_cleared_for_is_narrowed_by_the_source(
    *, rosa: User, remix: Recording, vocal: Recording, singer: Party
) -> None:
    say(rosa, remix, vocal)
    now = timezone.now()
    assert not allowances.allowance_of([remix.pk], GENERATIVE, now).boxes
    allow(rosa, singer, GENERATIVE, purposes=["research"], territories=["SE"])
    left = allowances.allowance_of([remix.pk], GENERATIVE, timezone.now())
    for place, allowed in (("SE", True), ("NO", False)):
        context = consent.Context(Purpose.RESEARCH, place, "backline")
        assert left.covers(context) == allowed
        assert consent.evaluate([remix], GENERATIVE, context).allowed == allowed


@pytest.mark.django_db
def test_an_offer_tells_what_it_would_allow_of_what_comes_from_it(
    *, rosa: User, remix: Recording, vocal: Recording, singer: Party
) -> None:
    say(rosa, remix, vocal)
    (composition,) = allow(rosa, singer, GENERATIVE, rights=(RightType.COMPOSITION,))
    offered = agreements.draft_grant(
        by=rosa, agreement=composition.agreement, right_type=RightType.MASTER, use=GENERATIVE
    )
    found = preview.gain(offered)
    assert (found.covered, found.alone) == (1, 2)
    assert set(found.named) == {remix, vocal}


# --- What ends, and what is found -------------------------------------------------------------


def held() -> set[int]:
    return set(Hold.objects.filter(use=GENERATIVE).values_list("recording", flat=True))


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["withdraw", "opt out", "dispute", "found work"])
def test_what_ends_for_the_source_ends_for_all_that_comes_from_it(
    *, rosa: User, remix: Recording, vocal: Recording, singer: Party, how: str
) -> None:
    grants = allow(rosa, singer, GENERATIVE)
    editor = make_party(rosa)
    edit = make_recording(rosa, editor, title="Edit of the remix")
    allow(rosa, editor, GENERATIVE)
    say(rosa, remix, vocal)
    say(rosa, edit, remix, Kind.DERIVED)
    Hold.objects.all().delete()
    if how == "withdraw":
        # The preview says so before.
        assert {row.pk for row in impact.of_ending(grants[:1]).lost} == {
            vocal.pk, remix.pk, edit.pk
        }  # fmt: skip
        lifecycle.withdraw(grants[0], rosa, "No more.")
    elif how == "opt out":
        assert impact.of_opting_out(vocal, {singer: grants}).count == 3
        lifecycle.opt_out(vocal, GENERATIVE, singer, rosa, "No.")
    elif how == "dispute":
        splits.dispute(sheet=vocal.splits.get(), party=singer, by=rosa, reason="Mine.")
    else:
        work = catalogue.add_work(by=rosa, title="Found")
        catalogue.attach_work(by=rosa, recording=vocal, work=work)
    assert held() == {vocal.pk, remix.pk, edit.pk}
    if how in ("withdraw", "opt out"):
        case = WithdrawalCase.objects.get(cause="ended")
        assert set(case.recordings.values_list("pk", flat=True)) == held()


@pytest.mark.django_db
def test_a_source_found_later_holds_what_was_made_and_all_that_comes_from_it(
    *, rosa: User, remix: Recording, vocal: Recording, singer: Party, remixer: Party
) -> None:
    edit = make_recording(rosa, remixer, title="Edit of the remix")
    say(rosa, edit, remix, Kind.DERIVED)
    Hold.objects.all().delete()
    say(rosa, remix, vocal)
    found = Hold.objects.filter(use=GENERATIVE)
    assert {(one.recording_id, one.party_id) for one in found} == {
        (remix.pk, singer.pk), (edit.pk, singer.pk)
    }  # fmt: skip
    assert found[0].reason == "“Remix” contains a part of “Vocal”."


@pytest.mark.django_db
def test_what_was_said_by_mistake_is_ended_by_somebody_else_and_stays_in_the_past(
    *, rosa: User, remix: Recording, vocal: Recording
) -> None:
    before = consent.check([remix], GENERATIVE, HERE, by=rosa)
    row = say(rosa, remix, vocal)
    during = consent.check([remix], GENERATIVE, HERE, by=rosa)
    then = timezone.now()
    with pytest.raises(Refused):
        derivations.end_relation(by=rosa, relation=row, reason="A slip.")
    with pytest.raises(Refused):
        derivations.confirm_relation(by=rosa, relation=row)
    derivations.confirm_relation(by=second_admin(), relation=row)
    derivations.end_relation(by=second_admin(), relation=row, reason="A slip.")
    assert missing(remix) == []
    assert not consent.evaluate([remix], GENERATIVE, HERE, then, then).allowed
    assert (before.allowed, during.allowed) == (True, False)
    for decision in (before, during):
        verdict = consent.replay(decision)
        assert verdict.digest == decision.output_digest
        assert verdict.input_digest == decision.input_digest
    verbs = [one.verb for one in audit.history(remix)]
    assert {
        "recording.relation_said",
        "recording.relation_confirmed",
        "recording.relation_ended",
    } <= set(verbs)


@pytest.mark.django_db
def test_a_relation_is_said_once_of_two_recordings(
    rosa: User, remix: Recording, vocal: Recording
) -> None:
    say(rosa, remix, vocal, Kind.SAME_SOUND)
    for recording, source, kind in (
        (remix, vocal, Kind.SAME_SOUND),
        (vocal, remix, Kind.SAME_SOUND),
        (remix, remix, Kind.CONTAINS),
        (remix, vocal, "cover"),
    ):
        with pytest.raises(Refused):
            say(rosa, recording, source, kind)
    say(rosa, remix, vocal, Kind.CONTAINS)


# --- By brute force ---------------------------------------------------------------------------


class Closure(TestCase):
    @settings(max_examples=examples(60))
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 5), st.integers(0, 5), st.sampled_from(list(Kind)), st.booleans()
            ),
            max_size=14,
        )
    )
    def test_the_question_in_sql_is_the_walk_step_by_step(
        self, said: list[tuple[int, int, Kind, bool]]
    ) -> None:
        rosa = person("rosa", "Rosa", Role.RIGHTS_ADMIN)
        songs = [catalogue.announce_recording(by=rosa, title=f"Song {n}") for n in range(6)]
        moment, edges, later = timezone.now(), set(), set()
        for one, other, kind, over in dict.fromkeys(said):
            if one == other:
                continue
            ended = moment + timedelta(seconds=5) if over else None
            keys = {(one, other)} | ({(other, one)} if kind == Kind.SAME_SOUND else set())
            same = RecordingRelation.objects.filter(
                recording=songs[one], source=songs[other], kind=kind, ended_at=None
            )
            if ended is None and same.exists():
                continue
            RecordingRelation.objects.create(
                recording=songs[one], source=songs[other], kind=kind, ended_at=ended,
                created_at=moment,
            )  # fmt: skip
            later |= keys
            edges |= set() if over else keys
        ids = [song.pk for song in songs]
        for found, known in (
            (edges, None), (later, moment + timedelta(seconds=1)),
            (edges, moment + timedelta(hours=1)),
            (set(), moment - timedelta(hours=1)),
        ):  # fmt: skip
            wanted = {}
            for start in range(6):
                seen, last = {start}, {start}
                while last:
                    last = {b for a, b in found if a in last} - seen
                    seen |= last
                if seen - {start}:
                    wanted[ids[start]] = sorted(ids[n] for n in seen - {start})
            assert relations.sources_of(ids, known_at=known) == wanted
            if known is None:
                for start in range(6):
                    assert relations.derived_from([ids[start]]) == {
                        pk for pk, some in wanted.items() if ids[start] in some
                    }
