"""The artist's pages: what is mine, switching uses on and off, answering the lab, taking away."""

import json
from datetime import date

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape

from portal import audit
from portal.models import Role, User
from rights.catalogue import catalogue
from rights.errors import Refused
from rights.grants import agreements, lifecycle, offers, plain_language
from rights.models import (
    Channel,
    Grant,
    Hold,
    Party,
    Recording,
    RightType,
    SplitLine,
    SplitSheet,
    Use,
)
from rights.parties import splits
from rights.rightsholder import overview, use_status
from rights.rightsholder.use_status import Choice
from rights.withdrawal import descendants
from tests.catalogue import allow, make_party, make_recording, second_admin
from tests.confirming import confirm
from tests.conftest import person

pytestmark = pytest.mark.django_db
GENERATIVE = Use.TRAIN_GENERATIVE


@pytest.fixture
def party(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Noor", people=[noor])


@pytest.fixture
def song(rosa: User, party: Party) -> Recording:
    return make_recording(rosa, party, title="Salt")


@pytest.fixture
def paper(rosa: User, party: Party) -> agreements.Agreement:
    return agreements.sign(
        by=rosa, counterparty=party, title="Agreement", signed_on=date(2026, 1, 1)
    )


@pytest.fixture
def noors(client: Client, noor: User) -> Client:
    client.force_login(noor)
    return client


def page(client: Client, name: str, *args: object, **query: object) -> str:
    response = client.get(reverse(name, args=args), query)
    assert response.status_code == 200, response.status_code
    return response.getvalue().decode()


def word(song: Recording, party: Party, use: Use) -> use_status.UseStatus:
    return next(one for one in use_status.statuses_of([song], [party])[song.pk] if one.use == use)


def test_each_use_stands_in_plain_words(
    noors: Client, rosa: User, party: Party, song: Recording
) -> None:
    allow(rosa, party, Use.EVAL)
    shown = page(noors, "rights:mine_recording", song.pk)
    for use in Use:
        assert escape(use.label) in shown
    assert "On: everybody whose word it needs allows it." in shown
    assert shown.count("Off: you have not allowed it") == len(Use) - 1
    assert "no model learns from it" in shown


def test_a_use_is_offered_agreed_and_switched_off(
    noors: Client, rosa: User, party: Party, song: Recording, paper: agreements.Agreement
) -> None:
    address = reverse("rights:mine_on", args=[song.pk, GENERATIVE])
    assert "once the lab agrees, it is on" in noors.get(address).getvalue().decode()
    assert not Grant.objects.exists()
    noors.post(address, {"purposes": ["research"], "places": ["world"]})
    assert {one.right_type for one in Grant.objects.all()} == {"composition", "master"}
    assert word(song, party, GENERATIVE).word == Choice.OFFERED
    assert "offered, waiting for the lab" in page(noors, "rights:mine")
    for grant in Grant.objects.all():
        assert audit.history(grant).first().verb == "grant.offered"
        lifecycle.activate(grant, rosa)
    assert word(song, party, GENERATIVE).allowed
    off = reverse("rights:mine_off", args=[song.pk, GENERATIVE])
    assert "It cannot be undone" in noors.get(off).getvalue().decode()
    assert noors.post(off, {"reason": ""}).status_code == 422
    assert word(song, party, GENERATIVE).allowed
    confirm(noors, off, {"reason": "Changed my mind."})
    assert word(song, party, GENERATIVE).word == Choice.OFF
    assert Hold.objects.filter(recording=song, use=GENERATIVE).exists()


def test_distribution_asks_where_it_may_go(
    noors: Client, party: Party, song: Recording, paper: agreements.Agreement
) -> None:
    address = reverse("rights:mine_on", args=[song.pk, Use.DISTRIBUTE])
    scope = {"purposes": ["commercial"], "places": ["world"]}
    assert noors.post(address, scope).status_code == 422
    assert not Grant.objects.exists()
    noors.post(address, scope | {"channels": ["walled"]})
    assert {tuple(grant.channels) for grant in Grant.objects.all()} == {(Channel.WALLED.value,)}


def test_what_was_typed_stays_beside_a_refusal(
    noors: Client, song: Recording, paper: agreements.Agreement
) -> None:
    address = reverse("rights:mine_on", args=[song.pk, GENERATIVE])
    response = noors.post(
        address, {"purposes": ["internal"], "places": ["world"], "ends_on": "2020-01-01"}
    )
    assert response.status_code == 422
    shown = response.content.decode()
    assert "The end lies before the start." in shown
    assert 'value="2020-01-01"' in shown


def test_an_offer_without_an_agreement_says_what_is_missing(noors: Client, song: Recording) -> None:
    address = reverse("rights:mine_on", args=[song.pk, GENERATIVE])
    response = noors.post(address, {"purposes": ["research"], "places": ["world"]})
    assert "no running agreement" in response.content.decode()


def test_a_whole_catalogue_is_offered_and_ended_by_one_word(
    noors: Client, rosa: User, party: Party, song: Recording, paper: agreements.Agreement
) -> None:
    make_recording(rosa, party, title="Pepper")
    on = reverse("rights:mine_use_on", args=[party.pk, GENERATIVE])
    assert "2 recordings" in noors.get(on).getvalue().decode()
    noors.post(on, {"purposes": ["research"], "places": ["world"]})
    for grant in Grant.objects.all():
        assert grant.subject is None
        lifecycle.activate(grant, rosa)
    assert "On for your whole catalogue." in page(noors, "rights:mine_uses")
    # One is taken out, then all end; a single offer ends with them.
    confirm(noors, reverse("rights:mine_off", args=[song.pk, GENERATIVE]), {"reason": "Not this."})
    assert "without 1 recording you took out" in page(noors, "rights:mine_uses")
    noors.post(
        reverse("rights:mine_on", args=[song.pk, GENERATIVE]),
        {"purposes": ["research"], "places": ["world"]},
    )
    off = reverse("rights:mine_use_off", args=[party.pk, GENERATIVE])
    assert "1 recording\n" in noors.get(off).getvalue().decode()
    confirm(noors, off, {"reason": "No more."})
    assert set(Grant.objects.values_list("status", flat=True)) == {"withdrawn"}
    assert audit.history(party).first().verb == "party.use_ended"
    with pytest.raises(Refused, match="nothing is to end"):
        offers.end_everywhere(by=party.people.get(), party=party, use=GENERATIVE, reason="Again")


def test_the_way_out_stands_where_the_permissions_do(
    noors: Client, rosa: User, party: Party, song: Recording
) -> None:
    way_out = reverse("rights:party_leave", args=[party.pk])
    assert way_out not in page(noors, "rights:mine_uses")
    allow(rosa, party, GENERATIVE)
    assert way_out in page(noors, "rights:mine_uses")
    leave = page(noors, "rights:party_leave", party.pk)
    assert "would end" in leave
    assert "The lab reads it; other artists do not." in leave


def test_only_who_speaks_for_a_party_offers_and_ends_for_it(
    rosa: User, party: Party, song: Recording, paper: agreements.Agreement
) -> None:
    with pytest.raises(Refused, match="do not speak"):
        offers.offer(by=rosa, party=party, use=GENERATIVE, recording=song)
    with pytest.raises(Refused, match="do not speak"):
        offers.end_everywhere(by=rosa, party=party, use=GENERATIVE, reason="No")


def test_what_the_lab_asks_is_answered_with_yes_or_no(
    noors: Client, rosa: User, party: Party, song: Recording, paper: agreements.Agreement
) -> None:
    yes, no = (
        agreements.draft_grant(
            by=rosa, agreement=paper, right_type=right, use=Use.EVAL, recording=song
        )
        for right in (RightType.MASTER, RightType.COMPOSITION)
    )
    assert word(song, party, Use.EVAL).word == Choice.ASKED
    assert "2 requests by the lab" in page(noors, "rights:mine")
    assert "The lab asks you for this" in page(noors, "rights:mine_grant", yes.pk)
    noors.post(reverse("rights:mine_grant_approve", args=[yes.pk]))
    confirm(noors, reverse("rights:mine_grant_decline", args=[no.pk]), {"reason": "Not this one."})
    yes.refresh_from_db()
    no.refresh_from_db()
    assert (yes.status, no.status) == ("active", "withdrawn")
    assert word(song, party, Use.EVAL).part
    assert audit.history(no).first().verb == "grant.declined"


def test_an_offer_of_mine_is_taken_back_and_not_approved_by_my_own_side(
    noors: Client, rosa: User, party: Party, song: Recording, paper: agreements.Agreement
) -> None:
    partner = person("paul", "Paul Haddad", Role.RIGHTSHOLDER)
    party.people.add(partner)
    (grant, *_) = offers.offer(by=partner, party=party, use=Use.EVAL, recording=song)
    assert word(song, party, Use.EVAL).word == Choice.OFFERED
    noors.post(reverse("rights:mine_grant_approve", args=[grant.pk]))
    with pytest.raises(Refused, match="does not approve"):
        lifecycle.activate(grant, party.people.get(username="noor"))
    confirm(noors, reverse("rights:mine_grant_decline", args=[grant.pk]), {"reason": "Too early."})
    grant.refresh_from_db()
    assert grant.status == Grant.Status.WITHDRAWN
    assert grant.activated_at is None


def test_others_whose_word_is_missing_are_counted_and_named_only_if_on_my_sheet(
    noors: Client, rosa: User, party: Party
) -> None:
    beside = make_party(rosa, "Cora Beside")
    hidden = make_party(rosa, "Hidden Publisher")
    song = make_recording(rosa, party)
    sheet = splits.propose(by=rosa, subject=song, lines={party: 400_000, beside: 600_000})
    work = song.works.get()
    other = splits.propose(by=rosa, subject=work, lines={hidden: 1_000_000})
    for row in (sheet, other):
        for line in row.lines.all():
            splits.confirm(sheet=row, party=line.party, by=rosa)
    allow(rosa, party, Use.EVAL, rights=(RightType.MASTER,))
    found = word(song, party, Use.EVAL)
    assert (found.word, found.others) == (Choice.ON, 2)
    shown = page(noors, "rights:mine_recording", song.pk)
    assert "because 2 other holders have not allowed it" in shown
    assert "Cora Beside (60 % of the master" in shown
    assert "Another holder of the composition has not allowed it." in shown
    assert "Hidden Publisher" not in shown


def test_a_main_artist_without_a_share_gives_their_person_alone(
    rosa: User, noor: User, party: Party
) -> None:
    label = make_party(rosa, "The Label", kind="label")
    song = make_recording(rosa, label)
    catalogue.add_credit(by=rosa, party=party, role="MainArtist", subject=song)
    assert list(overview.repertoire([party])) == [song]
    assert Recording.objects.visible_to(noor).get() == song
    assert offers.rights_of(party, Use.VOICE, song) == [RightType.PERSONA]
    assert offers.rights_of(party, Use.EVAL, song) == []


def test_who_is_on_no_sheet_any_more_has_nothing_to_see(
    noors: Client, noor: User, rosa: User, party: Party
) -> None:
    other = make_party(rosa, "Other")
    song = make_recording(rosa, other)
    splits.propose(by=rosa, subject=song, lines={party: 1_000_000})
    assert Recording.objects.visible_to(noor).exists()
    splits.propose(by=rosa, subject=song, lines={other: 1_000_000})
    assert not Recording.objects.visible_to(noor).exists()
    assert not overview.repertoire([party]).exists()
    assert noors.get(reverse("rights:mine_recording", args=[song.pk])).status_code == 404


def test_a_split_is_confirmed_and_disputed_from_my_papers(
    noors: Client, rosa: User, party: Party
) -> None:
    song = make_recording(rosa, party, confirmed=False)
    assert "Splits that wait for your answer" in page(noors, "rights:mine_agreements")
    (sheet,) = song.splits.all()
    response = noors.post(reverse("rights:split_confirm", args=[sheet.pk, party.pk]))
    assert response.url == reverse("rights:mine_recording", args=[song.pk])
    assert sheet.lines.get().confirmed_at
    confirm(
        noors, reverse("rights:split_dispute", args=[sheet.pk, party.pk]), {"reason": "60, not 40"}
    )
    sheet.refresh_from_db()
    assert sheet.status == "disputed"


def count(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


@pytest.mark.parametrize("name", ["mine", "mine_uses", "mine_agreements", "mine_statements"])
def test_pages_take_the_same_number_of_queries_for_more_music(
    noors: Client, rosa: User, party: Party, song: Recording, name: str
) -> None:
    allow(rosa, party, Use.EVAL, GENERATIVE)
    allow(rosa, party, Use.CONDITION, recording=song)
    address = reverse(f"rights:{name}")
    count(noors, address)
    few = count(noors, address)
    for _ in range(4):
        row = make_recording(rosa, party)
        allow(rosa, party, Use.CONDITION, recording=row)
    # Of agreements there are more as well, one for each call above.
    assert count(noors, address) == few


def test_ten_thousand_recordings_are_paged_and_searched(
    noors: Client, rosa: User, party: Party, song: Recording
) -> None:
    rows = Recording.objects.bulk_create(
        Recording(title=f"Tune {number:05}", added_by=rosa) for number in range(10_000)
    )
    sheets = SplitSheet.objects.bulk_create(
        SplitSheet(recording=row, right_type="master", status="confirmed") for row in rows
    )
    SplitLine.objects.bulk_create(
        SplitLine(sheet=sheet, party=party, ppm=1_000_000) for sheet in sheets
    )
    shown = page(noors, "rights:mine")
    assert "10,001 recordings" in shown
    assert shown.count("<tr>") <= 26
    assert "Tune 04321" in page(noors, "rights:mine", q="04321")


def test_a_log_in_that_speaks_for_nobody_is_told_so(noors: Client) -> None:
    for name in (
        "rights:mine",
        "rights:mine_uses",
        "rights:mine_statements",
        "rights:mine_agreements",
    ):
        page(noors, name)
    assert "speaks for no artist" in page(noors, "rights:mine")
    assert json.loads(noors.get(reverse("rights:mine_everything")).getvalue())["grants"] == []


def test_a_permission_that_the_lab_paused_is_off(rosa: User, party: Party, song: Recording) -> None:
    for grant in allow(rosa, party, Use.EVAL):
        lifecycle.suspend(grant, second_admin(), "Looked into.")
    assert word(song, party, Use.EVAL).word == Choice.PAUSED


def test_every_kind_of_descendant_has_plain_words() -> None:
    for kind in descendants.kinds():
        one = plain_language.consequence(kind.name, 1, stays=False)
        assert one != plain_language.consequence(kind.name, 2, stays=False)
        assert one.startswith(plain_language.consequence(kind.name, 1, stays=True))


def test_what_is_on_is_said_once_for_all_and_a_difference_beside_its_recording(
    noors: Client, rosa: User, party: Party, song: Recording
) -> None:
    other = make_recording(rosa, party, title="Second")
    allow(rosa, party, Use.EVAL)
    lifecycle.opt_out(other, Use.EVAL, party, rosa, "Not this one.")
    make_recording(rosa, party, title="Third")
    shown = " ".join(page(noors, "rights:mine").split())
    above, table = shown.split("<table", 1)
    assert Use.EVAL.label in above
    assert table.count(Use.EVAL.label) == 1
    assert f"{Use.EVAL.label}: " in table.split(f">{other.title}</a>")[1].split("</tr>")[0]
