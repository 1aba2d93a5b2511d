"""The list of grants: by party, a line for each use, those that permit something first."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from portal.models import User
from rights.grants import lifecycle, listing
from rights.models import Grant, Party, RightType, Use
from tests.catalogue import allow, make_party, make_recording

pytestmark = pytest.mark.django_db


@pytest.fixture
def mira(rosa: User) -> Party:
    party = make_party(rosa, "Mira Solberg")
    allow(rosa, party, Use.EVAL, Use.TRAIN_GENERATIVE)
    return party


@pytest.fixture
def tomas(rosa: User) -> Party:
    party = make_party(rosa, "Tomás Aranda")
    allow(rosa, party, Use.EVAL)
    return party


def shown(client: Client, by: User, **query: object) -> str:
    client.force_login(by)
    response = client.get(reverse("rights:grants"), query)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def groups(rows: list[Grant]) -> list[listing.PartyGrants]:
    every = listing.in_order(Grant.objects.filter(pk__in=[row.pk for row in rows]))
    return listing.by_party(every, every)


def test_a_party_stands_once_with_a_line_for_each_use(mira: Party, tomas: Party) -> None:
    found = groups(list(Grant.objects.all()))
    assert [group.party for group in found] == [mira, tomas]
    assert [line.grant.use for line in found[0].lines] == [Use.EVAL, Use.TRAIN_GENERATIVE]
    assert {grant.right_type for grant in found[0].lines[0].grants} == {
        RightType.COMPOSITION, RightType.MASTER,
    }  # fmt: skip


def test_grants_with_other_terms_are_lines_of_their_own(mira: Party) -> None:
    Grant.objects.filter(use=Use.EVAL, right_type=RightType.MASTER).update(territories=["DE"])
    found = groups(list(Grant.objects.filter(use=Use.EVAL)))
    assert [len(line.grants) for line in found[0].lines] == [1, 1]


def test_what_is_counted_of_a_party_is_on_all_pages(mira: Party) -> None:
    rows = Grant.objects.filter(grantor=mira)
    found = listing.by_party(listing.in_order(rows)[:1], rows)
    assert found[0].counts == [("in force", 4)]


def test_the_ended_are_behind_a_filter_with_their_number(
    client: Client, rosa: User, mira: Party
) -> None:
    for grant in Grant.objects.filter(use=Use.EVAL):
        lifecycle.withdraw(grant=grant, by=rosa, reason="Not any more.")
    page = shown(client, rosa)
    assert '2 grants in force or waiting; <a href="?status=ended">2 ended</a>.' in page
    assert "Evaluation and listening tests</td>" not in page
    page = shown(client, rosa, status="ended")
    assert "Evaluation and listening tests</td>" in page
    assert "Training of generative models</td>" not in page


@pytest.mark.parametrize(
    ("query", "parties"),
    [
        ({}, {"Mira Solberg", "Tomás Aranda"}),
        ({"q": "solberg mira"}, {"Mira Solberg"}),
        ({"q": "nobody"}, set()),
        ({"use": Use.TRAIN_GENERATIVE.value}, {"Mira Solberg"}),
        ({"right": "persona"}, set()),
        ({"status": "suspended"}, set()),
        ({"status": "all", "right": "master"}, {"Mira Solberg", "Tomás Aranda"}),
        ({"status": "no such", "use": "no such", "right": "no such"},
         {"Mira Solberg", "Tomás Aranda"}),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("mira", "tomas")
def test_the_list_is_filtered(
    client: Client, rosa: User, query: dict[str, str], parties: set[str]
) -> None:
    page = shown(client, rosa, **query)
    assert set(re.findall(r"<summary> <strong>(.*?)</strong>", page)) == parties


def test_one_party_s_or_agreement_s_are_shown_with_a_way_back(
    client: Client, rosa: User, mira: Party, tomas: Party
) -> None:
    page = shown(client, rosa, party=mira.pk, use="eval")
    assert f"<strong>{tomas}</strong>" not in page
    assert '<a class="chip" href="?use=eval">Mira Solberg' in page
    # The next search keeps to it.
    assert f'<input type="hidden" name="party" value="{mira.pk}">' in page
    agreement = tomas.grants.all()[0].agreement
    page = shown(client, rosa, agreement=agreement.pk)
    assert f"<strong>{mira}</strong>" not in page


def test_filters_survive_the_next_page(client: Client, rosa: User, mira: Party) -> None:
    grant = Grant.objects.filter(use=Use.EVAL)[0]
    Grant.objects.bulk_create(
        Grant(
            agreement=grant.agreement, grantor=mira, right_type=grant.right_type, use=grant.use,
            starts_on=grant.starts_on, status=grant.status, drafted_by=rosa, remedy_days=day,
        )
        for day in range(120)
    )  # fmt: skip
    page = shown(client, rosa, use="eval", q="mira")
    assert '<a href="?use=eval&amp;q=mira&amp;page=2" rel="next">Next</a>' in page
    assert "122 in force" in page
    page = shown(client, rosa, use="eval", q="mira", page=2)
    assert "<strong>Mira Solberg</strong>" in page


def test_a_state_has_one_word_in_the_filter_the_count_and_the_row(
    client: Client, rosa: User, mira: Party
) -> None:
    Grant.objects.filter(use=Use.EVAL).update(status=Grant.Status.OFFERED)
    page = shown(client, rosa)
    assert '<option value="active">in force</option>' in page
    assert '<option value="offered">offered</option>' in page
    assert "2 offered, 2 in force</span>" in page
    assert '<span class="state" data-state="active">In force</span>' in page
    assert '<span class="state" data-state="offered">Offered</span>' in page


def test_a_grant_for_one_song_is_found_by_its_title_and_a_wide_one_is_not(
    client: Client, rosa: User, mira: Party, tomas: Party
) -> None:
    song = make_recording(rosa, mira)
    Grant.objects.filter(grantor=mira, use=Use.EVAL).update(recording=song)
    page = shown(client, rosa, q=song.title)
    assert "Evaluation and listening tests</td>" in page
    assert "Training of generative models</td>" not in page
    note = "A grant for a whole catalogue is not found by the title of a recording or work"
    assert note in page
    assert note not in shown(client, rosa)
