"""Random queries against an evaluator that is written anew here, in Python over plain dicts.

It shares nothing with the query line: it makes queries as trees, writes them down in one of their
spellings, and says itself for which runs they hold.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.models import Project, Run
from experiments.run_table import query
from portal.models import User
from tests.examples import examples
from tests.experiments.run_table.test_table import make, measure

MISSING = object()
TEXTS = ["adam", "sgd", "a", "", "1", "true", 'it"s', "it's", "a\\b", "a%b", "größe", "50% of_it"]
NUMBERS = [0, 1, -1, 0.1, 1e-3, 2.5, 10, 2**60, 1e20]
VALUES = [*TEXTS, *NUMBERS, True, False, None, [], [1, "a"], ["adam", True], {"deep": 1}]
SETTINGS = ["lr", "opt", "model.width", "x y", "größe"]
NAMES = ["drum machine", "Bass", "drum'n bass", "100%", "a", "ab"]
TAGS = ["jazz", "jazz trio", "a", 'q"t', "größer"]
METRICS = ["loss", "val/loss"]

# Fifteen runs that differ in everything the queries ask for.
RUNS: list[dict[str, Any]] = [
    {
        "number": n + 1,
        "name": NAMES[n % len(NAMES)],
        "tags": [TAGS[n % 5], TAGS[(n + 2) % 5]][: n % 3],
        "state": list(Run.State)[n % 8].value,
        "recipe": ["flow_matching", ""][n % 2],
        "progress": (n % 5) / 4,
        "config": {
            name: VALUES[(n * 7 + place * 5) % len(VALUES)]
            for place, name in enumerate(SETTINGS)
            if (n + place) % 4
        },
        "metrics": {
            name: [0.5, None, -1.0, 3.0, 0.1][(n + place) % 5]
            for place, name in enumerate(METRICS)
            if (n + place) % 3
        },
    }
    for n in range(15)
]


@dataclass(frozen=True)
class Case:
    """A query as it is written, and whether it holds for a run."""

    text: str
    holds: Callable[[dict[str, Any]], bool]

    def __repr__(self) -> str:
        return self.text


def quoted(text: str) -> str:
    for quote in ('"', "'"):
        if quote not in text:
            return f"{quote}{text}{quote}"
    return '"' + text.replace('"', '""') + '"'


def written(value: object) -> str:
    return quoted(value) if isinstance(value, str) else repr(value)


def same(one: object, other: object) -> bool:
    """Of JSON: 1 is 1.0, and neither true nor "1"."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    return type(one) is type(other) and one == other


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def compares(value: Any, sign: str, bound: Any) -> bool:
    return {
        "<": lambda: value < bound, "<=": lambda: value <= bound,
        ">": lambda: value > bound, ">=": lambda: value >= bound,
    }[sign]()  # fmt: skip


signs = st.sampled_from(["<", "<=", ">", ">="])
scalars = st.sampled_from([v for v in VALUES if not isinstance(v, list | dict)])
names = st.sampled_from(SETTINGS)
numbers = st.sampled_from(NUMBERS)
texts = st.sampled_from([*TEXTS, "dam", "g", "ö", "%", "_"])


def setting(name: str) -> str:
    return f'config["{name}"]' if " " in name else f"run.{name}"


def of(run: dict[str, Any], name: str) -> Any:
    return run["config"].get(name, MISSING)


@st.composite
def settings_terms(draw: st.DrawFn) -> Case:
    name, value, number, text = draw(names), draw(scalars), draw(numbers), draw(texts)
    sign, field, listed = (
        draw(signs),
        setting(name),
        draw(st.lists(scalars, min_size=1, max_size=3)),
    )
    return draw(st.sampled_from([
        Case(f"{field} == {written(value)}", lambda r: same(of(r, name), value)),
        Case(f"{field} != {written(value)}",
             lambda r: of(r, name) is not MISSING and not same(of(r, name), value)),
        Case(f"{field} {sign} {number!r}",
             lambda r: is_number(of(r, name)) and compares(of(r, name), sign, number)),
        Case(f"{field} is None", lambda r: of(r, name) in (MISSING, None)),
        Case(f"{field} is not None", lambda r: of(r, name) not in (MISSING, None)),
        Case(f"{field} in ({', '.join(map(written, listed))})",
             lambda r: any(same(of(r, name), one) for one in listed)),
        Case(f"{quoted(text)} in {field}",
             lambda r: isinstance(of(r, name), str | list) and text in of(r, name)),
        Case(f"{field}.startswith({quoted(text)})",
             lambda r: isinstance(of(r, name), str) and of(r, name).startswith(text)),
        Case(f"{field}.endswith({quoted(text)})",
             lambda r: isinstance(of(r, name), str) and of(r, name).endswith(text)),
        Case(field, lambda r: of(r, name) is not MISSING and bool(of(r, name))),
        Case(f"-1 <= {field} < {number!r}",
             lambda r: is_number(of(r, name)) and -1 <= of(r, name) < number),
    ]))  # fmt: skip


@st.composite
def metric_terms(draw: st.DrawFn) -> Case:
    name, sign, number = (
        draw(st.sampled_from(METRICS)),
        draw(signs),
        draw(st.sampled_from([0.1, 0.5, -1, 3])),
    )
    field = draw(
        st.sampled_from([f'metrics["{name}"].last', f"metric.{name}", f'run.metrics["{name}"]'])
    )

    def finite(run: dict[str, Any]) -> bool:
        return run["metrics"].get(name) is not None

    def value(run: dict[str, Any]) -> Any:
        return run["metrics"].get(name, MISSING)

    return draw(st.sampled_from([
        Case(f"{field} {sign} {number}", lambda r: finite(r) and compares(value(r), sign, number)),
        Case(f"{field}=={number}", lambda r: finite(r) and value(r) == number),
        Case(f"{field} != {number}", lambda r: finite(r) and value(r) != number),
        Case(f"{field} == nan", lambda r: value(r) is None),
        Case(f"{field} in ({number}, nan)", lambda r: value(r) is None or value(r) == number),
        Case(f"{field} is None", lambda r: value(r) is MISSING),
        Case(f"{field} is not None", lambda r: value(r) is not MISSING),
    ]))  # fmt: skip


@st.composite
def fact_terms(draw: st.DrawFn) -> Case:
    text, tag = (
        draw(st.sampled_from([*NAMES, "drum", "100", "'"])),
        draw(st.sampled_from([*TAGS, "j"])),
    )
    state, number = (
        draw(st.sampled_from(list(Run.State))).value,
        draw(st.sampled_from([0, 0.25, 0.9])),
    )
    sign, place = draw(signs), draw(st.integers(0, 16))
    return draw(st.sampled_from([
        Case(f"{quoted(text)} in run.name", lambda r: text in r["name"]),
        Case(f"name == {quoted(text)}", lambda r: text == r["name"]),
        Case(f"name:{quoted(text)}", lambda r: text.lower() in r["name"].lower()),
        Case(quoted(text), lambda r: text.lower() in r["name"].lower()),
        Case(f"{quoted(tag)} in run.tags", lambda r: tag in r["tags"]),
        Case(f"{quoted(tag)} not in tags", lambda r: tag not in r["tags"]),
        Case("run.tags", lambda r: bool(r["tags"])),
        Case(f"state:{state}", lambda r: r["state"] == state),
        Case(f"run.state != {state}", lambda r: r["state"] != state),
        Case(f"run.{'waiting' if state == 'queued' else state}", lambda r: r["state"] == state),
        Case("recipe is None", lambda r: not r["recipe"]),
        Case("recipe != generate", lambda r: bool(r["recipe"])),
        Case(f"run.progress {sign} {number}", lambda r: compares(r["progress"], sign, number)),
        Case(f"run:{place},3", lambda r: r["number"] in {place, 3}),
        Case(f"{place} {sign} run.number", lambda r: compares(place, sign, r["number"])),
    ]))  # fmt: skip


def joined(inner: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    def both(pair: tuple[Case, Case]) -> st.SearchStrategy[Case]:
        a, b = pair
        return st.sampled_from([
            Case(f"({a} and {b})", lambda r: a.holds(r) and b.holds(r)),
            Case(f"({a} {b})", lambda r: a.holds(r) and b.holds(r)),
            Case(f"({a} or {b})", lambda r: a.holds(r) or b.holds(r)),
            Case(f"(not {a} or not {b})", lambda r: not a.holds(r) or not b.holds(r)),
        ])  # fmt: skip

    def no(a: Case) -> st.SearchStrategy[Case]:
        return st.sampled_from([
            Case(f"not {a}", lambda r: not a.holds(r)), Case(f"-({a})", lambda r: not a.holds(r)),
        ])  # fmt: skip

    return st.one_of(st.tuples(inner, inner).flatmap(both), inner.flatmap(no))


queries = st.recursive(
    st.one_of(settings_terms(), settings_terms(), metric_terms(), fact_terms()),
    joined,
    max_leaves=5,
)


@pytest.fixture
def world(project: Project, ada: User) -> list[dict[str, Any]]:
    for row in RUNS:
        fields = {name: row[name] for name in ("name", "tags", "state", "recipe", "progress")}
        nested = {key: value for key, value in row["config"].items() if key != "model.width"}
        if "model.width" in row["config"]:
            nested["model"] = {"width": row["config"]["model.width"]}
        run = make(project, ada, row["number"], config=nested, **fields)
        for name, value in row["metrics"].items():
            measure(run, name, value)
    return RUNS


@settings(
    max_examples=examples(250),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=queries)
def test_a_query_finds_what_a_naive_evaluator_finds(
    project: Project, world: list[dict[str, Any]], case: Case
) -> None:
    if len(case.text) > query.MAX_LENGTH:
        return
    rows = query.apply(Run.objects.filter(project=project), case.text)
    expected = {run["number"] for run in world if case.holds(run)}
    assert set(rows.values_list("number", flat=True)) == expected


def test_the_evaluator_tells_runs_apart() -> None:
    """Otherwise the comparison above could not fail."""
    assert len({run["number"] for run in RUNS if is_number(of(run, "lr"))}) > 2
    assert len({run["number"] for run in RUNS if of(run, "lr") is MISSING}) > 2
    assert len({run["number"] for run in RUNS if run["metrics"].get("loss", 1) is None}) > 1
    assert not math.isnan(sum(run["progress"] for run in RUNS))


PIECES = st.sampled_from(
    ["run.", "config", "metrics", "[", "]", '"', "'", "(", ")", ",", " ", " in ", " not ", " is ",
     " and ", " or ", "None", "nan", "==", "<", "!=", "=", ":", "-", ".", "lr", "state", "tags",
     ".min", "startswith", "matches", "*", "1e3", "2h", "now-", "2026-11-01", "0", "\\", "%", "é"]
)  # fmt: skip


@settings(
    max_examples=examples(400),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(text=st.lists(PIECES, max_size=14).map("".join))
def test_whatever_is_typed_finds_runs_or_says_where_it_went_wrong(
    project: Project, world: list[dict[str, Any]], text: str
) -> None:
    try:
        list(query.apply(Run.objects.filter(project=project), text)[:1])
    except query.BadQuery as error:
        assert error.length >= 1  # noqa: PT017 - most lines are read without an error.
        assert 0 <= error.position <= max(len(text) - 1, 0)  # noqa: PT017
