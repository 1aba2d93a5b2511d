"""What was ended after a back-up is ended again after its restore, by the verbs that ended it."""

import pytest

from portal import endings
from portal.endings import Outcome
from portal.models import AuditEvent, Role, User
from rights import territories
from rights.catalogue import catalogue, derivations
from rights.consent import consent
from rights.grants import agreements, lifecycle, offers
from rights.models import (
    Credit,
    Grant,
    Hold,
    Mandate,
    Party,
    Purpose,
    Recording,
    RecordingRelation,
    RightType,
    SplitSheet,
    Use,
    WithdrawalCase,
    Work,
)
from rights.parties import members, parties, public_credit, splits
from rights.tdm import reservations, signals
from rights.withdrawal import withdraw_party
from tests.catalogue import allow, make_allowed, make_party, make_recording, second_admin
from tests.restoring import after_the_back_up, outcomes

pytestmark = pytest.mark.django_db
SCOPE = consent.Context(Purpose.RESEARCH, territories.WORLD, "")
Status = Grant.Status


def allowed(recording: Recording, use: Use = Use.TRAIN_GENERATIVE) -> bool:
    return consent.evaluate([recording], use, SCOPE)[recording.pk].allowed


def master_of(use: Use = Use.TRAIN_GENERATIVE) -> Grant:
    return Grant.objects.get(use=use, right_type=RightType.MASTER)


def test_a_withdrawal_is_said_again_with_its_hold_its_case_and_its_line(
    rosa: User, olga: User
) -> None:
    (recording,) = make_allowed(rosa, 1)
    with after_the_back_up():
        lifecycle.withdraw(master_of(), rosa, "No more.")
    assert allowed(recording)
    assert outcomes(olga) == [Outcome.DONE]
    assert not allowed(recording)
    assert master_of().status == Status.WITHDRAWN
    assert Hold.objects.filter(recording=recording).exists()
    assert "before the restore" in WithdrawalCase.objects.get().reason
    line = AuditEvent.objects.filter(verb="grant.withdrawn").latest("seq")
    assert line.actor == rosa


def test_what_was_said_before_the_back_up_is_left_alone(rosa: User, olga: User) -> None:
    make_allowed(rosa, 1)
    lifecycle.withdraw(master_of(), rosa, "No more.")
    lines = AuditEvent.objects.count()
    assert outcomes(olga) == []
    assert AuditEvent.objects.count() == lines


def test_who_said_it_and_is_gone_is_spoken_for_by_who_restores(rosa: User, olga: User) -> None:
    make_allowed(rosa, 1)
    with after_the_back_up():
        lifecycle.withdraw(master_of(), rosa, "No more.")
    User.objects.filter(pk=rosa.pk).update(is_active=False)
    assert outcomes(olga) == [Outcome.DONE]
    assert AuditEvent.objects.filter(verb="grant.withdrawn").latest("seq").actor == olga


def test_an_opt_out_is_said_again(rosa: User, olga: User) -> None:
    one, other = make_allowed(rosa, 2)
    party = Party.objects.get()
    with after_the_back_up():
        lifecycle.opt_out(one, Use.TRAIN_GENERATIVE, party, rosa, "Not this one.")
    assert outcomes(olga) == [Outcome.DONE]
    assert [allowed(one), allowed(other)] == [False, True]


def test_an_opt_out_that_ended_a_grant_of_its_own_is_said_again(rosa: User, olga: User) -> None:
    party = make_party(rosa)
    recording = make_recording(rosa, party)
    allow(rosa, party, Use.TRAIN_GENERATIVE, recording=recording)
    with after_the_back_up():
        lifecycle.opt_out(recording, Use.TRAIN_GENERATIVE, party, rosa, "Not this one.")
    assert outcomes(olga) == [Outcome.DONE] * 3
    assert not allowed(recording)
    assert set(Grant.objects.values_list("status", flat=True)) == {Status.WITHDRAWN}


def test_a_suspension_is_said_again(rosa: User, olga: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    with after_the_back_up():
        lifecycle.suspend(master_of(), rosa, "Wait.")
    assert outcomes(olga) == [Outcome.DONE]
    assert master_of().status == Status.SUSPENDED
    assert not allowed(recording)


def test_a_suspension_that_was_lifted_since_is_not(rosa: User, olga: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    with after_the_back_up():
        lifecycle.suspend(master_of(), rosa, "Wait.")
        lifecycle.resume(master_of(), rosa)
    assert outcomes(olga) == [Outcome.ALREADY] * 2
    assert allowed(recording)


def test_a_second_suspension_counts_after_the_first_was_lifted(rosa: User, olga: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    with after_the_back_up():
        lifecycle.suspend(master_of(), rosa, "Wait.")
        lifecycle.resume(master_of(), rosa)
        lifecycle.suspend(master_of(), rosa, "Wait again.")
    assert Outcome.DONE in outcomes(olga)
    assert not allowed(recording)


def test_a_suspension_that_was_repeated_by_a_restore_and_lifted_since_is_not(
    rosa: User, olga: User
) -> None:
    (recording,) = make_allowed(rosa, 1)
    with after_the_back_up():
        lifecycle.suspend(master_of(), rosa, "Wait.")
    with after_the_back_up():
        assert outcomes(olga) == [Outcome.DONE]
        lifecycle.resume(master_of(), rosa)
    # The same back-up once more: both lines of the one suspension were taken back.
    assert Outcome.DONE not in outcomes(olga)
    assert allowed(recording)


def test_what_was_resumed_since_is_permitted_by_nobody_but_a_person(rosa: User, olga: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    lifecycle.suspend(master_of(), rosa, "Wait.")
    with after_the_back_up():
        lifecycle.resume(master_of(), rosa)
    found = endings.apply_missing(by=olga)
    assert [answer.outcome for _, answer in found.done] == [Outcome.BY_HAND]
    assert "resume it if that stands" in found.done[0].answer.sentence
    assert not allowed(recording)


def test_a_narrower_version_leaves_the_wider_one_at_rest(rosa: User, olga: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    with after_the_back_up():
        narrower = agreements.change(master_of(), by=rosa, territories=["DE"])
        lifecycle.activate(narrower, second_admin())
    assert outcomes(olga) == [Outcome.BY_HAND]
    assert master_of().status == Status.SUSPENDED
    assert not allowed(recording)


def test_an_offer_that_was_declined_cannot_come_into_force(rosa: User, olga: User) -> None:
    party = make_party(rosa)
    allow(rosa, party, Use.EVAL)
    paper = party.agreements.get()
    offer = agreements.draft_grant(
        by=rosa, agreement=paper, right_type=RightType.MASTER, use=Use.TRAIN_GENERATIVE
    )
    with after_the_back_up():
        lifecycle.decline(offer, rosa, "No.")
    assert outcomes(olga) == [Outcome.DONE]
    offer.refresh_from_db()
    assert offer.status == Status.WITHDRAWN


def mandated(rosa: User) -> tuple[Recording, Mandate]:
    holder, agent = make_party(rosa), make_party(rosa)
    recording = make_recording(rosa, holder)
    row = parties.enter_mandate(
        by=rosa, holder=holder, agent=agent,
        right_types=[RightType.MASTER, RightType.COMPOSITION],
    )  # fmt: skip
    parties.approve_mandate(row, second_admin())
    allow(rosa, agent, Use.TRAIN_GENERATIVE)
    return recording, row


def test_the_end_of_a_mandate_is_said_again(rosa: User, olga: User) -> None:
    recording, row = mandated(rosa)
    assert allowed(recording)
    with after_the_back_up():
        parties.end_mandate(row, rosa, "Another agent.")
    assert allowed(recording)
    assert outcomes(olga) == [Outcome.DONE]
    assert not allowed(recording)


def test_a_party_that_left_has_left(rosa: User, olga: User) -> None:
    recordings = make_allowed(rosa, 2)
    with after_the_back_up():
        withdraw_party.leave(Party.objects.get(), by=rosa, reason="Goodbye.")
    assert set(outcomes(olga)) == {Outcome.DONE}
    assert not any(allowed(recording) for recording in recordings)
    assert not Grant.objects.filter(ended_at=None).exists()
    # One word is one case for each use, as it was.
    assert WithdrawalCase.objects.count() == 3


def test_a_use_that_was_ended_everywhere_has_ended(rosa: User, noor: User, olga: User) -> None:
    party = make_party(rosa, people=[noor])
    recording = make_recording(rosa, party)
    allow(rosa, party, Use.TRAIN_GENERATIVE, Use.EVAL)
    with after_the_back_up():
        offers.end_everywhere(by=noor, party=party, use=Use.TRAIN_GENERATIVE, reason="No.")
    assert outcomes(olga) == [Outcome.DONE] * 2
    assert [allowed(recording), allowed(recording, Use.EVAL)] == [False, True]


def test_a_dispute_is_said_again(rosa: User, olga: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    sheet, party = recording.splits.get(), Party.objects.get()
    with after_the_back_up():
        splits.dispute(sheet=sheet, party=party, by=rosa, reason="Not mine alone.")
    assert allowed(recording)
    assert outcomes(olga) == [Outcome.DONE]
    assert not allowed(recording)


def test_a_dispute_that_was_settled_since_is_not(rosa: User, olga: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    sheet, party = recording.splits.get(), Party.objects.get()
    with after_the_back_up():
        splits.dispute(sheet=sheet, party=party, by=rosa, reason="Not mine alone.")
        splits.confirm(sheet=sheet, party=party, by=rosa)
    assert outcomes(olga) == [Outcome.ALREADY] * 2
    assert allowed(recording)


def test_a_new_split_stands_and_is_to_be_confirmed_anew(rosa: User, olga: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    party, other = Party.objects.get(), make_party(rosa)
    with after_the_back_up():
        sheet = splits.propose(by=rosa, subject=recording, lines={party: 600_000, other: 400_000})
        splits.confirm(sheet=sheet, party=other, by=rosa)
    assert allowed(recording)
    assert outcomes(olga) == [Outcome.BY_HAND] * 2
    assert not allowed(recording)
    open_one = recording.splits.exclude(status=SplitSheet.Status.SUPERSEDED).get()
    assert dict(open_one.lines.values_list("party", "ppm")) == {
        party.pk: 600_000, other.pk: 400_000,
    }  # fmt: skip


def test_a_further_work_is_in_the_recording_again(rosa: User, olga: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    work = catalogue.add_work(by=rosa, title="A sample of another song")
    with after_the_back_up():
        catalogue.attach_work(by=rosa, recording=recording, work=work)
    assert allowed(recording)
    assert outcomes(olga) == [Outcome.DONE]
    assert not allowed(recording)


def test_a_further_work_that_is_not_in_the_back_up_is_told(rosa: User, olga: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    with after_the_back_up():
        work = catalogue.add_work(by=rosa, title="A sample of another song")
        catalogue.attach_work(by=rosa, recording=recording, work=work)
    assert Work.objects.count() == 1
    assert outcomes(olga) == [Outcome.BY_HAND]


def test_a_main_artist_is_asked_for_the_voice_again(rosa: User, olga: User) -> None:
    party, singer = make_party(rosa), make_party(rosa)
    recording = make_recording(rosa, party)
    rights = (RightType.COMPOSITION, RightType.MASTER, RightType.PERSONA)
    allow(rosa, party, Use.VOICE, rights=rights)
    with after_the_back_up():
        catalogue.add_credit(
            by=rosa, subject=recording, party=singer, role=Credit.RoleCode.MAIN_ARTIST
        )
    assert allowed(recording, Use.VOICE)
    assert outcomes(olga) == [Outcome.DONE]
    assert not allowed(recording, Use.VOICE)


def test_a_member_is_asked_for_the_voice_of_the_group_again(rosa: User, olga: User) -> None:
    party, singer = make_party(rosa, kind=Party.Kind.GROUP), make_party(rosa)
    recording = make_recording(rosa, party)
    members.add(by=rosa, group=party, member=make_party(rosa))
    members.declare_complete(by=rosa, group=party)
    with after_the_back_up():
        members.add(by=rosa, group=party, member=singer)
    assert outcomes(olga) == [Outcome.DONE]
    assert party.members.filter(member=singer).exists()
    asked = consent.evaluate([recording], Use.VOICE, SCOPE)[recording.pk].reasons
    assert singer.name in {reason["party"] for reason in asked}
    assert outcomes(olga) == []


def test_a_member_who_is_not_in_the_back_up_is_named_for_a_person(rosa: User, olga: User) -> None:
    party = make_party(rosa, kind=Party.Kind.GROUP)
    with after_the_back_up():
        members.add(by=rosa, group=party, member=make_party(rosa))
    assert outcomes(olga) == [Outcome.BY_HAND]


@pytest.mark.parametrize("kind", RecordingRelation.Kind.values)
def test_where_a_recording_comes_from_is_said_again(rosa: User, olga: User, kind: str) -> None:
    (remix,) = make_allowed(rosa, 1)
    vocal = make_recording(rosa, make_party(rosa))
    with after_the_back_up():
        derivations.add_relation(by=rosa, recording=remix, source=vocal, kind=kind)
    assert allowed(remix)
    assert outcomes(olga) == [Outcome.DONE]
    assert not allowed(remix)
    assert Hold.objects.filter(recording=remix, use=Use.TRAIN_GENERATIVE).exists()


def test_a_source_that_is_not_in_the_back_up_is_left(rosa: User, olga: User) -> None:
    (remix,) = make_allowed(rosa, 1)
    with after_the_back_up():
        vocal = catalogue.announce_recording(by=rosa, title="Vocal")
        derivations.add_relation(
            by=rosa, recording=remix, source=vocal, kind=RecordingRelation.Kind.CONTAINS
        )
    assert Outcome.DONE not in outcomes(olga)
    assert allowed(remix)


def test_a_signal_is_noted_again(rosa: User, olga: User) -> None:
    party = make_party(rosa)
    recording = make_recording(rosa, party)
    no = b'{"entries": {"c2pa.ai_generative_training": {"use": "notAllowed"}}}'
    with after_the_back_up():
        said = reservations.read_assertion(no)
        signals.record_signals(by=rosa, subject=recording, reservations=said, source="song.wav")
    assert outcomes(olga) == [Outcome.DONE]
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    assert not allowed(recording)


def test_who_is_not_to_be_named_is_not_named(rosa: User, olga: User) -> None:
    party = make_party(rosa)
    public_credit.choose(by=rosa, party=party, credit=Party.PublicCredit.NAME)
    with after_the_back_up():
        public_credit.choose(by=rosa, party=party, credit=Party.PublicCredit.UNNAMED)
    assert outcomes(olga) == [Outcome.DONE]
    party.refresh_from_db()
    assert party.public_credit == Party.PublicCredit.UNNAMED


def test_what_was_granted_and_ended_since_needs_no_ending(rosa: User, olga: User) -> None:
    party = make_party(rosa)
    with after_the_back_up():
        (grant, _) = allow(rosa, party, Use.EVAL)
        lifecycle.withdraw(grant, rosa, "No more.")
    found = endings.apply_missing(by=olga)
    assert [answer.outcome for _, answer in found.done] == [Outcome.ALREADY]
    assert "came after the back-up" in found.done[0].answer.sentence


def test_a_grant_that_has_the_number_of_an_ended_one_by_now_is_another(
    rosa: User, olga: User
) -> None:
    party = make_party(rosa)
    with after_the_back_up():
        (grant, _) = allow(rosa, party, Use.EVAL)
        lifecycle.withdraw(grant, rosa, "No more.")
    (new, _) = allow(rosa, party, Use.EVAL)
    Grant.objects.filter(pk=new.pk).update(id=grant.pk)
    assert outcomes(olga) == [Outcome.ALREADY]
    assert Grant.objects.get(pk=grant.pk).status == Status.ACTIVE


def test_one_word_that_cannot_be_said_keeps_no_other_from_it(rosa: User, olga: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    party = make_party(rosa, "Flagging")
    with after_the_back_up():
        public_credit.choose(by=rosa, party=party, credit=Party.PublicCredit.UNNAMED)
        lifecycle.withdraw(master_of(), rosa, "No more.")
    Party.objects.filter(pk=party.pk).update(public_credit=Party.PublicCredit.NAME)
    User.objects.filter(pk=rosa.pk).update(roles=[Role.RESEARCHER])
    assert outcomes(olga) == [Outcome.BY_HAND, Outcome.DONE]
    assert not allowed(recording)


def test_said_again_twice_is_said_once(rosa: User, olga: User) -> None:
    make_allowed(rosa, 1)
    with after_the_back_up():
        lifecycle.withdraw(master_of(), rosa, "No more.")
    assert outcomes(olga) == [Outcome.DONE]
    lines = AuditEvent.objects.count()
    assert outcomes(olga) == []
    assert AuditEvent.objects.count() == lines
    assert WithdrawalCase.objects.count() == 1
