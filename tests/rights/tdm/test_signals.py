"""TDMRep and CAWG: what is read denies or is shown, what is written promises nothing."""

import json

import pytest
from django.test import Client
from django.utils import timezone

from portal.models import AuditEvent, User
from rights import territories
from rights.consent import allowances, consent
from rights.errors import Refused
from rights.models import Grant, Hold, Purpose, Recording, Signal, Use
from rights.rightsholder import use_status
from rights.tdm import reservations, signals
from tests.catalogue import allow, make_allowed, make_party, make_recording
from tests.rights.exchange.importing import counts

pytestmark = pytest.mark.django_db
SCOPE = consent.Context(Purpose.RESEARCH, territories.WORLD, "")


def allowed(recording: Recording, use: Use) -> bool:
    return consent.evaluate([recording], use, SCOPE)[recording.pk].allowed


def cawg(**entries: object) -> bytes:
    told = {f"cawg.{key}": value for key, value in entries.items()}
    return json.dumps({"entries": told}).encode()


def test_not_allowed_ends_what_it_contradicts_and_nothing_else(rosa: User) -> None:
    recording, other = make_allowed(rosa, 2)
    said = reservations.read_assertion(cawg(ai_generative_training={"use": "notAllowed"}))
    made = signals.record_signals(by=rosa, subject=recording, reservations=said, source="song.wav")
    assert made[0].denies
    assert not allowed(recording, Use.TRAIN_GENERATIVE)
    assert allowed(recording, Use.TRAIN_ANALYSIS)
    assert allowed(other, Use.TRAIN_GENERATIVE)
    line = AuditEvent.objects.get(verb="signal.noted")
    assert len(line.body["grants"]) == 2
    before = counts()
    assert (
        signals.record_signals(by=rosa, subject=recording, reservations=said, source="song.wav")
        == []
    )
    assert counts() == before


def test_allowed_is_shown_and_permits_nothing(rosa: User) -> None:
    recording = make_recording(rosa, make_party(rosa))
    said = reservations.read_assertion(
        cawg(ai_training={"use": "allowed"}, data_mining={"use": "allowed"})
    )
    made = signals.record_signals(by=rosa, subject=recording, reservations=said, source="song.wav")
    assert [signal.denies for signal in made] == [False, False]
    assert not any(allowed(recording, use) for use in Use)
    assert not Grant.objects.exists()


@pytest.mark.parametrize("info", [{}, {"constraint_info": "only on Sundays"}])
def test_constrained_denies(rosa: User, info: dict[str, str]) -> None:
    (recording,) = make_allowed(rosa, 1)
    said = reservations.read_assertion(cawg(ai_training={"use": "constrained", **info}))
    signals.record_signals(by=rosa, subject=recording, reservations=said, source="song.wav")
    assert not allowed(recording, Use.TRAIN_ANALYSIS)
    assert Signal.objects.get().info == info.get("constraint_info", "")


def test_what_a_recording_says_stands_against_a_catalogue_that_is_granted_later(rosa: User) -> None:
    party = make_party(rosa)
    recording, other = make_recording(rosa, party), make_recording(rosa, party)
    said = reservations.read_assertion(cawg(ai_generative_training={"use": "notAllowed"}))
    signals.record_signals(by=rosa, subject=recording, reservations=said, source="song.wav")
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    assert not allowed(recording, Use.TRAIN_GENERATIVE)
    assert allowed(other, Use.TRAIN_GENERATIVE)
    answer = consent.evaluate([recording], Use.TRAIN_GENERATIVE, SCOPE)[recording.pk]
    assert {reason["code"] for reason in answer.reasons} == {"signal"}
    scope = allowances.allowance_of([recording.pk], Use.TRAIN_GENERATIVE, timezone.now())
    assert {part.code for part in scope.parts} == {"signal"}


def test_a_later_permission_for_the_very_recording_answers_what_it_says(rosa: User) -> None:
    party = make_party(rosa)
    recording = make_recording(rosa, party)
    said = reservations.read_assertion(cawg(ai_generative_training={"use": "notAllowed"}))
    signals.record_signals(by=rosa, subject=recording, reservations=said, source="song.wav")
    allow(rosa, party, Use.TRAIN_GENERATIVE, recording=recording)
    assert allowed(recording, Use.TRAIN_GENERATIVE)


def test_what_was_made_of_a_recording_is_held_when_it_is_read_to_say_no(rosa: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    said = reservations.read_assertion(cawg(ai_generative_training={"use": "notAllowed"}))
    signals.record_signals(by=rosa, subject=recording, reservations=said, source="song.wav")
    assert Hold.objects.filter(recording=recording, use=Use.TRAIN_GENERATIVE).exists()


def test_a_page_tells_of_each_use_how_its_holder_stands(rosa: User) -> None:
    """rights/rightsholder/use_status.py hears the recording's own no as the evaluator does."""
    party = make_party(rosa)
    recording = make_recording(rosa, party)
    said = reservations.read_assertion(cawg(ai_generative_training={"use": "notAllowed"}))
    signals.record_signals(by=rosa, subject=recording, reservations=said, source="song.wav")
    allow(rosa, party, Use.TRAIN_GENERATIVE)
    told = {row.use: row.word for row in use_status.statuses_of([recording], [party])[recording.pk]}
    assert told[Use.TRAIN_GENERATIVE] == use_status.Choice.OFF


@pytest.mark.parametrize("named", ["recording", "party", "other"])
def test_words_say_which_uses_of_what_are_denied(rosa: User, named: str) -> None:
    party = make_party(rosa, "Mira")
    recording = make_recording(rosa, party, title="Ebb")
    use = "allowed" if named == "other" else "notAllowed"
    said = reservations.read_assertion(cawg(ai_generative_training={"use": use}))
    subject = party if named == "party" else recording
    made = signals.record_signals(by=rosa, subject=subject, reservations=said, source="here")
    denies, words = signals.in_words(subject, made)
    assert denies == (named != "other")
    if denies:
        assert "Training of generative models; Fine-tuning" in words
        assert ("Ebb" if named == "recording" else "Mira") in words
    else:
        assert "None of it says no" in words
    again = signals.record_signals(by=rosa, subject=subject, reservations=said, source="here")
    assert signals.in_words(subject, again)[1].startswith("Nothing new")


def test_a_reservation_of_a_site_suspends_its_partys_training_grants(rosa: User) -> None:
    party = make_party(rosa)
    recording = make_recording(rosa, party)
    allow(rosa, party, Use.TRAIN_GENERATIVE, Use.EVAL)
    rules = [{"location": "/*", "tdm-reservation": 1, "tdm-policy": "https://x.example/policy"}]
    said = reservations.read_tdmrep(json.dumps(rules).encode())
    signals.record_signals(by=rosa, subject=party, reservations=said, source="https://x.example")
    assert not allowed(recording, Use.TRAIN_GENERATIVE)
    assert allowed(recording, Use.EVAL)
    assert Signal.objects.get().info == "https://x.example/policy"


def test_the_first_rule_that_fits_a_path_counts() -> None:
    rules = json.dumps(
        [
            {"location": "/open/*.mp3$", "tdm-reservation": 0},
            {"location": "/", "tdm-reservation": 1},
        ]
    ).encode()
    values = {
        path: [said.value for said in reservations.read_tdmrep(rules, path=path)]
        for path in ("/open/a.mp3", "/open/a.mp3x", "/else", "")
    }
    assert values == {"/open/a.mp3": ["0"], "/open/a.mp3x": ["1"], "/else": ["1"], "": ["1"]}


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1]", b'[{"location": "/", "tdm-reservation": 2}]', b"\xff", b"[" * 9_000],
)
def test_a_file_of_another_kind_is_refused(content: bytes) -> None:
    with pytest.raises(Refused):
        reservations.read_tdmrep(content)
    with pytest.raises(Refused):
        reservations.read_assertion(
            content if content != b"{}" else b'{"entries": {"a": {"use": "x"}}}'
        )


def test_what_we_write_never_says_allowed_and_can_be_read(rosa: User) -> None:
    (recording,) = make_allowed(rosa, 1)
    told = signals.assertion(recording)
    entries = told["data"]["entries"]
    assert told["label"] == "cawg.training-mining"
    assert entries["cawg.ai_training"]["use"] == "constrained"
    assert "constraint_info" in entries["cawg.ai_training"]
    assert entries["cawg.ai_inference"] == {"use": "notAllowed"}
    assert {entry["use"] for entry in entries.values()} == {"constrained", "notAllowed"}
    assert {
        use
        for said in reservations.read_assertion(json.dumps(told).encode())
        for use in said.denied
    } == (set(Use))


def test_the_portals_own_pages_are_reserved_for_everybody(client: Client) -> None:
    response = client.get("/.well-known/tdmrep.json")
    assert response.status_code == 200
    assert response.json() == [{"location": "/*", "tdm-reservation": 1}]
    assert reservations.read_tdmrep(response.content)[0].denied
