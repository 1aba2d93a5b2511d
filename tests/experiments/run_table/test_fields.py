"""The catalogue of fields: which there are, in which order they sort, what they read."""

import math
from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.models.expressions import Combinable
from django.test.utils import CaptureQueriesContext

from experiments.models import Project, Run
from experiments.run_table import fields
from experiments.run_table.fields import Field, Kind, lookup
from portal.models import User
from tests.experiments.run_table.test_table import make, measure


@pytest.fixture
def four(project: Project, ada: User, ben: User) -> list[Run]:
    runs = [
        make(project, ada, 1, config={"lr": 0.1, "opt": "adam", "steps": 10, "deep": {"er": True}}),
        make(project, ben, 2, config={"lr": 2, "opt": "sgd", "steps": 10}, tags=["jazz"],
             resources={"gpus": 2, "gpu_type": "H100"}),
        make(project, ada, 3, config={"lr": "auto", "steps": 10}, resources={"gpus": 10}),
        make(project, ada, 4, config={"lr": None, "steps": 10}),
    ]  # fmt: skip
    measure(runs[0], "loss", 0.5, 0.2)
    measure(runs[1], "loss", None)
    measure(runs[2], "loss.min", 0.3)
    return runs


def order(project: Project, sort: str) -> list[int]:
    rows = fields.ordered(Run.objects.filter(project=project), sort)
    return [run.number for run in rows]


@pytest.mark.parametrize(
    ("sort", "numbers"),
    [
        # Texts, then numbers by their size, and last both ways what has no value.
        ("config.lr", [3, 1, 2, 4]),
        ("-config.lr", [2, 1, 3, 4]),
        ("-config.opt", [2, 1, 4, 3]),
        ("resources.gpus", [2, 3, 4, 1]),
        ("-resources.gpus", [3, 2, 4, 1]),
        ("gpu", [2, 4, 3, 1]),
        ("-owner", [2, 4, 3, 1]),
        ("metric.loss", [1, 4, 3, 2]),
        ("metric.loss.min", [1, 3, 4, 2]),
        ("-run", [4, 3, 2, 1]),
    ],
)
def test_every_kind_of_field_orders_with_missing_values_last(
    project: Project, four: list[Run], sort: str, numbers: list[int]
) -> None:
    assert order(project, sort) == numbers


def test_values_are_read_in_the_order_of_the_keys(project: Project, four: list[Run]) -> None:
    keys = ["metric.loss", "config.lr", "owner", "metric.loss.min", "resources.gpus", "no.such",
            "metric.loss.count", "tags", "config.deep.er"]  # fmt: skip
    runs = list(Run.objects.filter(project=project).select_related("submitted_by", "dataset"))
    found = {run.number: fields.values(runs, keys)[run.pk] for run in runs}
    assert found[1] == [0.5, 0.1, "ada", 0.2, None, None, 3, [], True]
    assert math.isnan(found[2].pop(0))
    assert found[2][:2] == [2, "ben"]
    assert found[2][3:] == [2, None, 3, ["jazz"], None]
    assert found[3] == [None, "auto", "ada", 0.3, 10, None, None, [], None]


def test_reading_takes_as_many_queries_for_many_metrics_as_for_one(
    project: Project, four: list[Run]
) -> None:
    runs = list(Run.objects.filter(project=project).select_related("submitted_by", "dataset"))
    keys = ["metric.loss", "metric.loss.min", "metric.other", "config.lr", "owner", "dataset"]
    with CaptureQueriesContext(connection) as seen:
        fields.values(runs, keys)
    assert len(seen) == 1


def test_what_differs_among_runs_is_offered_first(project: Project, four: list[Run]) -> None:
    offers = fields.catalogue(project)
    settings = [o for o in offers if o.key.startswith("config.")]
    assert [(o.key, o.varies, o.filled) for o in settings] == [
        ("config.lr", True, 1.0),
        ("config.opt", True, 0.5),
        ("config.steps", False, 1.0),
        ("config.deep.er", False, 0.25),
    ]
    varies = {o.key: o.varies for o in offers}
    assert varies["owner"]
    assert not varies["recipe"]
    assert {"metric.loss", "metric.loss.min", "resources.gpus"} <= varies.keys()
    assert all(fields.find(offer.key) for offer in offers)


def test_the_catalogue_samples_old_runs_too_and_takes_as_many_queries_for_any_number(
    project: Project, ada: User, four: list[Run]
) -> None:
    with CaptureQueriesContext(connection) as few:
        fields.catalogue(project)
    Run.objects.bulk_create(
        Run(project=project, number=n, name=str(n), submitted_by=ada, config={"new": n})
        for n in range(5, 400)
    )
    with CaptureQueriesContext(connection) as many:
        offers = fields.catalogue(project)
    assert len(many) == len(few)
    assert {"config.new", "config.lr"} <= {offer.key for offer in offers}


def test_a_project_without_runs_has_its_facts_on_offer(project: Project) -> None:
    assert {"state", "owner", "duration"} <= {o.key for o in fields.catalogue(project)}


@pytest.mark.parametrize(
    "key", ["", "nothing", "config.", "metric.", "resources.x", "x" * 300, "a.b"]
)
def test_what_is_no_field_is_none(key: str) -> None:
    assert fields.find(key) is None


class Loudness(Field):
    """A field of another app: here a number that follows from the run's."""

    def orders(self) -> list[Combinable]:
        raise NotImplementedError

    def read(self, runs: object) -> dict[object, float]:
        return {run.pk: -float(run.number) for run in runs}


@pytest.fixture
def registered() -> Iterator[None]:
    class Measures(fields.Source):
        def find(self, name: str) -> Field | None:
            return Loudness(f"measure.{name}", name, Kind.NUMBER) if name == "lufs" else None

        def of_project(self, project: Project) -> list[Field]:  # noqa: ARG002
            return [Loudness("measure.lufs", "lufs", Kind.NUMBER)]

    fields.register("measure", Measures())
    yield
    del lookup.SOURCES["measure"]


def test_an_app_above_registers_fields_of_its_own(
    project: Project, four: list[Run], registered: None
) -> None:
    assert "measure.lufs" in {offer.key for offer in fields.catalogue(project)}
    assert fields.values(four, ["measure.lufs", "measure.x"])[four[2].pk] == [-3.0, None]
