"""Mandates and parties in the browser's terms: who signs for whom, and who they are elsewhere."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal import audit
from portal.models import User
from rights.catalogue import catalogue
from rights.consent import consent
from rights.grants import lifecycle
from rights.models import (
    Grant,
    Hold,
    Mandate,
    Party,
    PartyIdentifier,
    Purpose,
    Recording,
    RightType,
    Use,
)
from rights.parties import parties, splits
from tests.catalogue import allow, make_party, make_recording, opens, second_admin
from tests.confirming import confirm

pytestmark = pytest.mark.django_db

HERE = consent.Context(Purpose.RESEARCH, "world", "backline")


@pytest.fixture
def writer(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Ines Faro", people=[noor])


@pytest.fixture
def publisher(rosa: User) -> Party:
    return make_party(rosa, "Lantern Publishing", kind=Party.Kind.PUBLISHER)


@pytest.fixture
def song(rosa: User, writer: Party, publisher: Party) -> Recording:
    """The writer's own; she allows the master, her publisher would allow the composition."""
    made = make_recording(rosa, writer)
    allow(rosa, writer, Use.EVAL, rights=(RightType.MASTER,))
    allow(rosa, publisher, Use.EVAL, rights=(RightType.COMPOSITION,))
    return made


def address(name: str, *args: object) -> str:
    return reverse(f"rights:{name}", args=args)


def entered(client: Client, holder: Party, agent: Party, **other: object) -> Mandate:
    given = {"holder": holder.name, "agent": agent.pk, "right_types": ["composition"]}
    client.post(address("mandate_new"), given | {"places": "The world"} | other)
    return Mandate.objects.get()


def test_a_mandate_permits_once_a_second_pair_of_eyes_has_seen_it(
    client: Client, rosa: User, writer: Party, publisher: Party, song: Recording
) -> None:
    client.force_login(rosa)
    row = entered(client, writer, publisher)
    assert not consent.evaluate([song], Use.EVAL, HERE).allowed
    assert row.get_absolute_url() in client.get(address("home")).content.decode()
    page = client.post(address("mandate_approve", row.pk), follow=True).content.decode()
    assert "Somebody else than who entered it has to approve it." in page
    ivo = second_admin()
    page = client.get(row.get_absolute_url()).content.decode()
    assert "You entered it;" in page
    assert "Ivo" in page
    client.force_login(ivo)
    client.post(address("mandate_approve", row.pk))
    assert consent.evaluate([song], Use.EVAL, HERE).allowed
    assert audit.history(row)[0].verb == "mandate.approved"


def test_revoking_previews_what_loses_its_permission_and_asks_for_a_reason(
    client: Client, rosa: User, writer: Party, publisher: Party, song: Recording
) -> None:
    row = parties.enter_mandate(
        by=rosa, holder=writer, agent=publisher, right_types=["composition"]
    )
    parties.approve_mandate(row, second_admin())
    client.force_login(rosa)
    page = client.get(address("mandate_revoke", row.pk)).content.decode()
    assert "Evaluation and listening tests: 1 recording" in page
    assert song.title in page
    client.post(address("mandate_revoke", row.pk), {"reason": ""})
    row.refresh_from_db()
    assert row.revoked_at is None
    confirm(client, address("mandate_revoke", row.pk), {"reason": "She signs herself now."})
    row.refresh_from_db()
    assert row.state_in_words == "Revoked"
    assert Hold.objects.filter(recording=song, use="eval").exists()
    page = client.get(row.get_absolute_url()).content.decode()
    assert "She signs herself now." in page
    again = client.post(address("mandate_revoke", row.pk), {"reason": "Twice."}).content.decode()
    assert "revoked already" in again


def test_a_holders_own_no_is_stronger_than_an_agents_yes(
    rosa: User, writer: Party, publisher: Party, song: Recording
) -> None:
    other = make_recording(rosa, writer)
    row = parties.enter_mandate(
        by=rosa, holder=writer, agent=publisher, right_types=[RightType.COMPOSITION]
    )
    parties.approve_mandate(row, second_admin())
    assert consent.evaluate([song, other], Use.EVAL, HERE).allowed
    touched = lifecycle.opt_out(song, Use.EVAL, writer, rosa, "Not this one.")
    # Her own grant for the master, and the publisher's for the composition.
    assert touched == 2
    verdict = consent.evaluate([song, other], Use.EVAL, HERE)
    assert [verdict[song.pk].allowed, verdict[other.pk].allowed] == [False, True]
    assert set(Hold.objects.values_list("recording", flat=True)) == {song.pk}


def test_a_holders_no_stands_against_an_agent_that_comes_later(
    rosa: User, writer: Party, publisher: Party, song: Recording
) -> None:
    """Said for good, not to one agent: who signs for the holder next does not undo it."""
    other = make_recording(rosa, writer)
    allow(rosa, publisher, Use.EVAL, rights=(RightType.MASTER,))
    assert not Grant.objects.filter(grantor=writer, right_type="composition").exists()
    lifecycle.opt_out(song, Use.EVAL, writer, rosa, "Not this one.")
    row = parties.enter_mandate(
        by=rosa, holder=writer, agent=publisher, right_types=["master", "composition"]
    )
    parties.approve_mandate(row, second_admin())
    verdict = consent.evaluate([song, other], Use.EVAL, HERE)
    assert [verdict[song.pk].allowed, verdict[other.pk].allowed] == [False, True]
    assert "opted this recording out" in verdict[song.pk].reasons[0]["sentence"]
    assert {reason["party_id"] for reason in verdict[song.pk].reasons} == {writer.pk}


def test_a_holders_no_reaches_an_agent_by_each_of_its_mandates(
    rosa: User, writer: Party, publisher: Party, song: Recording
) -> None:
    """Two papers with one agent: the later one does not hide the earlier one."""
    for right in (RightType.COMPOSITION, RightType.MASTER):
        row = parties.enter_mandate(by=rosa, holder=writer, agent=publisher, right_types=[right])
        parties.approve_mandate(row, second_admin())
    # Her own grant for the master, and the publisher's for the composition.
    assert lifecycle.opt_out(song, Use.EVAL, writer, rosa, "Not this one.") == 2


def test_the_holder_may_end_it_and_the_agent_may_not(
    client: Client, *, rosa: User, noor: User, lou: User, writer: Party, publisher: Party
) -> None:
    lou.roles = ["rightsholder"]
    lou.save()
    publisher.people.add(lou)
    row = parties.enter_mandate(
        by=rosa, holder=writer, agent=publisher, right_types=["composition"]
    )
    client.force_login(lou)
    assert opens(client.get(row.get_absolute_url()))
    assert client.get(address("mandate_revoke", row.pk)).status_code == 404
    client.force_login(noor)
    confirm(client, address("mandate_revoke", row.pk), {"reason": "Mine again."})
    row.refresh_from_db()
    assert row.revoked_at is not None


def test_a_mandate_is_refused_beside_its_fields(
    client: Client, rosa: User, writer: Party, publisher: Party
) -> None:
    client.force_login(rosa)
    good = {"holder": writer.pk, "agent": publisher.pk, "right_types": ["master"]}
    good |= {"places": "The world"}
    for field, value in (
        ("agent", writer.pk),
        ("places", "Nowhere"),
        ("right_types", ["persona"]),
        ("holder", "Nobody Known"),
        ("ends_on", (timezone.now() - timedelta(days=2)).date().isoformat()),
    ):
        response = client.post(address("mandate_new"), good | {field: value})
        assert response.context["form"].errors[field], field
    assert not Mandate.objects.exists()


def test_mandates_are_seen_by_both_sides_and_those_who_keep_papers(
    client: Client, *, rosa: User, ada: User, olga: User, noor: User, lou: User, writer: Party,
    publisher: Party,
) -> None:  # fmt: skip
    row = parties.enter_mandate(by=rosa, holder=writer, agent=publisher, right_types=["master"])
    other = parties.enter_mandate(
        by=rosa, holder=make_party(rosa), agent=publisher, right_types=["master"]
    )
    for user in (rosa, olga, noor, ada, lou):
        client.force_login(user)
        for page in (address("mandates"), row.get_absolute_url()):
            assert opens(client.get(page)) == (user in {rosa, olga, noor}), (user, page)
    client.force_login(noor)
    assert client.get(other.get_absolute_url()).status_code == 404
    assert str(other.holder) not in client.get(address("mandates")).content.decode()
    for user in (ada, olga, lou):
        client.force_login(user)
        for name in ("mandate_approve", "mandate_revoke"):
            assert client.post(address(name, row.pk), {"reason": "x"}).status_code == 404
        assert client.post(address("mandate_new"), {}).status_code == 404


# --- Parties --------------------------------------------------------------------------------


def test_a_number_is_added_with_its_warning_and_removed_again(
    client: Client, rosa: User, writer: Party
) -> None:
    client.force_login(rosa)
    client.post(
        address("party_identify", writer.pk), {"scheme": "dpid", "value": "PA-DPIDA-2014120301-A"}
    )
    page = client.get(writer.get_absolute_url()).content.decode()
    assert "DPID" in page
    assert "check character does not fit" in page
    (number,) = PartyIdentifier.objects.all()
    client.post(address("party_unidentify", writer.pk, number.pk))
    assert not PartyIdentifier.objects.exists()
    assert audit.history(writer)[0].verb == "party.unidentified"


def test_a_wrong_number_is_refused_beside_its_field_and_stays_typed(
    client: Client, rosa: User, writer: Party, publisher: Party
) -> None:
    client.force_login(rosa)
    parties.add_identifier(by=rosa, party=publisher, scheme="isni", value="000000012281955X")
    for scheme, value, words in (
        ("isni", "0000000121032684", "is not an ISNI"),
        ("isni", "0000 0001 2281 955X", "is the one of Lantern Publishing"),
    ):
        response = client.post(
            address("party_identify", writer.pk), {"scheme": scheme, "value": value}
        )
        assert words in response.context["identifier_form"].errors["value"][0]
        assert value in response.content.decode()


def test_a_party_is_amended_with_an_audit_line_that_names_nobody_in_the_hash(
    client: Client, rosa: User, noor: User, writer: Party
) -> None:
    client.force_login(rosa)
    given = {"name": "Inês Faro", "kind": "person", "credited_as": "I. Faro", "people": [noor.pk]}
    client.post(address("party_amend", writer.pk), given | {"contact": "ines@faro.example"})
    writer.refresh_from_db()
    assert (writer.name, writer.contact) == ("Inês Faro", "ines@faro.example")
    line = audit.history(writer)[0]
    assert line.verb == "party.amended"
    assert "Faro" not in str(line.body)
    assert line.details["was"]["name"] == "Ines Faro"
    make_party(rosa, "Taken")
    wrong = client.post(address("party_amend", writer.pk), given | {"name": "taken"})
    assert "already" in wrong.context["form"].errors["name"][0]


def test_who_may_speak_for_a_party_is_picked_by_name_and_log_in(
    client: Client, rosa: User, noor: User
) -> None:
    client.force_login(rosa)
    page = client.get(address("party_new")).text
    assert f"{noor.get_full_name()} ({noor.username})" in page


def test_parties_of_every_kind_are_entered(client: Client, rosa: User) -> None:
    client.force_login(rosa)
    for kind in Party.Kind.values:
        client.post(address("party_new"), {"name": f"A {kind}", "kind": kind})
        assert Party.objects.get(name=f"A {kind}").kind == kind


def test_a_researcher_sees_a_party_without_its_papers_and_its_address(
    client: Client, ada: User, rosa: User, writer: Party, publisher: Party
) -> None:
    parties.update_party(
        by=rosa, party=writer, name="Ines", kind="person", contact="i@faro.example"
    )
    parties.enter_mandate(by=rosa, holder=writer, agent=publisher, right_types=["master"])
    allow(rosa, writer, Use.EVAL)
    client.force_login(ada)
    page = client.get(writer.get_absolute_url()).content.decode()
    for hidden in ("i@faro.example", "Mandates</h2>", "Agreement with", "Remove"):
        assert hidden not in page
    for name in ("party_identify", "party_amend"):
        assert client.post(address(name, writer.pk), {}).status_code == 404


# --- Splits ---------------------------------------------------------------------------------


def test_a_disputed_sheet_says_what_it_blocks_and_who_said_what(
    client: Client, *, rosa: User, ada: User, noor: User, writer: Party, publisher: Party
) -> None:
    work = catalogue.add_work(by=rosa, title="Half Tide")
    first = splits.propose(by=rosa, subject=work, lines={writer: 1_000_000})
    splits.confirm(sheet=first, party=writer, by=noor)
    halves = {writer: 500_000, publisher: 500_000}
    sheet = splits.propose(by=rosa, subject=work, lines=halves)
    splits.confirm(sheet=sheet, party=writer, by=noor)
    splits.dispute(sheet=sheet, party=publisher, by=rosa, reason="We hold sixty per cent.")
    recording = make_recording(rosa, writer)
    catalogue.attach_work(by=rosa, recording=recording, work=work)
    allow(rosa, publisher, Use.EVAL, rights=(RightType.COMPOSITION,))
    client.force_login(ada)
    page = " ".join(client.get(work.get_absolute_url()).content.decode().split())
    assert f"keeps “{recording}” from every use" in page
    assert "also from what is granted: evaluation and listening tests" in page
    assert "Lantern Publishing disputed" in page
    assert "We hold sixty per cent." in page
    assert "Version 1" in page
