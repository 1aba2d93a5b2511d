"""What the query line offers at the cursor."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from experiments.models import Project, Run
from experiments.run_table import query
from experiments.run_table.query import completion
from portal.models import Role, User
from tests.experiments.run_table.test_table import make, measure


@pytest.fixture
def few(project: Project, ada: User, ben: User) -> list[Run]:
    runs = [
        make(project, ada, 1, config={"lr": 0.1, "opt": "adam", "my opt": 1}, tags=["jazz"]),
        make(project, ada, 2, config={"lr": 0.1, "opt": "sgd"}, tags=["jazz", 'q"t']),
        make(project, ben, 3, config={"lr": "auto", "opt": 'a"b'}, state=Run.State.FAILED),
    ]
    measure(runs[0], "loss", 0.1)
    measure(runs[0], "val/loss", 0.1)
    return runs


def offered(user: User, project: Project, text: str) -> completion.Completion:
    """Complete at the bar in the text."""
    at = text.index("|")
    return completion.complete(user=user, project=project, text=text.replace("|", ""), at=at)


@pytest.mark.parametrize(
    ("text", "first", "replaced"),
    [
        ("run.sta|", ["run.state", "run.started"], "run.sta"),
        ("sta|", ["run.state", "run.started"], "sta"),
        ("own|", ["run.owner"], "own"),
        ("run.l|", ["run.launch", "run.lr"], "run.l"),
        ("config.l|", ["config.lr"], "config.l"),
        ("not (lo|", ["metrics.loss"], "lo"),
        ("metrics.v|", ["metrics.val/loss"], "metrics.v"),
        ("metric.lo|", ["metric.loss"], "metric.lo"),
        ("metrics.loss.m|", ["metrics.loss.min", "metrics.loss.max"], "metrics.loss.m"),
        ('metrics["lo|', ["metrics.loss"], 'metrics["lo'),
        ("run.state == |", ["finished"], ""),
        ("run.state == fa|il and run.lr", ["failed"], "fail"),
        ("state:failed,can|", ["cancelled"], "can"),
        ("-state:fa|", ["failed"], "fa"),
        ("run.owner != |", ['"ada"', '"ben"'], ""),
        ('run.owner == "b|', ['"ben"'], '"b'),
        ("run.owner in (ada, |", ['"ada"', '"ben"'], ""),
        ("run.owner not in (b|", ['"ben"'], "b"),
        ("run.lr == |", ["0.1", '"auto"'], ""),
        ("config.opt:|", ["'a\"b'", '"adam"', '"sgd"'], ""),
        ('config["my opt"] == |', ["1"], ""),
        ("tag:|", ['"jazz"', "'q\"t'"], ""),
        ('"ja|', ['"jazz" in run.tags'], '"ja'),
        ("queued > |", ["today"], ""),
        ("duration > |", ["1m"], ""),
        ("metrics.loss == |", ["nan"], ""),
        ("run.lr < 1 |", ["and", "or"], ""),
        ("run.lr < 1 and |", ["run.number"], ""),
        ('"jazz" in |', ["run.number"], ""),
        ("run.no_such == |", [], ""),
        ("my o|", [], "o"),
    ],
)
def test_what_fits_at_the_cursor_is_offered(  # noqa: PLR0917 - fixtures.
    project: Project, ada: User, few: list[Run], text: str, first: list[str], replaced: str
) -> None:
    found = offered(ada, project, text)
    options = [option.text for option in found.options]
    assert text.replace("|", "")[found.start : found.end] == replaced
    assert options[: len(first)] == first if first else first not in options


def test_values_come_with_the_number_of_runs_that_have_them(
    project: Project, ada: User, few: list[Run]
) -> None:
    options = {o.text: o.detail for o in offered(ada, project, "run.owner == |").options}
    assert options == {'"ada"': "2 runs", '"ben"': "1 run"}
    states = {o.text: o.detail for o in offered(ada, project, "state:|").options}
    assert (states["ended"], states["finished"], states["failed"]) == ("3 runs", "2 runs", "1 run")


def test_what_is_offered_for_a_value_can_be_read(
    project: Project, ada: User, few: list[Run]
) -> None:
    for name in ("run.lr", "run.opt", "tags", "run.owner", "state", "queued", "duration"):
        for option in offered(ada, project, f"{name} == |").options:
            query.apply(project.runs.all(), f"{name} == {option.text}").count()
    for option in offered(ada, project, "|").options:
        query.apply(project.runs.all(), f"not {option.text}")


def test_the_address_answers_in_json_to_who_may_look(
    client: Client, ada: User, project: Project, few: list[Run]
) -> None:
    address = reverse("experiments:query_complete", args=[project.slug])
    client.force_login(ada)
    answer = client.get(address, {"q": " run.sta", "at": "8"}).json()
    assert answer["start"] == 1
    assert answer["options"][0] == {"text": "run.state", "detail": "State"}
    assert client.get(address, {"q": "run.sta", "at": "-5"}).status_code == 200
    assert client.get(address, {"q": "x" * 900, "at": "99999999"}).json()["end"] <= 500
    client.force_login(User.objects.create_user("eve", roles=[Role.RESEARCHER]))
    assert client.get(address, {"q": "run."}).status_code == 404


def test_a_keystroke_costs_the_same_with_more_runs(
    project: Project, ada: User, few: list[Run]
) -> None:
    def queries(text: str) -> int:
        with CaptureQueriesContext(connection) as seen:
            offered(ada, project, text)
        return len(seen)

    before = [queries("run.|"), queries("run.opt == |")]
    Run.objects.bulk_create(
        Run(project=project, number=n, name=str(n), submitted_by=ada, config={"opt": str(n)})
        for n in range(10, 100)
    )
    assert [queries("run.|"), queries("run.opt == |")] == before
    assert len(offered(ada, project, "run.opt == |").options) == completion.MOST
