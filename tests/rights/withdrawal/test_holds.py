"""Every way from allowed to denied leaves a hold and an audit line, in the same transaction."""

from datetime import date, datetime, timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from portal import audit
from portal.models import AuditEvent, User
from rights.catalogue import catalogue
from rights.catalogue.catalogue import Refused
from rights.consent import consent
from rights.grants import agreements, lifecycle
from rights.models import Grant, Hold, OptOut, Party, Purpose, Recording, RightType, Use
from rights.parties import splits
from rights.withdrawal import holds
from tests.catalogue import allow, make_party, make_recording, second_admin

pytestmark = pytest.mark.django_db

HERE = consent.Context(purpose=Purpose.RESEARCH, territory="world", model_family="backline")


@pytest.fixture
def party(rosa: User) -> Party:
    return make_party(rosa)


@pytest.fixture
def songs(rosa: User, party: Party) -> list[Recording]:
    return [make_recording(rosa, party) for _ in range(3)]


def held(use: Use = Use.TRAIN_GENERATIVE) -> set[int]:
    return set(Hold.objects.filter(use=use).values_list("recording_id", flat=True))


def allowed(songs: list[Recording]) -> list[bool]:
    verdict = consent.evaluate(songs, Use.TRAIN_GENERATIVE, HERE)
    return [verdict[song.pk].allowed for song in songs]


def test_withdrawing_a_catalogue_grant_holds_the_whole_catalogue_for_that_use_alone(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    grants = allow(rosa, party, Use.TRAIN_GENERATIVE, Use.EVAL)
    before = timezone.now()
    lifecycle.withdraw(grants[0], rosa, "Changed my mind.")
    assert held() == {song.pk for song in songs}
    assert held(Use.EVAL) == set()
    assert all(hold.at > before and hold.party == party for hold in Hold.objects.all())
    assert allowed(songs) == [False] * 3
    verbs = list(AuditEvent.objects.values_list("verb", flat=True))
    assert verbs[-3:] == ["grant.withdrawn", "case.opened", "hold.placed"]
    assert list(audit.broken_lines()) == []


def test_opting_one_recording_out_of_a_catalogue_spares_the_others(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    lifecycle.opt_out(songs[0], Use.TRAIN_GENERATIVE, party, rosa, "A live take.")
    assert held() == {songs[0].pk}
    assert allowed(songs) == [False, True, True]
    assert Grant.objects.filter(status=Grant.Status.ACTIVE).count() == 2
    with pytest.raises(Refused, match="nothing is to end"):
        lifecycle.opt_out(songs[0], Use.TRAIN_GENERATIVE, party, rosa, "Again.")


def test_opting_out_withdraws_a_grant_for_that_recording_alone(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    allow(rosa, party, Use.TRAIN_GENERATIVE, recording=songs[1])
    lifecycle.opt_out(songs[1], Use.TRAIN_GENERATIVE, party, rosa, "No.")
    assert set(Grant.objects.values_list("status", flat=True)) == {"withdrawn"}
    assert set(OptOut.objects.values_list("recording", flat=True)) == {songs[1].pk}
    assert held() == {songs[1].pk}


def test_an_opt_out_of_a_grant_of_its_own_stays_out_of_a_later_catalogue_grant(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    allow(rosa, party, Use.TRAIN_GENERATIVE, recording=songs[0])
    lifecycle.opt_out(songs[0], Use.TRAIN_GENERATIVE, party, rosa, "No.")
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    assert allowed(songs) == [False, True, True]


def test_an_opt_out_stays_through_a_new_catalogue_grant_and_ends_with_one_of_its_own(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    lifecycle.opt_out(songs[0], Use.TRAIN_GENERATIVE, party, rosa, "No.")
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    assert allowed(songs) == [False, True, True]
    allow(rosa, party, Use.TRAIN_GENERATIVE, recording=songs[0])
    assert allowed(songs) == [True, True, True]


def test_a_no_said_before_anything_is_granted_stands_and_is_said_once(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    assert lifecycle.opt_out(songs[0], Use.TRAIN_GENERATIVE, party, rosa, "Never this.") == 0
    assert not Hold.objects.exists()
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    assert allowed(songs) == [False, True, True]
    with pytest.raises(Refused, match="already, so nothing is to end"):
        lifecycle.opt_out(songs[0], Use.TRAIN_GENERATIVE, party, rosa, "Again.")
    stranger = Party.objects.create(name="Nobody of note", kind=Party.Kind.PERSON)
    with pytest.raises(Refused, match="holds nothing"):
        lifecycle.opt_out(songs[0], Use.TRAIN_GENERATIVE, stranger, rosa, "Me neither.")


def test_a_no_ends_an_offer_for_that_recording_too(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    lifecycle.opt_out(songs[0], Use.TRAIN_GENERATIVE, party, rosa, "No.")
    allow(rosa, party, Use.TRAIN_GENERATIVE, recording=songs[0])
    lifecycle.opt_out(songs[0], Use.TRAIN_GENERATIVE, party, rosa, "No, again.")
    assert allowed(songs) == [False, True, True]
    assert OptOut.objects.filter(recording=songs[0]).count() == 2


def test_a_grant_that_another_covers_ends_without_a_hold(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    narrow = allow(rosa, party, Use.TRAIN_GENERATIVE, territories=["SE"])
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    for grant in narrow:
        lifecycle.withdraw(grant, rosa, "Replaced by the wider one.")
    assert not Hold.objects.exists()
    assert allowed(songs) == [True] * 3


def test_a_wider_grant_ends_with_a_hold_even_where_a_narrow_one_stays(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    allow(rosa, party, Use.TRAIN_GENERATIVE, territories=["SE"])
    wide = allow(rosa, party, Use.TRAIN_GENERATIVE)
    lifecycle.withdraw(wide[0], rosa, "Only Sweden from now on.")
    assert held() == {song.pk for song in songs}


def test_expiry_holds_once_and_is_safe_to_repeat(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    today = timezone.now().date()
    allow(rosa, party, Use.TRAIN_GENERATIVE, ends_on=today)
    assert lifecycle.expire_due() == 0
    tomorrow: datetime = timezone.now() + timedelta(days=1)
    assert lifecycle.expire_due(tomorrow) == 2
    assert lifecycle.expire_due(tomorrow) == 0
    assert held() == {song.pk for song in songs}
    assert Hold.objects.count() == 6


def test_a_dispute_holds_every_use_that_was_permitted(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    allow(rosa, party, Use.TRAIN_GENERATIVE, Use.EVAL)
    sheet = songs[0].works.get().splits.get()
    splits.dispute(sheet=sheet, party=party, by=rosa, reason="Wrong shares.")
    assert held() == held(Use.EVAL) == {songs[0].pk}
    assert held(Use.VOICE) == set()
    assert allowed(songs) == [False, True, True]


def test_a_superseding_split_holds_what_rested_on_the_old_one(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    splits.propose(by=rosa, subject=songs[2], lines={party: 1_000_000})
    assert held() == {songs[2].pk}
    assert songs[2].splits.order_by("-version")[0].version == 2


def test_a_main_artist_credited_later_holds_uses_of_the_person(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    allow(rosa, party, Use.VOICE, Use.TRAIN_GENERATIVE, rights=tuple(RightType))
    catalogue.add_credit(by=rosa, subject=songs[0], party=make_party(rosa), role="MainArtist")
    assert held(Use.VOICE) == {songs[0].pk}
    assert held() == set()


def test_ended_grants_never_revive(rosa: User, party: Party) -> None:
    grant = allow(rosa, party, Use.EVAL)[0]
    with pytest.raises(Refused, match="only an offered one"):
        lifecycle.activate(grant, second_admin())
    lifecycle.withdraw(grant, rosa, "No.")
    for act in (
        lambda: lifecycle.activate(grant, second_admin()),
        lambda: lifecycle.withdraw(grant, rosa, "Twice."),
    ):
        with pytest.raises(Refused):
            act()
    with pytest.raises(Refused, match="reason is missing"):
        lifecycle.withdraw(allow(rosa, party, Use.EVAL)[0], rosa, " ")


def test_a_hold_is_undone_with_the_transaction_it_was_written_in(
    rosa: User, party: Party, songs: list[Recording]
) -> None:
    grant = allow(rosa, party, Use.TRAIN_GENERATIVE)[0]
    with transaction.atomic():
        lifecycle.withdraw(grant, rosa, "No.")
        assert Hold.objects.count() == 3
        transaction.set_rollback(True)
    assert not Hold.objects.exists()
    assert allowed(songs) == [True] * 3
    assert list(audit.broken_lines()) == []


def test_no_grant_outlives_its_agreement(rosa: User, party: Party) -> None:
    agreement = agreements.sign(
        by=rosa,
        counterparty=party,
        title="A",
        signed_on=date(2026, 1, 1),
        ends_on=date(2999, 1, 1),
    )
    grant = agreements.draft_grant(by=rosa, agreement=agreement, right_type="master", use="eval")
    assert grant.ends_on == date(2999, 1, 1)
    for wrong in (
        {"ends_on": date(2999, 1, 2)},
        {"purposes": []},
        {"territories": ["Atlantis"]},
        {"use": "everything"},
        {"right_type": "master", "work": catalogue.add_work(by=rosa, title="W")},
    ):
        with pytest.raises(Refused):
            agreements.draft_grant(
                **(
                    {"by": rosa, "agreement": agreement, "right_type": "master", "use": "eval"}
                    | wrong
                )
            )


def test_what_a_grant_covers(rosa: User, party: Party, songs: list[Recording]) -> None:
    other = make_recording(rosa, make_party(rosa))
    for grant in allow(rosa, party, Use.VOICE, rights=tuple(RightType)):
        covered = list(holds.covered_by(grant))
        assert set(covered) == set(songs)
        assert other not in covered
