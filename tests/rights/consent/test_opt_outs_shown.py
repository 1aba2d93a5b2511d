"""Who is shown which opt-out on the page of a grant: an agent what keeps music out of its own."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal.models import Role, User
from rights.catalogue import catalogue
from rights.consent import opt_outs
from rights.grants import agreements, lifecycle
from rights.models import Grant, Mandate, OptOut, Party, Recording, RightType, Use, WithdrawalCase
from rights.parties import parties, splits
from tests.catalogue import allow, make_party, make_recording, second_admin
from tests.conftest import person

pytestmark = pytest.mark.django_db


@pytest.fixture
def writer(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Ines Faro", people=[noor])


@pytest.fixture
def max_(db: None) -> User:
    return person("max", "Max", Role.RIGHTSHOLDER)


@pytest.fixture
def publisher(rosa: User, max_: User) -> Party:
    return make_party(rosa, "Lantern Publishing", kind=Party.Kind.PUBLISHER, people=[max_])


def signs(rosa: User, writer: Party, publisher: Party, **terms: Any) -> Mandate:
    """The publisher signs for the writer's compositions."""
    row = parties.enter_mandate(
        by=rosa, holder=writer, agent=publisher, right_types=["composition"], **terms
    )
    return parties.approve_mandate(row, second_admin())


@dataclass
class Papers:
    """The publisher's grant, and a song of the writer's that a no keeps out of it."""

    grant: Grant
    song: Recording
    mandate: Mandate


@pytest.fixture
def papers(rosa: User, noor: User, writer: Party, publisher: Party) -> Papers:
    song = make_recording(rosa, writer, title="Tidal")
    mandate = signs(rosa, writer, publisher)
    (grant,) = allow(rosa, publisher, Use.EVAL, rights=(RightType.COMPOSITION,))
    lifecycle.opt_out(song, Use.EVAL, writer, noor, "A private reason.")
    return Papers(grant, song, mandate)


def shown(client: Client, user: User, row: Model, name: str = "rights:mine_grant") -> str:
    client.force_login(user)
    response = client.get(reverse(name, args=[row.pk]))
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_an_agent_sees_what_a_holder_took_out_and_not_why(
    client: Client, max_: User, papers: Papers
) -> None:
    page = shown(client, max_, papers.grant)
    assert "Tidal" in page
    assert "Ines Faro opted it out, so you do not allow it for their share" in page
    assert "A private reason." not in page
    assert '<td data-label="By">another holder</td>' in page


def test_an_agent_reads_for_whom_else_its_yes_speaks(
    client: Client, rosa: User, max_: User, publisher: Party, papers: Papers
) -> None:
    words = "the share of Ines Faro, in the whole world"
    assert words in shown(client, max_, papers.grant)
    (master,) = allow(rosa, publisher, Use.EVAL, rights=(RightType.MASTER,))
    assert words not in shown(client, max_, master)
    assert "speaks for Ines Faro too" in client.get(reverse("rights:mine")).text
    parties.end_mandate(papers.mandate, rosa, "Over.")
    assert words not in shown(client, max_, papers.grant)
    assert "speaks for Ines Faro too" not in client.get(reverse("rights:mine")).text


def test_a_holder_reads_what_an_agent_allows_for_them(
    client: Client, rosa: User, noor: User, writer: Party, papers: Papers
) -> None:
    other = make_recording(rosa, writer, title="Ebb")
    signed = "Composition: in force, signed for you by Lantern Publishing"
    page = shown(client, noor, other, "rights:mine_recording")
    assert signed in page
    assert "Allowed for a part of the rights you hold" in page
    assert "You allow it" not in page
    whole = client.get(reverse("rights:mine_uses")).text
    assert signed in whole
    assert "On for a part of your rights only" in whole
    allow(rosa, writer, Use.EVAL, rights=(RightType.MASTER,))
    assert "On for your whole catalogue" in client.get(reverse("rights:mine_uses")).text


def test_what_was_done_to_a_grant_is_told_in_words(
    client: Client, max_: User, papers: Papers
) -> None:
    page = shown(client, max_, papers.grant)
    assert "A recording taken out" in page
    assert "hold: placed" not in page


def test_the_case_of_an_agent_does_not_tell_what_a_holder_said_to_the_lab(
    client: Client, max_: User, papers: Papers
) -> None:
    case = WithdrawalCase.objects.get(grant=papers.grant)
    assert case.party == papers.grant.grantor
    page = shown(client, max_, case, "rights:case")
    assert "Ines Faro opted “Tidal” out." in page
    told = client.get(reverse("rights:mine_everything")).getvalue().decode()
    assert "opted “Tidal” out" in told
    for text in (page, told):
        assert "A private reason." not in text


def test_the_lab_sees_who_took_it_out_and_why(client: Client, rosa: User, papers: Papers) -> None:
    page = shown(client, rosa, papers.grant, "rights:grant")
    assert "for the share of Ines Faro, who opted out" in page
    assert "A private reason." in page


def test_nobody_else_sees_it(
    client: Client, *, rosa: User, ada: User, noor: User, lou: User, papers: Papers
) -> None:
    """Neither on the publisher's page nor on one of their own."""
    lou.roles = [Role.RIGHTSHOLDER]
    lou.save()
    stranger = make_party(rosa, "Stranger", people=[lou])
    make_recording(rosa, stranger)
    (own,) = allow(rosa, stranger, Use.EVAL, rights=(RightType.COMPOSITION,))
    assert "Taken out of it" not in shown(client, lou, own)
    for user in (lou, noor, ada):
        client.force_login(user)
        for name in ("rights:mine_grant", "rights:grant"):
            assert client.get(reverse(name, args=[papers.grant.pk])).status_code == 404


def test_an_agent_sees_nothing_that_its_grant_does_not_speak_for(
    client: Client, *, rosa: User, max_: User, writer: Party, papers: Papers
) -> None:
    stranger = make_party(rosa, "Stranger")
    # The writer has no part in its composition, for which alone the publisher signs.
    master = make_recording(rosa, writer, title="Only the master")
    sheet = splits.propose(by=rosa, subject=master.works.get(), lines={stranger: 1_000_000})
    splits.confirm(sheet=sheet, party=stranger, by=rosa)
    others = make_recording(rosa, stranger, title="Somebody else's")
    another_use = make_recording(rosa, writer, title="Of another use")
    for recording, party, use in (
        (master, writer, Use.EVAL),
        (others, stranger, Use.EVAL),
        (master, stranger, Use.EVAL),
        (another_use, writer, Use.VOICE),
    ):
        lifecycle.opt_out(recording, use, party, rosa, "No.")
    seen = opt_outs.keeping_out_of(papers.grant)
    assert [(row.party, row.recording) for row in seen] == [(writer, papers.song)]
    page = shown(client, max_, papers.grant)
    for hidden in ("Only the master", "Somebody else", "Of another use", "Stranger"):
        assert hidden not in page


def test_a_grant_of_one_work_speaks_for_its_shares_alone(rosa: User, papers: Papers) -> None:
    """Of two works in the song the holder has a part in the first."""
    other = catalogue.add_work(by=rosa, title="Quoted")
    catalogue.attach_work(by=rosa, recording=papers.song, work=other)
    agreement = papers.grant.agreement
    first, second = (
        agreements.draft_grant(
            by=rosa, agreement=agreement, right_type="composition", use=Use.EVAL, work=work
        )
        for work in papers.song.works.order_by("pk")
    )
    assert [row.recording for row in opt_outs.keeping_out_of(first)] == [papers.song]
    assert not opt_outs.keeping_out_of(second).exists()


@pytest.mark.parametrize("how", ["revoked", "over", "not begun", "elsewhere", "not approved"])
def test_without_a_mandate_in_force_an_agent_sees_nothing(how: str, papers: Papers) -> None:
    today, moment_of = timezone.now().date(), timezone.now()
    changed: dict[str, dict[str, Any]] = {
        "revoked": {"revoked_at": moment_of},
        "over": {"starts_on": today - timedelta(days=2), "ends_on": today - timedelta(days=1)},
        "not begun": {"starts_on": today + timedelta(days=1)},
        "elsewhere": {"territories": ["FR"]},
        "not approved": {"approved_at": None},
    }
    Grant.objects.update(territories=["SE"])
    papers.grant.refresh_from_db()
    assert opt_outs.keeping_out_of(papers.grant).exists()
    Mandate.objects.update(**changed[how])
    assert not opt_outs.keeping_out_of(papers.grant).exists()


def test_of_an_ended_grant_an_agent_sees_its_own_noes_alone(
    rosa: User, publisher: Party, papers: Papers
) -> None:
    sheet = splits.propose(
        by=rosa, subject=papers.song.works.get(), lines=dict.fromkeys(
            (publisher, papers.mandate.holder), 500_000
        ),
    )  # fmt: skip
    assert sheet.lines.count() == 2
    lifecycle.opt_out(papers.song, Use.EVAL, publisher, rosa, "Nor we.")
    lifecycle.withdraw(papers.grant, rosa, "Over.")
    assert [row.party for row in opt_outs.keeping_out_of(papers.grant)] == [publisher]


def test_a_recording_stands_once_on_the_page_however_often_it_was_refused(
    rosa: User, writer: Party, papers: Papers
) -> None:
    allow(rosa, writer, Use.EVAL, recording=papers.song)
    lifecycle.opt_out(papers.song, Use.EVAL, writer, rosa, "No, after all.")
    (row,) = opt_outs.keeping_out_of(papers.grant)
    assert row.reason == "No, after all."
    assert OptOut.objects.count() == 2
