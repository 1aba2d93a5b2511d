"""The ledger counts each event once, and a credit statement is rebuilt from it alone."""

import pytest

from portal.models import User
from rights import consent, ledger
from rights import credits as crediting
from rights.models import Immutable, Purpose, Recording, UsageEvent, Use
from tests.catalogue import make_allowed

pytestmark = pytest.mark.django_db

USE = Use.TRAIN_GENERATIVE


@pytest.fixture
def songs(rosa: User) -> list[Recording]:
    return make_allowed(rosa, count=2)


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
    body = crediting.statement({songs[0].pk: (1, 3.0), songs[1].pk: (3, 9.0)}, USE, decision)
    first, second = body["recordings"]
    assert (first["id"], first["share"], second["share"]) == (songs[1].pk, 0.75, 0.25)
    assert first["artists"] == [songs[1].credits.get().party.name]
    assert [one["role"] for one in first["contributors"]] == ["Composer", "Main artist"]
    assert {grant["right"] for grant in first["grants"]} == {"Composition", "Master"}
    assert first["works"][0]["title"] == songs[1].title
    assert sum(line["share"] for line in body["recordings"]) == pytest.approx(1, abs=1e-9)


def test_the_digest_is_that_of_the_facts(songs: list[Recording]) -> None:
    exposures = {song.pk: (0, 0.0) for song in songs}
    body = crediting.statement(exposures, USE, None)
    again = crediting.statement(dict(reversed(exposures.items())), USE, None)
    assert crediting.digest(body) == crediting.digest(again)
    assert [line["share"] for line in body["recordings"]] == [0.5, 0.5]
    assert "even" in body["basis"]
    assert crediting.digest(body | {"use": "eval"}) != crediting.digest(body)


def test_a_statement_of_nothing_is_empty() -> None:
    assert crediting.statement({}, USE, None)["recordings"] == []
