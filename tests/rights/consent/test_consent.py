"""Consent is a conjunction, denied by default: each rule, and the whole against a naive one."""

from datetime import date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from portal import audit
from portal.models import AuditEvent, Role, User
from rights.catalogue import catalogue
from rights.consent import consent
from rights.grants import agreements, lifecycle
from rights.models import (
    Credit,
    Decision,
    Grant,
    Immutable,
    Party,
    Purpose,
    Recording,
    RightType,
    SplitSheet,
    Use,
)
from rights.parties import splits
from tests.catalogue import allow, make_allowed, make_party, make_recording
from tests.conftest import person
from tests.examples import examples

pytestmark = pytest.mark.django_db

HERE = consent.Context(purpose=Purpose.RESEARCH, territory="world", model_family="backline")
GENERATIVE = Use.TRAIN_GENERATIVE


def answer(
    recording: Recording,
    use: Use = GENERATIVE,
    context: consent.Context = HERE,
    at: datetime | None = None,
) -> consent.RecordingAnswer:
    return consent.evaluate([recording], use, context, at)[recording.pk]


def codes(recording: Recording, *args: object) -> list[str]:
    return [reason["code"] for reason in answer(recording, *args).reasons]  # type: ignore[arg-type]


@pytest.fixture
def party(rosa: User) -> Party:
    return make_party(rosa, "Mira Sol")


@pytest.fixture
def song(rosa: User, party: Party) -> Recording:
    return make_recording(rosa, party, title="Tidal")


def test_a_recording_covered_in_full_is_allowed(rosa: User) -> None:
    recordings = make_allowed(rosa)
    decision = consent.check(recordings, GENERATIVE, HERE, by=rosa)
    assert decision.allowed
    assert [line.reasons for line in decision.lines.all()] == [[], []]
    assert [len(line.grants) for line in decision.lines.all()] == [2, 2]
    line = AuditEvent.objects.get(verb="consent.decided")
    assert line.body["allowed"] is True
    assert list(audit.broken_lines()) == []


def test_nothing_granted_is_denied_with_the_holder_and_the_right_named(song: Recording) -> None:
    holder = Party.objects.get()
    shared = {
        "code": "no_grant", "party": "Mira Sol", "party_id": holder.pk, "grant_id": None,
        "through_id": None,
    }  # fmt: skip
    denied = "has not allowed training of generative models."
    assert answer(song).reasons == [
        shared
        | {
            "sentence": f"Mira Sol (100 % of the master “Tidal”) {denied}",
            "right": "master",
            "work_id": None,
        },
        shared
        | {
            "sentence": f"Mira Sol (100 % of the composition “Tidal”) {denied}",
            "right": "composition",
            "work_id": song.works.get().pk,
        },
    ]


def test_one_right_is_not_enough(rosa: User, party: Party, song: Recording) -> None:
    allow(rosa, party, GENERATIVE, rights=(RightType.MASTER,))
    assert [reason["right"] for reason in answer(song).reasons] == ["composition"]


def test_one_use_does_not_allow_another(rosa: User, party: Party, song: Recording) -> None:
    allow(rosa, party, Use.EVAL)
    assert answer(song, Use.EVAL).allowed
    assert codes(song, GENERATIVE) == ["no_grant", "no_grant"]


def test_an_offered_grant_permits_nothing(rosa: User, party: Party, song: Recording) -> None:
    agreement = agreements.sign(by=rosa, counterparty=party, title="A", signed_on=date(2026, 1, 1))
    agreements.draft_grant(by=rosa, agreement=agreement, right_type="master", use=GENERATIVE)
    assert "grant_not_active" in codes(song)


def test_every_holder_of_a_split_must_allow(rosa: User, party: Party, song: Recording) -> None:
    other = make_party(rosa, "Jo Writer")
    work = song.works.get()
    sheet = splits.propose(by=rosa, subject=work, lines={party: 999_999, other: 1})
    for holder in (party, other):
        splits.confirm(sheet=sheet, party=holder, by=rosa)
    allow(rosa, party, GENERATIVE)
    (reason,) = answer(song).reasons
    assert reason["sentence"].startswith("Jo Writer (0.0001 % of the composition “Tidal”)")
    allow(rosa, other, GENERATIVE, rights=(RightType.COMPOSITION,))
    assert answer(song).allowed


def test_every_work_in_the_recording_counts(rosa: User, party: Party, song: Recording) -> None:
    allow(rosa, party, GENERATIVE)
    work = catalogue.add_work(by=rosa, title="Quoted")
    catalogue.attach_work(by=rosa, recording=song, work=work)
    assert codes(song) == ["no_split"]


def test_a_recording_without_a_work_is_denied(rosa: User, party: Party, song: Recording) -> None:
    allow(rosa, party, GENERATIVE)
    song.works.clear()
    assert codes(song) == ["no_work"]


def test_unconfirmed_disputed_and_settled_splits(rosa: User, party: Party, song: Recording) -> None:
    allow(rosa, party, GENERATIVE)
    sheet = splits.propose(by=rosa, subject=song, lines={party: 1_000_000})
    assert codes(song) == ["split_unconfirmed"]
    splits.dispute(sheet=sheet, party=party, by=rosa, reason="Wrong.")
    assert codes(song) == ["split_disputed"]
    splits.confirm(sheet=sheet, party=party, by=rosa)
    assert answer(song).allowed


def test_a_sheet_whose_shares_were_tampered_with_denies(
    rosa: User, party: Party, song: Recording
) -> None:
    allow(rosa, party, GENERATIVE)
    song.splits.get().lines.update(ppm=999_999)
    assert codes(song) == ["split_incomplete"]


@pytest.mark.parametrize(
    ("scope", "context", "code"),
    [
        ({"purposes": ["internal"]}, HERE, "purpose"),
        ({"territories": ["SE", "NO"]}, HERE, "territory"),
        ({"territories": ["SE"]}, consent.Context(Purpose.RESEARCH, "NO", "m"), "territory"),
        ({}, consent.Context(Purpose.RESEARCH, "ZZ", "m"), "territory"),
        ({"model_family": "other"}, HERE, "model_family"),
        ({"starts_on": date(2999, 1, 1)}, HERE, "grant_not_started"),
    ],
)
def test_outside_the_scope_is_denied(
    song: Recording, scope: dict[str, object], context: consent.Context, code: str
) -> None:
    party = song.credits.get().party
    allow(song.added_by, party, GENERATIVE, **scope)
    assert codes(song, GENERATIVE, context) == [code, code]


def test_inside_a_narrow_scope_is_allowed(rosa: User, party: Party, song: Recording) -> None:
    allow(rosa, party, GENERATIVE, territories=["SE"], model_family="backline")
    assert answer(song, GENERATIVE, consent.Context(Purpose.RESEARCH, "SE", "backline")).allowed


def test_the_last_day_counts_and_the_next_does_not(
    rosa: User, party: Party, song: Recording
) -> None:
    allow(rosa, party, GENERATIVE, ends_on=timezone.now().date() + timedelta(days=1))
    now = timezone.now()
    assert answer(song, GENERATIVE, HERE, now + timedelta(days=1)).allowed
    assert codes(song, GENERATIVE, HERE, now + timedelta(days=2)) == ["grant_expired"] * 2


def test_a_grant_for_one_recording_does_not_cover_another(
    rosa: User, party: Party, song: Recording
) -> None:
    other = make_recording(rosa, party)
    allow(rosa, party, GENERATIVE, recording=song)
    assert answer(song).allowed
    assert not answer(other).allowed


def test_a_voice_needs_the_persons_own_word(rosa: User, party: Party, song: Recording) -> None:
    allow(rosa, party, Use.VOICE)
    assert [reason["right"] for reason in answer(song, Use.VOICE).reasons] == ["persona"]
    allow(rosa, party, Use.VOICE, rights=(RightType.PERSONA,))
    assert answer(song, Use.VOICE).allowed
    guest = make_party(rosa, "Guest")
    catalogue.add_credit(by=rosa, subject=song, party=guest, role=Credit.RoleCode.MAIN_ARTIST)
    assert [reason["party"] for reason in answer(song, Use.VOICE).reasons] == ["Guest"]
    song.credits.all().delete()
    assert codes(song, Use.VOICE) == ["no_artist"]


def test_the_past_is_answered_with_the_grants_of_then(
    rosa: User, party: Party, song: Recording
) -> None:
    grants = allow(rosa, party, GENERATIVE)
    before = timezone.now()
    for grant in grants:
        lifecycle.withdraw(grant, rosa, "No more.")
    assert codes(song) == ["grant_withdrawn"] * 2
    assert answer(song, GENERATIVE, HERE, before).allowed


def test_a_suspension_that_is_over_still_counts_for_its_time(
    rosa: User, party: Party, song: Recording
) -> None:
    grant, _ = allow(rosa, party, GENERATIVE)
    times = []
    for act in (
        lambda: lifecycle.suspend(grant, rosa, "A question."),
        lambda: lifecycle.resume(grant, rosa),
        lambda: lifecycle.suspend(grant, rosa, "Another."),
        lambda: lifecycle.resume(grant, rosa),
    ):
        act()
        times.append(timezone.now())
    assert [answer(song, GENERATIVE, HERE, at).allowed for at in times] == [False, True] * 2
    # As it was known when nobody had resumed it yet.
    verdict = consent.evaluate([song], GENERATIVE, HERE, times[2], times[2])
    assert [reason["code"] for reason in verdict[song.pk].reasons] == ["grant_suspended"]


def test_nothing_asked_is_nothing_allowed(rosa: User) -> None:
    assert not consent.check([], GENERATIVE, HERE, by=rosa).allowed


@pytest.mark.parametrize("use", [GENERATIVE, Use.VOICE])
def test_the_number_of_queries_is_the_same_for_2_and_50(rosa: User, use: Use) -> None:
    recordings = make_allowed(rosa, count=50, use=use)
    counts = []
    for size in (2, 50):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            consent.check(
                Recording.objects.filter(pk__in=[r.pk for r in recordings[:size]]), use, HERE
            )
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_decisions_are_kept_as_they_are(rosa: User) -> None:
    decision = consent.check(make_allowed(rosa), GENERATIVE, HERE, by=rosa)
    decision.allowed = False
    line = decision.lines.all()[0]
    for act in (
        decision.save,
        decision.delete,
        line.save,
        line.delete,
        Decision.objects.all().delete,
        lambda: Decision.objects.update(allowed=False),
        lambda: decision.lines.update(allowed=False),
    ):
        with pytest.raises(Immutable):
            act()
    decision.refresh_from_db()
    assert decision.allowed


def test_the_same_facts_have_the_same_digest_and_others_another(rosa: User) -> None:
    recordings = make_allowed(rosa)
    at = timezone.now()
    digests = [consent.evaluate(recordings, GENERATIVE, HERE, at).input_digest for _ in range(2)]
    assert digests[0] == digests[1]
    lifecycle.withdraw(Grant.objects.filter(use=GENERATIVE)[0], rosa, "No.")
    assert consent.evaluate(recordings, GENERATIVE, HERE, at).input_digest != digests[0]


# The naive conjunction, one recording and one query at a time, in as few words as possible.


def naively_allowed(recording: Recording, use: Use, context: consent.Context) -> bool:
    subjects: list[tuple[object, str]] = [(recording, "master")]
    works = list(recording.works.all())
    subjects += [(work, "composition") for work in works]
    needed = []
    for subject, right in subjects:
        sheet = subject.splits.exclude(status="superseded").first()  # type: ignore[attr-defined]
        if sheet is None or sheet.status != "confirmed":
            return False
        if sum(line.ppm for line in sheet.lines.all()) != 1_000_000:
            return False
        needed += [(line.party, right, subject) for line in sheet.lines.all()]
    if use == Use.VOICE:
        artists = [c.party for c in recording.credits.filter(role="MainArtist")]
        if not artists:
            return False
        needed += [(artist, "persona", None) for artist in artists]
    return bool(works) and all(
        any(
            grant.status == "active"
            and grant.use == use
            and grant.right_type == right
            and grant.recording in {None, recording}
            and grant.work in {None, subject}
            and context.purpose in grant.purposes
            and ("world" in grant.territories or context.territory in grant.territories)
            and grant.model_family in {"", context.model_family}
            and not party.opt_outs.filter(recording=recording, use=use).exists()
            for grant in party.grants.all()
        )
        for party, right, subject in needed
    )


scopes = st.fixed_dictionaries(
    {
        "party": st.integers(0, 1),
        "use": st.sampled_from([GENERATIVE, Use.VOICE]),
        "rights": st.sampled_from([("composition", "master"), ("master",), ("persona",)]),
        "recording": st.sampled_from([None, None, 0, 1]),
        "purposes": st.sampled_from([["research"], ["research", "internal"], ["commercial"]]),
        "territories": st.sampled_from([["world"], ["world"], ["SE"]]),
        "model_family": st.sampled_from(["", "", "backline", "other"]),
        "then": st.sampled_from(["stay", "stay", "stay", "withdraw", "offered"]),
    }
)


class AgainstTheNaiveOne(TestCase):
    @settings(max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow])
    @given(
        shares=st.sampled_from([(1_000_000,), (500_000, 500_000), (1, 999_999)]),
        confirm=st.lists(st.booleans(), min_size=4, max_size=4),
        grants=st.lists(scopes, max_size=10),
        opt_outs=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), max_size=2),
        territory=st.sampled_from(["world", "SE"]),
    )
    def test_it_answers_as_the_naive_one_does(
        self,
        shares: tuple[int, ...],
        confirm: list[bool],
        grants: list[dict[str, object]],
        opt_outs: list[tuple[int, int]],
        territory: str,
    ) -> None:
        rosa = person("rosa", "Rosa", Role.RIGHTS_ADMIN)
        parties = [make_party(rosa), make_party(rosa)]
        recordings = [make_recording(rosa, parties[0]) for _ in range(2)]
        for subject in (recordings[0], recordings[1].works.get()):
            lines = dict(zip(parties, shares, strict=False))
            sheet = splits.propose(by=rosa, subject=subject, lines=lines)
            for party, yes in zip(lines, confirm, strict=False):
                if yes or confirm[3]:
                    splits.confirm(sheet=sheet, party=party, by=rosa)
        for scope in grants:
            self.grant(rosa, parties, recordings, dict(scope))
        for who, which in opt_outs:
            try:
                lifecycle.opt_out(recordings[which], GENERATIVE, parties[who], rosa, "No.")
            except agreements.Refused:
                continue
        context = consent.Context(Purpose.RESEARCH, territory, "backline")
        for use in (GENERATIVE, Use.VOICE):
            verdict = consent.evaluate(recordings, use, context)
            for recording in recordings:
                line = verdict[recording.pk]
                assert line.allowed == naively_allowed(recording, use, context)
                assert line.allowed != bool(line.reasons)

    def grant(
        self,
        rosa: User,
        parties: list[Party],
        recordings: list[Recording],
        scope: dict[str, object],
    ) -> None:
        party, use, then = parties[scope.pop("party")], scope.pop("use"), scope.pop("then")  # type: ignore[call-overload]
        which = scope.pop("recording")
        recording = None if which is None else recordings[which]  # type: ignore[call-overload]
        for grant in allow(rosa, party, use, recording=recording, **scope):  # type: ignore[arg-type]
            if then == "withdraw":
                lifecycle.withdraw(grant, rosa, "No.")
            if then == "offered":
                Grant.objects.filter(pk=grant.pk).update(status="offered", activated_at=None)


def test_superseded_sheets_say_nothing(rosa: User, party: Party, song: Recording) -> None:
    other = make_party(rosa)
    sheet = splits.propose(by=rosa, subject=song, lines={other: 1_000_000})
    splits.confirm(sheet=sheet, party=other, by=rosa)
    assert song.splits.filter(status=SplitSheet.Status.SUPERSEDED).count() == 1
    allow(rosa, party, GENERATIVE)
    assert [reason["party"] for reason in answer(song).reasons] == [other.name]
