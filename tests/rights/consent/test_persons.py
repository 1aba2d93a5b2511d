"""Whose own word a use of a person needs: everybody whose voice or person is in the recording."""

import pytest
from django.test import Client
from django.urls import reverse

from portal import audit
from portal.models import User
from rights.catalogue import catalogue
from rights.consent import consent, opt_outs, persons
from rights.errors import Refused
from rights.grants import agreements, lifecycle, offers
from rights.models import (
    Grant,
    GroupMember,
    Hold,
    Party,
    Purpose,
    Recording,
    RightType,
    RoleCode,
    Use,
)
from rights.parties import members, parties
from rights.rightsholder import overview, use_status
from rights.withdrawal import holds
from tests.catalogue import allow, make_party, make_recording
from tests.rights.exchange.importing import imported

pytestmark = pytest.mark.django_db

HERE = consent.Context(Purpose.RESEARCH, "world", "backline")
PERSONA = (RightType.PERSONA,)
OF_A_PERSON = (Use.VOICE, Use.LIKENESS_NAME, Use.STYLE_NAMED)


@pytest.fixture
def artist(rosa: User) -> Party:
    return make_party(rosa, "Ines Faro")


@pytest.fixture
def guest(rosa: User) -> Party:
    return make_party(rosa, "Tomas Lind")


@pytest.fixture
def song(rosa: User, artist: Party) -> Recording:
    """All that its main artist can allow is allowed."""
    made = make_recording(rosa, artist)
    allow(rosa, artist, *OF_A_PERSON, Use.TRAIN_GENERATIVE, rights=tuple(RightType))
    return made


def credit(rosa: User, song: Recording, party: Party, role: str, **more: str) -> None:
    catalogue.add_credit(by=rosa, subject=song, party=party, role=role, **more)


def missing(song: Recording, use: Use) -> list[tuple[str, str]]:
    reasons = consent.evaluate([song], use, HERE)[song.pk].reasons
    return [(reason["code"], reason["party"]) for reason in reasons]


@pytest.mark.parametrize(
    ("role", "more", "asked"),
    [
        (RoleCode.MAIN_ARTIST, {}, OF_A_PERSON),
        (RoleCode.FEATURED_ARTIST, {}, OF_A_PERSON),
        (RoleCode.VOCALIST, {}, (Use.VOICE,)),
        (RoleCode.SOLOIST, {"instrument": "Soprano"}, (Use.VOICE,)),
        (RoleCode.SOLOIST, {"instrument": "Violin"}, ()),
        # Nobody says what they play.
        (RoleCode.SOLOIST, {}, (Use.VOICE,)),
        (RoleCode.ASSOCIATED_PERFORMER, {}, (Use.VOICE,)),
        (RoleCode.ASSOCIATED_PERFORMER, {"instrument": "Backing vocals"}, (Use.VOICE,)),
        (RoleCode.STUDIO_MUSICIAN, {"instrument": "Tenor saxophone"}, ()),
        (RoleCode.STUDIO_MUSICIAN, {"instrument": "Tenor"}, (Use.VOICE,)),
        (RoleCode.STUDIO_MUSICIAN, {"display_text": "Spoken word"}, (Use.VOICE,)),
        (RoleCode.USER_DEFINED, {"user_defined": "BackgroundVocalist"}, (Use.VOICE,)),
        (RoleCode.USER_DEFINED, {"user_defined": "Rapper"}, (Use.VOICE,)),
        (RoleCode.USER_DEFINED, {"user_defined": "Narrator"}, (Use.VOICE,)),
        (RoleCode.USER_DEFINED, {"user_defined": "Composing and processing"}, ()),
        (RoleCode.USER_DEFINED, {"user_defined": "Label"}, ()),
        (RoleCode.PRODUCER, {}, ()),
        (RoleCode.MIXER, {}, ()),
        (RoleCode.PRODUCER, {"instrument": "Vocals"}, (Use.VOICE,)),
    ],
)
def test_a_credit_asks_for_the_uses_that_the_table_says(
    *,
    rosa: User,
    song: Recording,
    guest: Party,
    role: str,
    more: dict[str, str],
    asked: tuple[Use, ...],
) -> None:
    credit(rosa, song, guest, role, **more)
    for use in (*OF_A_PERSON, Use.TRAIN_GENERATIVE):
        wanted = [("no_grant", guest.name)] if use in asked else []
        assert missing(song, use) == wanted, use
        # Everybody who looks ahead says the same.
        assert (RightType.PERSONA in holds.rights_of(guest, song, use)) == (use in asked)
        assert (RightType.PERSONA in offers.rights_of(guest, use)) == (use in asked)
    allow(rosa, guest, *OF_A_PERSON, rights=PERSONA)
    assert all(missing(song, use) == [] for use in OF_A_PERSON)


def test_a_recording_that_credits_no_main_artist_is_nobodys_to_allow(
    rosa: User, song: Recording, guest: Party
) -> None:
    song.credits.all().delete()
    credit(rosa, song, guest, RoleCode.VOCALIST)
    allow(rosa, guest, Use.VOICE, rights=PERSONA)
    assert missing(song, Use.VOICE) == [("no_artist", "")]


def test_nobody_signs_for_a_person(rosa: User, song: Recording, guest: Party) -> None:
    agent = make_party(rosa, "Agency", kind=Party.Kind.LABEL)
    credit(rosa, song, guest, RoleCode.VOCALIST)
    allow(rosa, agent, Use.VOICE, rights=PERSONA)
    with pytest.raises(Refused):
        parties.enter_mandate(by=rosa, holder=guest, agent=agent, right_types=["persona"])
    assert missing(song, Use.VOICE) == [("no_grant", guest.name)]


@pytest.fixture
def band(rosa: User) -> Party:
    return make_party(rosa, "The Quay", kind=Party.Kind.GROUP)


@pytest.fixture
def bands_song(rosa: User, band: Party) -> Recording:
    """The band allows all that it could, its persona too."""
    made = make_recording(rosa, band)
    allow(rosa, band, *OF_A_PERSON, rights=tuple(RightType))
    return made


def test_a_groups_word_is_nobodys_of_its_members(
    rosa: User, band: Party, bands_song: Recording, artist: Party, guest: Party
) -> None:
    assert missing(bands_song, Use.VOICE) == [("members_unknown", band.name)]
    for member in (artist, guest):
        members.add(by=rosa, group=band, member=member)
    # Some members are not all of them.
    allow(rosa, artist, Use.VOICE, rights=PERSONA)
    assert ("members_unknown", band.name) in missing(bands_song, Use.VOICE)
    members.declare_complete(by=rosa, group=band)
    assert missing(bands_song, Use.VOICE) == [("no_grant", guest.name)]
    allow(rosa, guest, Use.VOICE, rights=PERSONA)
    assert missing(bands_song, Use.VOICE) == []


@pytest.mark.parametrize("kind", [kind for kind in Party.Kind if kind != Party.Kind.PERSON])
def test_what_is_no_person_has_no_voice_of_its_own(
    client: Client, rosa: User, kind: Party.Kind
) -> None:
    party = make_party(rosa, kind=kind)
    song = make_recording(rosa, party)
    allow(rosa, party, Use.VOICE, rights=tuple(RightType))
    assert missing(song, Use.VOICE) == [("members_unknown", party.name)]
    # Its page asks for them.
    client.force_login(rosa)
    assert "Not said to be all" in client.get(party.get_absolute_url()).content.decode()


def test_a_member_is_entered_once_and_is_a_person(rosa: User, band: Party, artist: Party) -> None:
    made = members.add(by=rosa, group=band, member=artist)
    assert audit.history(band)[0].verb == "party.member_added"
    label = make_party(rosa, kind=Party.Kind.LABEL)
    for group, member in ((band, artist), (band, label), (band, band), (artist, artist)):
        with pytest.raises(Refused):
            members.add(by=rosa, group=group, member=member)
    assert list(GroupMember.objects.all()) == [made]


def test_members_are_said_to_be_all_once_and_not_of_nobody(
    rosa: User, band: Party, artist: Party
) -> None:
    with pytest.raises(Refused):
        members.declare_complete(by=rosa, group=band)
    members.add(by=rosa, group=band, member=artist)
    members.declare_complete(by=rosa, group=band)
    with pytest.raises(Refused):
        members.declare_complete(by=rosa, group=band)


def test_a_group_with_members_does_not_become_a_person(
    rosa: User, band: Party, artist: Party
) -> None:
    members.add(by=rosa, group=band, member=artist)
    for party, kind in ((band, "person"), (artist, "group")):
        with pytest.raises(Refused):
            parties.update_party(by=rosa, party=party, name=party.name, kind=kind)


# --- What is found after permission -----------------------------------------------------------


def held(use: Use) -> set[tuple[int, str]]:
    return set(Hold.objects.filter(use=use).values_list("recording", "party__name"))


@pytest.mark.parametrize(
    ("role", "uses"),
    [
        (RoleCode.FEATURED_ARTIST, OF_A_PERSON),
        (RoleCode.VOCALIST, (Use.VOICE,)),
        (RoleCode.MIXER, ()),
    ],
)
def test_who_is_credited_later_leaves_a_hold_on_what_needs_them(
    rosa: User, song: Recording, guest: Party, role: str, uses: tuple[Use, ...]
) -> None:
    credit(rosa, song, guest, role)
    for use in OF_A_PERSON:
        assert held(use) == ({(song.pk, guest.name)} if use in uses else set())


def test_a_member_found_later_leaves_a_hold_wherever_the_group_is_credited(
    rosa: User, band: Party, bands_song: Recording, artist: Party, guest: Party
) -> None:
    members.add(by=rosa, group=band, member=artist)
    allow(rosa, artist, Use.VOICE, rights=PERSONA)
    members.declare_complete(by=rosa, group=band)
    other = make_recording(rosa, artist)
    assert missing(bands_song, Use.VOICE) == []
    assert not Hold.objects.exists()
    members.add(by=rosa, group=band, member=guest)
    assert held(Use.VOICE) == {(bands_song.pk, guest.name)}
    assert not Hold.objects.filter(recording=other).exists()
    assert missing(bands_song, Use.VOICE) == [("no_grant", guest.name)]


def test_a_group_credited_later_leaves_a_hold(rosa: User, song: Recording, band: Party) -> None:
    credit(rosa, song, band, RoleCode.FEATURED_ARTIST)
    assert held(Use.VOICE) == {(song.pk, band.name)}


def test_who_turns_out_to_be_no_person_leaves_a_hold(
    rosa: User, song: Recording, artist: Party
) -> None:
    parties.update_party(by=rosa, party=artist, name=artist.name, kind="group")
    assert held(Use.VOICE) == {(song.pk, artist.name)}
    assert missing(song, Use.VOICE) == [("members_unknown", artist.name)]


def test_the_end_of_a_members_permission_holds_what_the_group_is_credited_in(
    rosa: User, band: Party, bands_song: Recording, artist: Party
) -> None:
    members.add(by=rosa, group=band, member=artist)
    members.declare_complete(by=rosa, group=band)
    (grant,) = allow(rosa, artist, Use.VOICE, rights=PERSONA)
    lifecycle.withdraw(grant, rosa, "No more.")
    assert held(Use.VOICE) == {(bands_song.pk, artist.name)}


def test_a_vocalist_ends_their_own_permission_everywhere_they_sing(
    rosa: User, song: Recording, guest: Party
) -> None:
    credit(rosa, song, guest, RoleCode.VOCALIST)
    (grant,) = allow(rosa, guest, Use.VOICE, rights=PERSONA)
    Hold.objects.all().delete()
    lifecycle.withdraw(grant, rosa, "No more.")
    assert held(Use.VOICE) == {(song.pk, guest.name)}


def test_an_imported_credit_of_a_recording_that_is_here_leaves_a_hold(
    rosa: User, song: Recording, artist: Party
) -> None:
    header = "ISRC,Title,Artist,Contributors"
    row = f"{song.isrc},{song.title},{artist.name},Greta Holm (Vocalist)"
    imported(rosa, f"{header}\n{row}\n".encode())
    assert song.credits.filter(role=RoleCode.VOCALIST).exists()
    assert held(Use.VOICE) == {(song.pk, "Greta Holm")}


# --- Opt-outs, offers and pages ---------------------------------------------------------------


def test_a_vocalist_says_no_to_one_recording(rosa: User, song: Recording, guest: Party) -> None:
    credit(rosa, song, guest, RoleCode.VOCALIST)
    allow(rosa, guest, Use.VOICE, rights=PERSONA)
    lifecycle.opt_out(song, Use.VOICE, guest, rosa, "Not my voice.")
    assert missing(song, Use.VOICE) == [("opted_out", guest.name)]
    assert opt_outs.not_taken_back(song.opt_outs.all()).exists()
    allow(rosa, guest, Use.VOICE, recording=song, rights=PERSONA)
    assert missing(song, Use.VOICE) == []
    assert not opt_outs.not_taken_back(song.opt_outs.all()).exists()
    # A vocalist has no word on the name of who stands on the cover.
    with pytest.raises(Refused):
        lifecycle.opt_out(song, Use.LIKENESS_NAME, guest, rosa, "No.")


def test_who_sings_or_belongs_sees_the_recording_and_their_own_word(
    *, client: Client, rosa: User, noor: User, band: Party, bands_song: Recording, artist: Party
) -> None:
    artist.people.add(noor)
    members.add(by=rosa, group=band, member=artist)
    assert bands_song in Recording.objects.visible_to(noor)
    assert bands_song in overview.repertoire([artist])
    found = {
        one.use: one.word for one in use_status.statuses_of([bands_song], [artist])[bands_song.pk]
    }
    assert found[Use.VOICE] == use_status.Choice.OFF
    allow(rosa, artist, Use.VOICE, rights=PERSONA)
    found = {
        one.use: one.word for one in use_status.statuses_of([bands_song], [artist])[bands_song.pk]
    }
    assert found[Use.VOICE] == use_status.Choice.ON
    client.force_login(noor)
    assert client.get(reverse("rights:mine_recording", args=[bands_song.pk])).status_code == 200


def test_a_rights_admin_enters_members_on_the_groups_page(
    client: Client, rosa: User, ada: User, band: Party, artist: Party
) -> None:
    client.force_login(rosa)
    address = reverse("rights:party_member", args=[band.pk])
    page = client.get(band.get_absolute_url()).content.decode()
    assert "Not said to be all" in page
    assert client.post(address, {"member": "Nobody"}).status_code == 422
    assert (
        client.post(address, {"member": artist.name, "joined_on": "2020-01-01"}).status_code == 302
    )
    page = client.get(band.get_absolute_url()).content.decode()
    assert "from 1 Jan 2020" in page
    assert f"These are all members of {band}" in page
    client.post(reverse("rights:party_members_complete", args=[band.pk]))
    assert "that these are all" in client.get(band.get_absolute_url()).content.decode()
    assert str(band) in client.get(artist.get_absolute_url()).content.decode()
    client.force_login(ada)
    assert client.post(address, {"member": artist.name}).status_code == 404


def test_replay_knows_who_was_a_person_and_who_a_member_then(
    rosa: User, song: Recording, artist: Party, guest: Party
) -> None:
    decision = consent.check([song], Use.VOICE, HERE, by=rosa)
    assert decision.allowed
    parties.update_party(by=rosa, party=artist, name=artist.name, kind="group")
    members.add(by=rosa, group=artist, member=guest)
    members.declare_complete(by=rosa, group=artist)
    verdict = consent.replay(decision)
    assert (verdict.digest, verdict.input_digest) == (
        decision.output_digest,
        decision.input_digest,
    )


def test_a_preview_of_an_offer_counts_what_the_person_is_in(
    rosa: User, song: Recording, guest: Party
) -> None:
    credit(rosa, song, guest, RoleCode.FEATURED_ARTIST)
    agreement = agreements.sign(
        by=rosa, counterparty=guest, title="Paper", signed_on=song.created_at.date()
    )
    grant = agreements.draft_grant(
        by=rosa, agreement=agreement, right_type=RightType.PERSONA, use=Use.VOICE
    )
    assert list(holds.covered_by(grant)) == [song]
    assert persons.is_asked(guest, song.pk, Use.VOICE)
    assert Grant.objects.filter(pk=grant.pk, status=Grant.Status.OFFERED).exists()
