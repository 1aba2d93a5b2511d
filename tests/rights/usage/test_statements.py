"""Statements, what came of it in counts, and everything that is kept, to take away."""

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from audio_samples.models import Sample
from experiments.models import Project, Run
from experiments.models.publishing import ModelPage
from portal.models import User
from rights.grants import lifecycle
from rights.models import (
    Party,
    Recording,
    UsageEvent,
    Use,
)
from rights.usage import ledger, statements
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import allow, make_party, make_recording

pytestmark = pytest.mark.django_db
GENERATIVE = Use.TRAIN_GENERATIVE


@pytest.fixture
def party(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Noor", people=[noor])


@pytest.fixture
def song(rosa: User, party: Party) -> Recording:
    return make_recording(rosa, party, title="Salt")


@pytest.fixture
def noors(client: Client, noor: User) -> Client:
    client.force_login(noor)
    return client


def page(client: Client, name: str, *args: object, **query: object) -> str:
    response = client.get(reverse(name, args=args), query)
    assert response.status_code == 200, response.status_code
    return response.getvalue().decode()


@pytest.fixture
def run(ada: User, project: Project, rosa: User, party: Party, song: Recording) -> Run:
    """A run that learned three quarters from Noor, one quarter from somebody else."""
    other = make_party(rosa, "Somebody Else")
    theirs = make_recording(rosa, other)
    for one in (party, other):
        allow(rosa, one, Use.EVAL, GENERATIVE)
    run = make_run(ada, project, [song, theirs])
    Run.objects.filter(pk=run.pk).update(started_at=datetime(2026, 11, 1, tzinfo=UTC))
    for step in range(1, 11):
        for recording, seconds in ((song, 0.3), (theirs, 0.1)):
            event = ledger.Event(recording.pk, GENERATIVE, f"run:{run.pk}", step, 2, seconds)
            ledger.report([event])
    return run


def test_a_statement_says_what_the_ledger_says_and_adds_up(
    noors: Client, party: Party, song: Recording, run: Run
) -> None:
    made = statements.statement_for(party)
    (line,) = made.lines
    assert (line.examples, line.seconds, line.share) == (20, Decimal("3.000000"), Decimal("0.75"))
    assert (line.master_ppm, line.composition_ppm) == (1_000_000, 1_000_000)
    address = reverse("rights:mine_statement_csv", args=[party.pk])
    rows = list(csv.DictReader(io.StringIO(noors.get(address).getvalue().decode())))
    *lines, total = rows
    assert sum(Decimal(row["seconds"]) for row in lines) == Decimal(total["seconds"])
    data = noors.get(reverse("rights:mine_statement_json", args=[party.pk])).json()
    assert data["seconds"] == "3.000000"
    assert data["lines"][0]["reference"] == str(run.pk)[:8].upper()
    printed = page(noors, "rights:mine_statement", party.pk)
    assert "75.0000 %" in printed
    assert "3.000000" in printed


def test_the_statements_of_all_holders_make_one_whole(party: Party, run: Run) -> None:
    other = Party.objects.get(name="Somebody Else")
    whole = sum(
        line.share for one in (party, other) for line in statements.statement_for(one).lines
    )
    assert whole == 1
    events = UsageEvent.objects.filter(source=f"run:{run.pk}")
    seconds = sum(Decimal(repr(event.seconds)) for event in events)
    assert sum(statements.statement_for(one).total.seconds for one in (party, other)) == seconds


def test_a_statement_counts_the_days_of_its_period(
    noors: Client, party: Party, song: Recording, run: Run
) -> None:
    UsageEvent.objects.bulk_create(
        UsageEvent(
            recording=song, use=GENERATIVE, source=f"run:{run.pk}", step=100 + day, examples=1,
            seconds=1.0, at=datetime(2026, 3, day, 23, 59, tzinfo=UTC),
        )
        for day in (1, 2, 3)
    )  # fmt: skip
    made = statements.statement_for(party, date(2026, 3, 2), date(2026, 3, 3))
    assert made.total.examples == 2
    assert statements.statement_for(party, None, date(2026, 2, 28)).lines == []
    address = reverse("rights:mine_statement_json", args=[party.pk])
    assert noors.get(address, {"first": "2026-03-02", "last": "2026-03-02"}).json()["examples"] == 1
    assert noors.get(address, {"first": "2026-03-02", "last": "2026-03-01"}).status_code == 422
    shown = page(noors, "rights:mine_statements", first="2026-03-09", last="2026-03-01")
    assert "The last day lies before the first." in shown


def test_a_title_is_never_a_formula_in_a_spreadsheet(
    rosa: User, party: Party, song: Recording, run: Run
) -> None:
    Recording.objects.filter(pk=song.pk).update(title="=HYPERLINK(1)")
    assert ",'=HYPERLINK(1)," in "".join(statements.as_csv(statements.statement_for(party)))


def test_everything_that_is_kept_can_be_taken_away(
    noors: Client, noor: User, party: Party, song: Recording, run: Run
) -> None:
    make_sample(run)
    lifecycle.opt_out(song, Use.EVAL, party, noor, "Not for tests.")
    response = noors.get(reverse("rights:mine_everything"))
    assert response.streaming
    assert response["Cache-Control"] == "private, no-store"
    data = json.loads(response.getvalue())
    assert [row["title"] for row in data["repertoire"]] == ["Salt"]
    assert {row["use"] for row in data["grants"]} == {"eval", "train.generative"}
    assert data["grants"][0]["drafted_by"] == "the lab"
    assert [row["reason"] for row in data["opt_outs"]] == ["Not for tests."]
    assert sum(row["seconds"] for row in data["usage"]) == pytest.approx(3.0)
    assert {row["allowed"] for row in data["decisions"]} == {True}
    assert [row["by"] for row in data["holds"]] == ["you", "you"]
    assert data["cases"][0]["use"] == "eval"
    assert {row["by"] for row in data["audit"]} <= {"you", "the lab", "the portal"}
    assert [row["reference"] for row in data["models"]] == [str(run.pk)[:8].upper()]
    assert len(data["samples"]) == Sample.objects.count() == 1
    assert set(data) >= {"parties", "mandates", "splits", "agreements", "flags"}


def test_the_front_page_tells_what_waits_and_what_was_used(
    noors: Client, party: Party, run: Run
) -> None:
    shown = page(noors, "rights:mine_fragment")
    assert "1 recording of yours" in shown
    assert "1 model learned" in shown


def test_preview_counts_what_came_of_it_without_the_names_of_the_lab(
    noors: Client, party: Party, song: Recording, run: Run, project: Project
) -> None:
    make_sample(run)
    shown = page(noors, "rights:mine_off", song.pk, GENERATIVE.value)
    assert "<strong>1</strong> sample: silent at once" in shown
    assert "<strong>1</strong> run:" in shown
    assert project.name not in shown
    assert run.name not in shown
    wide = page(noors, "rights:mine_use_off", party.pk, GENERATIVE.value)
    assert "<strong>1</strong> sample:" in wide


def test_a_model_is_named_only_once_the_lab_shows_it_to_the_world(
    noors: Client, rosa: User, party: Party, run: Run
) -> None:
    shown = ModelPage.objects.create(
        project=run.project, run=run, slug="tide", title="Tide", version="2",
        published_by=run.submitted_by,
    )  # fmt: skip
    address = reverse("rights:mine_statement_json", args=[party.pk])
    assert noors.get(address).json()["lines"][0]["model"] == (
        "A music generation model for research, 1 November 2026"
    )
    ModelPage.objects.filter(pk=shown.pk).update(
        approved_by=rosa, published_at=datetime(2026, 11, 2, tzinfo=UTC)
    )
    assert noors.get(address).json()["lines"][0]["model"] == "Tide, version 2"
    assert "Tide, version 2" in page(noors, "audio_samples:mine")
