"""Decisions: asked for any moment, kept for good, and made anew to the same bytes."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from portal import audit
from portal.models import User
from rights.catalogue import catalogue
from rights.consent import consent, decisions
from rights.grants import agreements, lifecycle
from rights.models import Decision, DecisionLine, Grant, Party, Purpose, Recording, RightType, Use
from rights.parties import parties, splits
from tests.catalogue import allow, make_party, make_recording, second_admin

pytestmark = pytest.mark.django_db

HERE = consent.Context(Purpose.RESEARCH, "world", "backline")


@pytest.fixture
def publisher(rosa: User) -> Party:
    return make_party(rosa, "Lantern Publishing", kind=Party.Kind.PUBLISHER)


@pytest.fixture
def writer(rosa: User, publisher: Party) -> Party:
    """Signs for her master; her publisher signs for her compositions."""
    made = make_party(rosa, "Ines Faro")
    row = parties.enter_mandate(by=rosa, holder=made, agent=publisher, right_types=["composition"])
    parties.approve_mandate(row, second_admin())
    allow(rosa, made, Use.EVAL, rights=(RightType.MASTER,))
    allow(rosa, publisher, Use.EVAL, rights=(RightType.COMPOSITION,))
    return made


@pytest.fixture
def songs(rosa: User, writer: Party) -> list[Recording]:
    """Two that are allowed, and one whose split nobody has confirmed."""
    whole = [make_recording(rosa, writer, title=title) for title in ("Tidal", "Estuary")]
    return [*whole, make_recording(rosa, writer, title="Open", confirmed=False)]


def change_everything(rosa: User, songs: list[Recording], writer: Party, publisher: Party) -> None:
    """Whatever can happen later to what a decision rested on."""
    ivo = second_admin()
    mandate = writer.mandates_given.get()
    wider = Grant.objects.get(grantor=writer)
    lifecycle.activate(agreements.change(wider, by=rosa, purposes=["commercial"]), ivo)
    allow(rosa, writer, Use.EVAL, recording=songs[0])
    lifecycle.opt_out(songs[1], Use.EVAL, publisher, rosa, "Not this one.")
    lifecycle.withdraw(Grant.objects.get(grantor=publisher), rosa, "No more.")
    parties.end_mandate(mandate, rosa, "She signs herself.")
    parties.update_party(by=rosa, party=writer, name="Inês F.", kind="person")
    halves = {writer: 500_000, publisher: 500_000}
    sheet = splits.propose(by=rosa, subject=songs[0], lines=halves)
    splits.dispute(sheet=sheet, party=publisher, by=rosa, reason="Too little.")
    (late,) = songs[2].splits.all()
    splits.confirm(sheet=late, party=writer, by=rosa)
    catalogue.attach_work(
        by=rosa, recording=songs[1], work=catalogue.add_work(by=rosa, title="A quotation")
    )


def test_a_replay_gives_the_same_bytes_after_everything_has_changed(
    client: Client,
    *,
    ada: User,
    rosa: User,
    songs: list[Recording],
    writer: Party,
    publisher: Party,
) -> None:
    decision = consent.check(songs, Use.EVAL, HERE, by=ada)
    kept = consent.replay(decision).canonical()
    assert [line.allowed for line in decision.lines.order_by("pk")] == [True, True, False]
    change_everything(rosa, songs, writer, publisher)
    assert not any(line.allowed for line in consent.evaluate(songs, Use.EVAL, HERE).values())

    assert consent.replay(decision).canonical() == kept
    client.force_login(ada)
    page = client.post(reverse("rights:decision_replay", args=[decision.pk])).content.decode()
    assert "The same bytes:" in page
    assert f"sha256 {decision.output_digest}" in page
    answer = client.post(f"/api/v1/rights/decisions/{decision.pk}/replay").json()
    assert answer["same"] is True
    assert answer["output_digest"] == answer["kept_output_digest"] == decision.output_digest
    assert answer["input_digest"] == decision.input_digest
    # Replaying is a read: no decision and no audit line more.
    assert Decision.objects.count() == 1
    assert audit.history(decision).count() == 1


def tamper(table: str, column: str, value: str, pk: int) -> None:
    """Behind the back of all verbs, as somebody at the database would."""
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [value, pk])  # noqa: S608


def test_a_changed_past_is_told_recording_by_recording(
    client: Client, ada: User, songs: list[Recording], publisher: Party
) -> None:
    decision = consent.check(songs, Use.EVAL, HERE, by=ada)
    grant = Grant.objects.get(grantor=publisher)
    tamper("rights_grant", "purposes", '["commercial"]', grant.pk)
    client.force_login(ada)
    page = client.post(reverse("rights:decision_replay", args=[decision.pk])).content.decode()
    assert "Not the same." in page
    assert page.count("allowed then,\n                denied now") == 2
    answer = client.post(f"/api/v1/rights/decisions/{decision.pk}/replay").json()
    assert answer["same"] is False
    told = {one["recording_id"]: (one["kept"], one["now"]) for one in answer["differences"]}
    assert told[songs[0].pk] == (True, False)


def test_changed_kept_bytes_are_told_too(ada: User, songs: list[Recording]) -> None:
    decision = consent.check(songs, Use.EVAL, HERE, by=ada)
    line = DecisionLine.objects.get(recording=songs[0])
    tamper("rights_decisionline", "grants", "[]", line.pk)
    # The digest that was kept beside the lines still is the true answer's.
    assert decisions.replay(decision).same
    tamper("rights_decision", "output_digest", "0" * 64, decision.pk)
    replay = decisions.replay(Decision.objects.get())
    assert not replay.same
    assert [difference.recording_id for difference in replay.differences] == [songs[0].pk]


def test_a_decision_of_another_policy_says_so_in_words(
    client: Client, ada: User, songs: list[Recording]
) -> None:
    decision = consent.check(songs, Use.EVAL, HERE, by=ada)
    tamper("rights_decision", "policy_version", "2025-01", decision.pk)
    client.force_login(ada)
    page = client.post(reverse("rights:decision_replay", args=[decision.pk])).content.decode()
    assert "It was made by the policy of 2025-01." in page
    assert "the kept answer stands" in page
    answer = client.post(f"/api/v1/rights/decisions/{decision.pk}/replay").json()
    assert (answer["same"], answer["output_digest"]) == (False, "")
    assert "2025-01" in answer["refusal"]


def test_would_it_have_been_allowed_that_day_as_we_knew_it_then(
    client: Client,
    *,
    ada: User,
    rosa: User,
    songs: list[Recording],
    writer: Party,
    publisher: Party,
) -> None:
    song = songs[0]
    then = timezone.now()
    change_everything(rosa, songs, writer, publisher)
    client.force_login(ada)
    address = reverse("rights:why", args=[song.pk])

    def asked(**moments: datetime) -> str:
        data = {"use": "eval"} | {name: moment.isoformat() for name, moment in moments.items()}
        return " ".join(client.get(address, data).content.decode().split())

    assert "is not allowed" in asked()
    page = asked(at=then, known_at=then)
    assert "was allowed: every right it needs is covered" in page
    assert "as it was known <strong>then</strong>" in page
    # Known now: grants still count for that day, but the split is known to be disputed.
    page = asked(at=then)
    assert "was not allowed" in page
    assert "disputes the split" in page
    assert "as it is known <strong>now</strong>" in page
    assert "Ask as it was known then" in page
    # Before anything was known of it.
    page = asked(at=then, known_at=song.created_at - timedelta(days=1))
    assert "The catalogue did not have it then." in page


def test_moments_are_read_with_and_without_a_time_and_refused_beside_the_field(
    client: Client, ada: User, songs: list[Recording]
) -> None:
    client.force_login(ada)
    address = reverse("rights:why", args=[songs[0].pk])
    page = client.get(address, {"use": "eval", "at": "2026-03-03", "known_at": "2026-03-03T12:30"})
    text = " ".join(page.content.decode().split())
    assert "<strong>3 March 2026, 23:59</strong>" in text
    assert "as it was known on <strong>3 March 2026, 12:30</strong>" in text
    for field, value in (("at", "never"), ("known_at", "2999-01-01"), ("model_version", "0")):
        response = client.get(address, {"use": "eval", field: value})
        assert response.status_code == 200
        assert response.context["form"].errors[field]
        assert value in response.content.decode()


def test_the_question_has_version_product_and_channel(
    client: Client, ada: User, rosa: User
) -> None:
    party = make_party(rosa)
    song = make_recording(rosa, party)
    allow(rosa, party, Use.EVAL, first_version=2, last_version=3, products=["Tape"])
    allow(rosa, party, Use.DISTRIBUTE, channels=["walled"])
    client.force_login(ada)
    why = f"/api/v1/rights/recordings/{song.pk}/why"

    def allowed(**asked: object) -> bool:
        return bool(client.get(why, asked).json()["allowed"])

    assert allowed(use="eval", model_version=2, product="Tape")
    assert not allowed(use="eval", model_version=4, product="Tape")
    assert not allowed(use="eval", model_version=2)
    assert allowed(use="distribute", channel="walled")
    assert not allowed(use="distribute", channel="sync")
    assert client.get(why, {"use": "eval", "channel": "radio"}).status_code == 422
    page = client.get(
        reverse("rights:why", args=[song.pk]), {"use": "eval", "model_version": "2", "product": ""}
    )
    assert "for certain products only" in page.content.decode()


def test_the_api_asks_about_the_past(
    client: Client,
    *,
    ada: User,
    rosa: User,
    songs: list[Recording],
    writer: Party,
    publisher: Party,
) -> None:
    then = timezone.now()
    change_everything(rosa, songs, writer, publisher)
    client.force_login(ada)
    why = f"/api/v1/rights/recordings/{songs[0].pk}/why"
    moment = then.isoformat()
    assert client.get(why, {"use": "eval"}).json()["allowed"] is False
    asked = {"use": "eval", "at": moment, "known_at": moment}
    assert client.get(why, asked).json()["allowed"] is True
    late = client.get(why, {"use": "eval", "known_at": "2999-01-01T00:00:00"})
    assert late.status_code == 422


def test_decisions_are_listed_and_narrowed(
    client: Client, ada: User, songs: list[Recording]
) -> None:
    good = consent.check(songs[:1], Use.EVAL, HERE, by=ada)
    bad = consent.check(songs, Use.VOICE, HERE, by=ada)
    client.force_login(ada)
    address = reverse("rights:decisions")

    def listed(**asked: str) -> list[int]:
        page = client.get(address, asked).context["page"]
        api = client.get("/api/v1/rights/decisions", asked_of_api(asked)).json()["items"]
        assert [one.pk for one in page] == [one["id"] for one in api]
        return [one.pk for one in page]

    def asked_of_api(asked: dict[str, str]) -> dict[str, str]:
        known = {"answer": ("allowed", {"allowed": "true", "denied": "false"})}
        given = {}
        for name, value in asked.items():
            other, words = known.get(name, (name, {}))
            given[other] = words.get(value, value)
        return given

    assert listed() == [bad.pk, good.pk]
    assert listed(use="voice") == [bad.pk]
    assert listed(answer="allowed") == [good.pk]
    assert listed(recording=str(songs[2].pk)) == [bad.pk]
    narrowed = client.get(address, {"recording": songs[2].pk}).content.decode()
    assert "3 of 3 denied" in narrowed
    page = client.get(reverse("rights:decision", args=[bad.pk])).content.decode()
    assert "3 of 3 recordings denied" in page
    assert bad.input_digest in page
    only = client.get(reverse("rights:decision", args=[good.pk]), {"only": "denied"})
    assert "None was denied." in only.content.decode()


def test_decisions_are_for_those_who_read_the_repertoire(
    client: Client, *, rosa: User, ada: User, olga: User, lou: User, noor: User,
    songs: list[Recording], writer: Party,
) -> None:  # fmt: skip
    writer.people.add(noor)
    decision = consent.check(songs, Use.EVAL, HERE, by=ada)
    for user, status in ((rosa, 200), (ada, 200), (olga, 200), (lou, 404), (noor, 404)):
        client.force_login(user)
        assert client.get(reverse("rights:decisions")).status_code == status
        assert client.get(reverse("rights:decision", args=[decision.pk])).status_code == status
        for address in (
            reverse("rights:decision_replay", args=[decision.pk]),
            f"/api/v1/rights/decisions/{decision.pk}/replay",
        ):
            assert client.post(address).status_code == status, (user, address)
