"""The run table and its query language."""

import contextlib
import uuid

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.models import Project, Run, Series
from experiments.run_table import query, table
from experiments.run_table.layout import Column, Layout
from experiments.runs import describing
from portal.models import User
from tests.examples import examples


def make(project: Project, by: User, number: int, **fields: object) -> Run:
    defaults = {"name": f"try {number}", "recipe": "flow_matching", "state": Run.State.FINISHED}
    return Run.objects.create(
        project=project, number=number, submitted_by=by, **{**defaults, **fields}
    )


def measure(run: Run, name: str, last: float | None, low: float | None = None) -> None:
    Series.objects.create(run=run, name=name, count=3, last=last, minimum=low, maximum=last)


def laid_out(*keys: str, sort: str = "") -> Layout:
    return Layout(sort=sort, columns=tuple(Column(key=key) for key in keys))


@pytest.fixture
def three(project: Project, ada: User, ben: User) -> list[Run]:
    first = make(project, ada, 1, name="first try", config={"seed": 3, "precision": "bf16"})
    second = make(project, ben, 2, state=Run.State.FAILED, config={"seed": 4, "optim": {"lr": 0.1}})
    second = describing.edit(run=second, by=ada, add_tags=["baseline", "größer"])
    third = make(project, ada, 3, state=Run.State.QUEUED, recipe="tone_check", config={"seed": "x"})
    measure(first, "loss", 0.05, 0.01)
    measure(second, "loss", 0.5, 0.4)
    measure(second, "val loss", 0.7)
    return [first, second, third]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", {1, 2, 3}),
        ("state:failed", {2}),
        ("state:failed,queued", {2, 3}),
        ("state:open", {3}),
        ("state:ended", {1, 2}),
        ("-state:failed", {1, 3}),
        ("state!=failed", {1, 3}),
        ("recipe:tone_check", {3}),
        ("owner:ada", {1, 3}),
        ("first", {1}),
        ('name:"first try"', {1}),
        ("tag:baseline", {2}),
        ("tag:größer", {2}),
        ("-tag:baseline", {1, 3}),
        ("run:1,3", {1, 3}),
        ("config.seed=3", {1}),
        ("config.seed!=3", {2, 3}),
        ("config.seed>3", {2}),
        ("config.seed<=3", {1}),
        ("config.seed=x", {3}),
        ("config.precision:BF", {1}),
        ("config.optim.lr=0.1", {2}),
        ("config.nothing=1", set()),
        ("metric.loss<0.1", {1}),
        ("metric.loss < 0.1", {1}),
        ("metric.loss.min>=0.4", {2}),
        ('metric."val loss"=0.7', {2}),
        ("-metric.loss<0.1", {2, 3}),
        ("state:failed metric.loss<0.1", set()),
        ("queued>2020-01-01", {1, 2, 3}),
        ("queued<2020-01-01", set()),
    ],
)
def test_a_query_finds_what_it_says(
    project: Project, three: list[Run], text: str, numbers: set[int]
) -> None:
    assert set(query.apply(project.runs.all(), text).values_list("number", flat=True)) == numbers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("state:broken", "not a state"),
        ("stat:failed", "Did you mean “state”"),
        ("state:", "Nothing stands after"),
        ("state>failed", "compared with"),
        ("metric.loss<small", "compared with a number"),
        ("metric.loss<nan", "compared with a number"),
        ("config.seed<x", "compared with a number"),
        ("config..x=1", "names no setting"),
        ('name:"open', "never closed"),
        ("=3", "nothing before it"),
        ("run:abc", "not the number"),
        ("queued>yesterday", "not a day"),
        ("x " * 30, "terms"),
        ("x" * 501, "characters long"),
    ],
)
def test_a_query_that_cannot_be_read_is_answered_by_a_sentence(  # noqa: PLR0917 - fixtures.
    client: Client, ada: User, project: Project, three: list[Run], text: str, words: str
) -> None:
    with pytest.raises(query.BadQuery, match=words):
        query.apply(project.runs.all(), text)
    client.force_login(ada)
    address = reverse("experiments:runs", args=[project.slug])
    page = client.get(address, {"q": text})
    assert page.status_code == 200
    assert "could not be read" in page.content.decode()


PIECES = st.sampled_from(
    ["state", "metric.loss", "config.a.b", "tag", "name", "queued", "run", ":", "=", "<", "!=",
     ">=", "-", '"', " ", ",", "failed", "3", "1e999", "2026-11-21", "\0", "%", "_", "__", "\\"]
)  # fmt: skip


@pytest.mark.django_db
@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=12).map("".join)))
def test_whatever_is_typed_finds_runs_or_says_why_not(text: str) -> None:
    with contextlib.suppress(query.BadQuery):
        list(query.apply(Run.objects.all(), text)[:1])


@given(
    name=st.text(st.characters(blacklist_characters='"\0', blacklist_categories=["Cs"]), min_size=1)
    .map(str.strip)
    .filter(bool)
)
def test_a_quoted_name_stays_whole(name: str) -> None:
    if len(name) < 400:
        (term,) = query.parse(f'name:"{name}"')
        assert term.value.strip() == name


def test_any_shown_column_sorts_with_missing_values_last(
    ada: User, project: Project, three: list[Run]
) -> None:
    def order(sort: str) -> list[int]:
        found = table.read(user=ada, project=project, layout=laid_out(sort=sort))
        return [row.run.number for row in found.rows]

    assert order("metric.loss") == [1, 2, 3]
    assert order("-metric.loss") == [2, 1, 3]
    assert order("name") == [1, 2, 3]
    assert order("-run") == [3, 2, 1]
    assert order("config.optim.lr")[0] == 2
    assert len(order("nonsense")) == len(order("-duration")) == len(order("config.")) == 3


def test_columns_are_those_of_the_address(
    client: Client, ada: User, project: Project, three: list[Run]
) -> None:
    client.force_login(ada)
    address = reverse("experiments:runs", args=[project.slug])
    page = client.get(address + "?col=metric.loss.min&col=config.seed&col=what").content.decode()
    assert 'data-label="loss.min"' in page
    assert 'data-label="seed"' in page
    assert 'data-label="what"' not in page
    assert 'data-label="Owner"' not in page


def test_the_number_of_queries_does_not_grow_with_the_runs(
    client: Client, ada: User, project: Project, three: list[Run]
) -> None:
    client.force_login(ada)
    address = reverse("experiments:runs", args=[project.slug])
    address += "?q=state:ended+metric.loss%3C1&sort=-metric.loss"

    def count() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert client.get(address).status_code == 200
        return len(seen)

    count()
    few = count()
    rows = Run.objects.bulk_create(
        Run(id=uuid.uuid4(), project=project, number=n, name=str(n), submitted_by=ada,
            state="finished", config={"seed": n})
        for n in range(10, 110)
    )  # fmt: skip
    Series.objects.bulk_create(Series(run=run, name="loss", last=0.5) for run in rows)
    assert count() == few
    assert few < 20


def test_a_page_holds_fifty_runs(client: Client, ada: User, project: Project) -> None:
    Run.objects.bulk_create(
        Run(project=project, number=n, name=str(n), submitted_by=ada) for n in range(1, 61)
    )
    client.force_login(ada)
    page = client.get(reverse("experiments:runs", args=[project.slug])).content.decode()
    assert page.count("data-select ") == 50
    assert "Page 1 of 2" in page


# --- Names as programs have them -----------------------------------------------------------------


@pytest.fixture
def named(project: Project, ada: User) -> None:
    configs: list[dict[str, object]] = [
        {"model.lr": 0.1, "flag": True, "opt": None},
        {"model": {"lr": 0.2}, "flag": 1, "opt": 2},
        {"model": {"lr": 0.3}, "model.lr": 0.4, "flag": False, "opt": 1},
        {"a": {"b.c": {"d": 5}}, "flag": 0, "opt": 3},
        {"flag": "true"},
    ]
    for number, config in enumerate(configs, 1):
        make(project, ada, number, config=config)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("config.model.lr=0.1", {1}),
        ("config.model.lr=0.2", {2}),
        # Where a run has both, the key of that very name counts.
        ("config.model.lr=0.3", set()),
        ("config.model.lr>0.15", {2, 3}),
        ("config.model.lr!=0.1", {2, 3}),
        ("-config.model.lr=0.1", {2, 3, 4, 5}),
        ("config.model.lr:0.", {1, 2, 3}),
        ('config."model.lr"=0.4', {3}),
        ("config.a.b.c.d=5", {4}),
        ("config.flag=true", {1}),
        ("config.flag=1", {2}),
        ("config.flag=false", {3}),
        ("config.flag=0", {4}),
        ('config.flag="true"', {5}),
        ("config.flag>0", {2}),
        ("config.opt=null", {1}),
        ("config.opt!=null", {2, 3, 4}),
        ("config.opt>=1", {2, 3, 4}),
    ],
)
def test_settings_with_dots_and_of_any_kind_are_found(
    project: Project, named: None, text: str, numbers: set[int]
) -> None:
    found = query.apply(Run.objects.filter(project=project), text)
    assert {run.number for run in found} == numbers


@pytest.mark.parametrize(
    ("sort", "numbers"),
    [
        ("config.model.lr", [1, 2, 3, 5, 4]),
        ("-config.model.lr", [3, 2, 1, 5, 4]),
        ("config.opt", [3, 2, 4, 5, 1]),
        ("-config.opt", [4, 2, 3, 5, 1]),
    ],
)
def test_null_and_nothing_come_last_both_ways(
    project: Project, ada: User, named: None, sort: str, numbers: list[int]
) -> None:
    found = table.read(user=ada, project=project, layout=laid_out(sort=sort))
    assert [row.run.number for row in found.rows] == numbers


def test_settings_with_dots_are_offered_and_shown(project: Project, ada: User, named: None) -> None:
    key = "config.model.lr"
    found = table.read(user=ada, project=project, layout=laid_out(key, sort="run"))
    assert {row.run.number: row.cells[0].value for row in found.rows} == {
        1: 0.1, 2: 0.2, 3: 0.4, 4: None, 5: None,
    }  # fmt: skip
    offered = {offer.key for offer in found.offered}
    assert {"config.model.lr", "config.a.b.c.d", "config.flag"} <= offered


def test_a_metric_of_that_very_name_wins(project: Project, ada: User) -> None:
    one, two, three = (make(project, ada, number) for number in (1, 2, 3))
    measure(one, "loss", 0.5, 0.1)
    measure(one, "loss.min", 7.0)
    measure(two, "loss", 0.4, 0.3)
    measure(three, "grad.max", None)

    def found(text: str) -> set[int]:
        return {run.number for run in query.apply(Run.objects.filter(project=project), text)}

    assert found("metric.loss.min=7") == {1}
    assert found("metric.loss.min=0.1") == set()
    assert found("metric.loss.min=0.3") == {2}
    assert found("metric.grad.max=nan") == {3}
    assert found("metric.grad.max!=nan") == set()
    assert found("metric.loss!=nan") == {1, 2}
    layout = laid_out("metric.loss.min", "metric.grad.max", sort="-metric.loss.min")
    read = table.read(user=ada, project=project, layout=layout)
    assert [row.run.number for row in read.rows] == [1, 2, 3]
    assert [row.cells[0].value for row in read.rows] == [7.0, 0.3, None]
    assert str(read.rows[2].cells[1].value) == "nan"


def test_what_is_not_finite_is_shown_and_compared_by_equality_alone(
    client: Client, project: Project, ada: User
) -> None:
    measure(make(project, ada, 1), "loss", None)
    client.force_login(ada)
    page = client.get(reverse("experiments:runs", args=[project.slug]) + "?col=metric.loss")
    assert "NaN" in page.content.decode()
    with pytest.raises(query.BadQuery, match="nan too, by ="):
        query.apply(Run.objects.all(), "metric.loss<nan")


def test_what_can_be_grouped_by_is_read_when_it_is_asked_for(
    client: Client, ada: User, project: Project, three: list[Run]
) -> None:
    client.force_login(ada)
    page = reverse("experiments:runs", args=[project.slug])
    menu = reverse("experiments:runs_groupings", args=[project.slug])
    assert "by state" not in client.get(page).content.decode()
    for headers in ({}, {"HX-Request": "true"}):
        shown = client.get(f"{menu}?q=-state:failed", headers=headers).content.decode()
        assert f'href="{page}?q=-state%3Afailed&amp;group=state"' in shown
        assert ("<html" in shown) is not bool(headers)
    assert "Not grouped" in client.get(f"{menu}?group=state").content.decode()


def test_a_table_that_renews_its_rows_looks_for_no_columns(
    client: Client, ada: User, project: Project, three: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(ada)
    page = reverse("experiments:runs", args=[project.slug])
    whole = client.get(page)
    table_again = whole.context["rows_alone"]
    assert f'data-live="?{escape(table_again)}"' in whole.content.decode()
    monkeypatch.setattr("experiments.run_table.fields.catalogue", unwanted)
    again = client.get(f"{page}?{table_again}")
    assert [head.key for head in again.context["table"].heads] == [
        head.key for head in whole.context["table"].heads
    ]


def unwanted(_: Project) -> None:
    raise AssertionError("This takes as long as the rest of the page.")
