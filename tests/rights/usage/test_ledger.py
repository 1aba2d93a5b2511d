"""The ledger counts each event once, and a credit statement is rebuilt from it alone."""

import pytest

from portal.models import User
from rights.consent import consent
from rights.models import Immutable, Purpose, Recording, UsageEvent, Use
from rights.usage import crediting, ledger
from tests.catalogue import make_allowed

pytestmark = pytest.mark.django_db

USE = Use.TRAIN_GENERATIVE


@pytest.fixture
def songs(rosa: User) -> list[Recording]:
    # Of two artists.
    return make_allowed(rosa, count=1) + make_allowed(rosa, count=1)


def event(recording: Recording, step: int, seconds: float, source: str = "run:1") -> ledger.Event:
    return ledger.Event(
        recording_id=recording.pk, use=USE, source=source, step=step, examples=4, seconds=seconds
    )


def test_a_repeated_report_counts_once(songs: list[Recording]) -> None:
    events = [event(songs[0], 10, 8.0), event(songs[1], 10, 2.0), event(songs[0], 20, 8.0)]
    ledger.report(events)
    ledger.report(events)
    assert ledger.exposures("run:1") == {songs[0].pk: (8, 16.0), songs[1].pk: (4, 2.0)}
    assert ledger.exposures("run:1", up_to_step=10)[songs[0].pk] == (4, 8.0)
    assert ledger.exposures("run:2") == {}
    assert ledger.sources(songs) == [ledger.Source("run:1", USE, 12, 18.0, 20)]


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_an_impossible_report_is_refused_whole(songs: list[Recording], seconds: float) -> None:
    with pytest.raises(ledger.BadUsage):
        ledger.report([event(songs[0], 1, 1.0), event(songs[1], 1, seconds)])
    assert not UsageEvent.objects.exists()


def test_the_ledger_is_never_rewritten(songs: list[Recording]) -> None:
    ledger.report([event(songs[0], 1, 1.0)])
    row = UsageEvent.objects.get()
    for act in (row.save, row.delete, UsageEvent.objects.all().delete):
        with pytest.raises(Immutable):
            act()


def test_a_statement_names_artists_works_roles_grants_and_shares(
    rosa: User, songs: list[Recording]
) -> None:
    scope = consent.Context(Purpose.RESEARCH, "world", "backline")
    decision = consent.check(songs, USE, scope, by=rosa)
    made = crediting.statement({songs[0].pk: (1, 3.0), songs[1].pk: (3, 9.0)}, USE, decision)
    first, second = crediting.credit_notes(made).recordings
    assert (first["id"], first["share"], second["share"]) == (songs[1].pk, 0.75, 0.25)
    assert first["artists"] == [songs[1].credits.get().party.name]
    assert [one["role"] for one in first["contributors"]] == ["Composer", "Main artist"]
    assert {grant["right"] for grant in first["grants"]} == {"Composition", "Master"}
    assert first["works"][0]["title"] == songs[1].title
    assert sum(line.share for line in made.lines) == pytest.approx(1, abs=1e-9)
    assert crediting.artists(made.lines) == [
        song.credits.get(role="MainArtist").party_id for song in reversed(songs)
    ]


def test_a_statement_keeps_no_names_and_tells_those_of_today(songs: list[Recording]) -> None:
    made = crediting.statement({songs[0].pk: (1, 3.0)}, USE, None)
    party = songs[0].credits.get().party
    kept = made.canonical()
    assert party.name.encode() not in kept
    assert songs[0].title.encode() not in kept
    type(party).objects.filter(pk=party.pk).update(credited_as="Somebody else")
    assert crediting.parse_statement(kept) == made
    assert crediting.credit_notes(crediting.parse_statement(kept)).recordings[0]["artists"] == [
        "Somebody else"
    ]


def test_the_digest_is_that_of_the_facts(songs: list[Recording]) -> None:
    exposures = {song.pk: (0, 0.0) for song in songs}
    made = crediting.statement(exposures, USE, None)
    again = crediting.statement(dict(reversed(exposures.items())), USE, None)
    assert made.canonical() == again.canonical()
    assert [line.share for line in made.lines] == [0.5, 0.5]
    assert "even" in made.basis
    assert crediting.statement(exposures, Use.EVAL, None).canonical() != made.canonical()


def test_a_statement_of_nothing_is_empty() -> None:
    assert crediting.statement({}, USE, None).lines == []


def test_the_mark_of_the_ledger_changes_with_every_event(songs: list[Recording]) -> None:
    marks = [ledger.ledger_version(["run:1"])]
    for step in (10, 20):
        ledger.report([event(songs[0], step, 8.0), event(songs[1], step, 8.0, "run:2")])
        marks.append(ledger.ledger_version(["run:1"]))
    assert len(set(marks)) == 3
    assert ledger.ledger_version(["run:1"], up_to_step=19) == marks[1]


def test_the_table_has_every_recording_and_no_formulas(songs: list[Recording]) -> None:
    made = crediting.statement({song.pk: (1, 1.0) for song in songs}, USE, None)
    rows = list(crediting.table(made))
    assert [row[:3] for row in rows] == [["learned", str(s.pk), s.title] for s in songs]
    assert {len(row) for row in rows} == {len(crediting.TABLE)}
