"""Agreements and grants in the browser's terms: whole scopes, four eyes, versions, and ends."""

from datetime import date

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from portal import audit
from portal.models import User
from rights.consent import consent
from rights.errors import Refused
from rights.grants import agreements, lifecycle, terms
from rights.models import Agreement, Grant, Party, Purpose, RightType, Use
from tests.catalogue import allow, make_party, make_recording, opens, second_admin
from tests.confirming import confirm

pytestmark = pytest.mark.django_db

WIDE = {"purposes": ["research"], "territories": "The world"}


@pytest.fixture
def party(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Mira Sol", people=[noor])


@pytest.fixture
def agreement(rosa: User, party: Party) -> Agreement:
    return agreements.sign(
        by=rosa, counterparty=party, title="Participation", signed_on=date(2026, 1, 1)
    )


@pytest.fixture
def offer(rosa: User, agreement: Agreement) -> Grant:
    return agreements.draft_grant(
        by=rosa, agreement=agreement, right_type=RightType.MASTER, use=Use.TRAIN_GENERATIVE
    )


def address(name: str, *args: object) -> str:
    return reverse(f"rights:{name}", args=args)


def test_the_policy_and_the_days_of_a_withdrawal_are_fixed_with_the_signature(
    client: Client, rosa: User, party: Party
) -> None:
    client.force_login(rosa)
    page = client.get(address("agreement_new"), {"party": party.pk}).content.decode()
    assert f"Mira Sol #{party.pk}" in page
    assert "Stop, recall samples, retrain without it or retire" in page
    given = {"counterparty": "mira sol", "title": "Yes", "signed_on": "2026-01-01"}
    wrong = client.post(address("agreement_new"), given | {"remedy_days": "0"})
    assert wrong.context["form"].errors["remedy_days"]
    assert b"mira sol" in wrong.content
    paper = SimpleUploadedFile("p.pdf", b"%PDF-1.7 signed")
    client.post(
        address("agreement_new"),
        given | {"withdrawal_policy": "next_version", "remedy_days": "30", "document": paper},
    )
    made = Agreement.objects.get()
    assert (made.withdrawal_policy, made.remedy_days) == ("next_version", 30)
    shown = client.get(made.get_absolute_url()).content.decode()
    assert "within 30\n      days" in shown
    (grant, *_) = [agreements.draft_grant(by=rosa, agreement=made, right_type="master", use="eval")]
    assert (grant.withdrawal_policy, grant.remedy_days) == ("next_version", 30)


def test_a_grant_is_drafted_with_its_whole_scope(
    client: Client, rosa: User, agreement: Agreement
) -> None:
    client.force_login(rosa)
    client.post(
        address("grant_new"),
        {
            "agreement": agreement.pk,
            "uses": ["train.generative", "distribute"],
            "rights": ["master"],
            "purposes": ["research", "commercial"],
            "territories": "Germany, fr",
            "model_family": "first-light",
            "first_version": "2",
            "last_version": "3",
            "products": "Tape, Reel",
            "channels": ["walled"],
            "condition": "",
            "ends_on": "2030-12-31",
        },
    )
    learn, spread = Grant.objects.order_by("-use")
    for grant in (learn, spread):
        assert grant.territories == ["DE", "FR"]
        assert (grant.first_version, grant.last_version) == (2, 3)
        assert grant.products == ["Tape", "Reel"]
    # Channels are asked for distribution, and kept for nothing else.
    assert (learn.use, learn.channels) == ("train.generative", [])
    assert (spread.use, spread.channels) == ("distribute", ["walled"])
    shown = client.get(spread.get_absolute_url()).content.decode()
    for words in ("Germany, France", "2 to 3", "Tape, Reel", "Inside the lab"):
        assert words in shown


@pytest.mark.parametrize(
    ("field", "given", "words"),
    [
        ("territories", "Atlantis", "no country of the list"),
        ("last_version", "1", "lies before the first"),
        ("agreement", "No such paper", "There is no agreement"),
        ("recording", "#99999", "There is no recording"),
        ("ends_on", "2020-01-01", "before the start"),
        ("uses", [], "required"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field_and_nothing_typed_is_lost(
    client: Client, *, rosa: User, agreement: Agreement, field: str, given: object, words: str
) -> None:
    client.force_login(rosa)
    data = {"agreement": agreement.pk, "uses": ["eval"], "rights": ["master"], "first_version": "2"}
    data |= WIDE | {"condition": "Approved by the band", field: given}
    response = client.post(address("grant_new"), data)
    assert words in " ".join(response.context["form"].errors[field])
    assert "Approved by the band" in response.content.decode()
    assert not Grant.objects.exists()


def test_distribution_needs_a_channel(client: Client, rosa: User, agreement: Agreement) -> None:
    client.force_login(rosa)
    data = {"agreement": agreement.pk, "uses": ["distribute"], "rights": ["master"]} | WIDE
    response = client.post(address("grant_new"), data)
    assert "at least one channel" in response.context["form"].errors["channels"][0]


def test_a_name_that_several_have_is_refused_with_their_numbers(
    client: Client, rosa: User, party: Party, agreement: Agreement
) -> None:
    songs = [make_recording(rosa, party, title="Relay") for _ in range(2)]
    client.force_login(rosa)
    data = {"agreement": agreement.pk, "uses": ["eval"], "rights": ["master"]} | WIDE
    response = client.post(address("grant_new"), data | {"recording": "relay"})
    (error,) = response.context["form"].errors["recording"]
    assert all(f"Relay #{song.pk}" in error for song in songs)
    client.post(address("grant_new"), data | {"recording": f"Relay #{songs[1].pk}"})
    assert Grant.objects.get().recording == songs[1]


def test_nonsense_in_addresses_and_fields_is_no_error(
    client: Client, rosa: User, agreement: Agreement
) -> None:
    client.force_login(rosa)
    huge = "9" * 40
    for name, query in (
        ("waiting", {"agreement": huge}),
        ("grants", {"party": huge}),
        ("grant_new", {"like": huge, "agreement": huge}),
        ("decisions", {"recording": huge}),
    ):
        assert client.get(address(name), query).status_code == 200, name
    assert client.get(address("find", "work"), {"q": "%" * 7_000}).status_code == 200
    assert client.get(address("find", "work"), {"q": "a\0" + "%" * 60_000}).status_code == 400
    assert client.post(address("grants_approve"), {"grant": [huge, "²"]}).status_code == 302
    data = {"agreement": f"#{huge}", "uses": ["eval"], "rights": ["master"]} | WIDE
    response = client.post(address("grant_new"), data | {"recording": "x" * 6_000})
    assert "longer than any name" in response.context["form"].errors["recording"][0]
    assert response.context["form"].errors["agreement"]


def test_suggestions_are_for_those_who_enter_papers(
    client: Client, rosa: User, ada: User, party: Party
) -> None:
    client.force_login(rosa)
    found = client.get(address("find", "party"), {"counterparty": "sol"}).content.decode()
    assert f"Mira Sol #{party.pk}" in found
    assert client.get(address("find", "user"), {"q": "r"}).status_code == 404
    client.force_login(ada)
    assert client.get(address("find", "party"), {"q": "sol"}).status_code == 404


def test_who_drafted_sees_who_else_can_approve(client: Client, rosa: User, offer: Grant) -> None:
    ivo = second_admin()
    client.force_login(rosa)
    page = client.get(address("waiting")).content.decode()
    assert "you;" in page
    assert "Ivo" in page
    assert 'name="grant"' not in page
    assert "You drafted it" in client.get(offer.get_absolute_url()).content.decode()
    client.force_login(ivo)
    assert 'name="grant"' in client.get(address("waiting")).content.decode()


def test_many_are_approved_at_once_and_each_refusal_is_told(
    client: Client, rosa: User, agreement: Agreement, offer: Grant
) -> None:
    ivo = second_admin()
    second = agreements.draft_grant(
        by=rosa, agreement=agreement, right_type="composition", use="train.generative"
    )
    own = agreements.draft_grant(by=ivo, agreement=agreement, right_type="master", use="eval")
    client.force_login(ivo)
    chosen = {"grant": [offer.pk, second.pk, own.pk, 10**9, "x"]}
    page = client.post(address("grants_approve"), chosen, follow=True).content.decode()
    assert "2 in force." in page
    assert "Mira Sol, Evaluation and listening tests: Who drafts a grant" in page
    states = {grant.pk: grant.status for grant in Grant.objects.all()}
    assert states == {offer.pk: "active", second.pk: "active", own.pk: "offered"}


def test_an_offer_is_declined_with_a_reason_and_never_comes_into_force(
    client: Client, rosa: User, ada: User, offer: Grant
) -> None:
    client.force_login(rosa)
    client.post(address("grant_decline", offer.pk), {"reason": ""})
    offer.refresh_from_db()
    assert offer.status == Grant.Status.OFFERED
    confirm(client, address("grant_decline", offer.pk), {"reason": "Signed by mistake."})
    offer.refresh_from_db()
    assert offer.state_in_words == "Declined"
    assert audit.history(offer)[0].verb == "grant.declined"
    page = client.get(offer.get_absolute_url()).content.decode()
    assert "Signed by mistake." in page
    assert "never revives" in page
    with pytest.raises(Refused, match="never revive"):
        lifecycle.activate(offer, second_admin())
    with pytest.raises(Refused, match="Only an offer"):
        lifecycle.decline(offer, rosa, "Twice.")
    with pytest.raises(Refused, match="do not speak"):
        lifecycle.decline(offer, ada, "Not mine.")


def test_a_suspended_grant_permits_nothing_until_it_is_resumed(
    client: Client, rosa: User, party: Party
) -> None:
    song = make_recording(rosa, party)
    (grant, _) = allow(rosa, party, Use.EVAL)
    here = consent.Context(Purpose.RESEARCH, "world", "backline")
    client.force_login(rosa)
    confirm(client, address("grant_suspend", grant.pk), {"reason": "A question is open."})
    assert not consent.evaluate([song], Use.EVAL, here).allowed
    assert "A question is open." in client.get(grant.get_absolute_url()).content.decode()
    confirm(client, address("grant_resume", grant.pk), {"reason": "Answered."})
    assert consent.evaluate([song], Use.EVAL, here).allowed
    again = client.post(address("grant_resume", grant.pk), {"reason": "Twice."})
    assert "not suspended" in again.content.decode()


def change_of(grant: Grant, **other: object) -> dict[str, object]:
    return {"purposes": grant.purposes, "territories": "The world"} | other


def test_a_change_is_shown_in_words_before_it_is_a_version(
    client: Client, rosa: User, party: Party
) -> None:
    (grant, _) = allow(rosa, party, Use.TRAIN_GENERATIVE)
    client.force_login(rosa)
    assert "The next version" in client.get(address("grant_change", grant.pk)).content.decode()
    wider = change_of(grant, purposes=["research", "commercial"], last_version="4")
    before = audit.history(grant).count()
    look = client.post(address("grant_change_look", grant.pk), wider)
    told = {one.name: (one.old, one.new) for one in look.context["changed"]}
    assert told == {
        "Purposes": ("Research", "Research, Commercial products"),
        "Model versions": ("every version", "up to 4"),
    }
    # Looking keeps nothing: no row, no audit line.
    assert Grant.objects.filter(replaces=grant).count() == 0
    assert audit.history(grant).count() == before
    client.post(address("grant_change", grant.pk), wider)
    drafted = Grant.objects.get(replaces=grant)
    assert (drafted.version, drafted.last_version) == (2, 4)
    assert [one.version for one in terms.chain(drafted)] == [1, 2]
    second = client.post(address("grant_change", grant.pk), wider).content.decode()
    assert "Version 2 is drafted already" in second

    lifecycle.activate(drafted, second_admin())
    grant.refresh_from_db()
    assert grant.status == Grant.Status.SUPERSEDED
    page = client.get(grant.get_absolute_url()).content.decode()
    assert "Version 2 took its place." in page
    assert drafted.get_absolute_url() in page
    late = client.post(address("grant_change_look", grant.pk), wider).content.decode()
    assert "Ended grants never revive" in late


def test_a_refused_change_is_said_before_it_is_drafted(
    client: Client, rosa: User, party: Party
) -> None:
    (grant, _) = allow(rosa, party, Use.TRAIN_GENERATIVE)
    client.force_login(rosa)
    look = client.post(
        address("grant_change_look", grant.pk),
        change_of(grant, first_version="5", last_version="2", condition="If asked"),
    )
    assert "lies before the first" in look.context["form"].errors["last_version"][0]
    assert "If asked" in look.content.decode()


def test_a_declined_version_makes_room_for_another(rosa: User, party: Party) -> None:
    (grant, _) = allow(rosa, party, Use.TRAIN_GENERATIVE)
    first = agreements.change(grant, by=rosa, last_version=2)
    lifecycle.decline(first, second_admin(), "Too narrow.")
    other = agreements.change(grant, by=rosa, last_version=4)
    assert other.version == 3
    assert [one.pk for one in terms.chain(grant)] == [grant.pk, first.pk, other.pk]


def test_a_withdrawal_takes_the_drafted_next_version_with_it(rosa: User, party: Party) -> None:
    (grant, _) = allow(rosa, party, Use.TRAIN_GENERATIVE)
    drafted = agreements.change(grant, by=rosa, last_version=2)
    lifecycle.withdraw(grant, rosa, "A change of mind.")
    drafted.refresh_from_db()
    assert drafted.status == Grant.Status.WITHDRAWN
    with pytest.raises(Refused, match="never revive"):
        lifecycle.activate(drafted, second_admin())


def test_an_ended_grant_can_be_copied_into_a_new_draft(
    client: Client, rosa: User, party: Party
) -> None:
    (grant, _) = allow(rosa, party, Use.TRAIN_GENERATIVE, territories=["DE"], last_version=2)
    lifecycle.withdraw(grant, rosa, "Over.")
    client.force_login(rosa)
    form = client.get(address("grant_new"), {"like": grant.pk}).context["form"]
    assert form["territories"].value() == "Germany"
    assert form["uses"].value() == ["train.generative"]
    assert form["last_version"].value() == 2


def test_acts_on_grants_are_for_rights_admins(
    client: Client, *, rosa: User, noor: User, ada: User, olga: User, offer: Grant
) -> None:
    acts = ("grant_activate", "grant_suspend", "grant_resume", "grant_change", "grant_change_look")
    for user in (noor, ada, olga):
        client.force_login(user)
        for name in acts:
            assert client.post(address(name, offer.pk), {"reason": "x"}).status_code == 404, name
        assert client.post(address("grants_approve"), {"grant": offer.pk}).status_code == 404
    # The grantor's own no is heard; a stranger's is not.
    lone = make_party(rosa)
    foreign = allow(rosa, lone, Use.EVAL)[0]
    client.force_login(noor)
    assert client.get(address("grant_decline", foreign.pk)).status_code == 404
    assert opens(client.get(address("grant_decline", offer.pk)))
