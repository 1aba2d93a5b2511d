"""What the holders of the music read of a model: what it is, how far, with how much of theirs."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audio_samples import rightsholder_samples
from experiments import recipes
from experiments.models import Project, Run
from experiments.models.publishing import ModelPage
from experiments.publishing import public_words
from portal.models import User
from rights.models import Party, Purpose, Use
from tests.audio_samples.cast import make_run, make_sample
from tests.catalogue import make_allowed, make_party

pytestmark = pytest.mark.django_db


@pytest.fixture
def party(rosa: User, noor: User) -> Party:
    return make_party(rosa, "Noor", people=[noor])


@pytest.fixture
def run(ada: User, rosa: User, project: Project, party: Party) -> Run:
    """Two recordings of Noor, one of somebody else; begun in March."""
    songs = make_allowed(rosa, 2, party=party) + make_allowed(rosa, 1)
    run = make_run(ada, project, songs)
    run.started_at = datetime(2026, 3, 5, 12, tzinfo=UTC)
    run.state = Run.State.FINISHED
    run.save()
    return run


def model(run: Run, party: Party) -> rightsholder_samples.TrainedModel:
    return rightsholder_samples.trained_models([run], [party])[0]


def test_a_model_is_told_by_kind_purpose_day_and_music(run: Run, party: Party) -> None:
    one = model(run, party)
    assert one.source.title == "A music generation model for research, 5 March 2026"
    assert one.history == "Trained with 3 recordings, 2 of them yours; not released."


@pytest.mark.parametrize(
    ("state", "began", "words"),
    [
        (Run.State.QUEUED, False, "Waits to be trained with 3 recordings"),
        (Run.State.RUNNING, True, "In training with 3 recordings"),
        (Run.State.FAILED, True, "; ended by an error; not released."),
        (Run.State.CANCELLED, True, "; cancelled before it was done; not released."),
        (Run.State.WITHHELD, True, "; stopped, because a permission ended; not released."),
    ],
)
def test_how_far_it_came_is_said(
    run: Run, party: Party, state: Run.State, began: bool, words: str
) -> None:
    run.state = state
    run.started_at = run.started_at if began else None
    run.save()
    assert words in model(run, party).history


def test_one_that_the_lab_shows_to_the_world_has_its_name(
    run: Run, party: Party, rosa: User
) -> None:
    ModelPage.objects.create(
        project=run.project, run=run, slug="tide", title="Tide", version="2",
        published_by=run.submitted_by, approved_by=rosa,
        published_at=datetime(2026, 11, 2, tzinfo=UTC),
    )  # fmt: skip
    one = model(run, party)
    assert one.source.title == "Tide, version 2"
    assert one.history.endswith("; the lab shows it to the world.")
    # Withdrawn from the world: its name was public and stays.
    ModelPage.objects.update(withdrawn_at=datetime(2026, 11, 20, tzinfo=UTC))
    one = model(run, party)
    assert one.source.title == "Tide, version 2"
    assert one.history.endswith("; the lab showed it to the world, and has withdrawn it.")


def test_a_purpose_is_said_in_words(run: Run, party: Party) -> None:
    Project.objects.update(purpose=Purpose.COMMERCIAL)
    assert "for commercial products, " in model(run, party).source.title


def test_what_was_made_from_weights_alone_is_no_use_of_recordings(
    run: Run, party: Party, ada: User
) -> None:
    made = Run.objects.create(
        project=run.project, number=run.number + 1, name="clips", recipe="generate",
        use=recipes.get("generate").use, submitted_by=ada, state=Run.State.FINISHED,
        started_at=run.started_at,
    )  # fmt: skip
    title = public_words.public_sources([made])[made.pk].title
    assert title == "Music made with a trained model for research, 5 March 2026"


def test_every_use_says_what_it_makes() -> None:
    assert [use for use in Use if not use.facts.outcome] == []


def test_the_world_reads_less(run: Run) -> None:
    """What files carry names neither kind, day nor purpose."""
    assert public_words.public_sources([run])[run.pk].name == "An internal model"


def test_the_pages_of_the_artist_say_it_and_keep_the_lab_s_own_names(
    client: Client, noor: User, run: Run, party: Party
) -> None:
    sample = make_sample(run)
    client.force_login(noor)
    for name, args in (
        ("audio_samples:mine", []),
        ("audio_samples:mine_model", [run.pk]),
        ("audio_samples:mine_sample", [sample.pk]),
    ):
        page = client.get(reverse(name, args=args)).content.decode()
        assert "A music generation model for research, 5 March 2026" in page, name
        assert "internal model" not in page, name
        assert str(run.pk)[:8].upper() in page, name
        assert run.project.name not in page, name


def test_many_models_cost_no_more_queries(client: Client, noor: User, run: Run) -> None:
    client.force_login(noor)
    address = reverse("audio_samples:mine")
    with CaptureQueriesContext(connection) as one:
        client.get(address)
    copies = [
        Run(
            project=run.project, number=number, name="copy", recipe=run.recipe, use=run.use,
            dataset=run.dataset, submitted_by=run.submitted_by, started_at=run.started_at,
            state=Run.State.FINISHED,
        )
        for number in range(50, 60)
    ]  # fmt: skip
    Run.objects.bulk_create(copies)
    with CaptureQueriesContext(connection) as many:
        client.get(address)
    assert len(many) == len(one)
