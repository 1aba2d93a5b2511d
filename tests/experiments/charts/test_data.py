"""Many curves in one request: what is in the answer, and who gets it."""

import json
from typing import Any

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from backline import batches
from experiments.charts import packing, selection
from experiments.metrics import metrics
from experiments.models import Project, Run
from portal.models import User
from tests.experiments.metrics.measured import NUMBERS
from tests.experiments.run_table.test_table import make


def log(run: Run, start: int = 0, **values: list[float]) -> None:
    """Log metrics together from a step on, one second apart."""
    count = len(next(iter(values.values())))
    steps = np.arange(start, start + count, dtype=np.int64)
    columns = np.array(list(values.values()), dtype=np.float64)
    table = batches.Table(tuple(values), steps, 1.7e9 + steps + run.number * 1000, columns)
    metrics.ingest(run, "session", next(NUMBERS), batches.encode([table]))


class Answer:
    def __init__(self, content: bytes) -> None:
        self.header, self.body = packing.unpack(content)

    def line(self, who: int, name: int = 0) -> dict[str, Any]:
        """Return a line's columns by name; it has to be there once."""
        (row,) = [row for row in self.header["lines"] if row[:2] == [who, name]]
        _, _, total, last, (x, steps, mean, low, high, count), marks, added = row
        read = {"total": total, "last": last, "added": added, "steps": None}
        named = {"x": x, "mean": mean, "low": low or mean, "high": high or mean, "count": count}
        if steps:
            named["steps"] = steps
        read |= {name: self._column(place) for name, place in named.items()}
        read["marks"] = [self._column(place) for place in marks] if marks else None
        return read

    def _column(self, place: packing.Column) -> list[float]:
        return [round(float(v), 5) for v in packing.column(self.body, place)]


@pytest.fixture
def signed_in(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def ask(client: Client, project: Project, **query: object) -> Answer:
    response = client.get(reverse("experiments:charts_data", args=[project.slug]), query)
    assert response.status_code == 200, response.content
    return Answer(response.content)


def test_curves_of_all_runs_and_metrics_come_in_one_answer(
    signed_in: Client, ada: User, project: Project
) -> None:
    one, two = make(project, ada, 1), make(project, ada, 2)
    log(one, loss=[3, 2, float("nan"), 1], lr=[1, 1, 1, 1])
    log(two, loss=[5, 4])
    found = ask(signed_in, project, runs="1,2,9", name=["loss", "lr"])
    assert found.header["runs"] == [[1, False], [2, False]]
    loss = found.line(0)
    assert loss["x"] == [0, 1, 2, 3]
    assert loss["mean"][:2] == [3, 2]
    assert np.isnan(loss["mean"][2])
    assert loss["marks"] == [[2], [1]]
    assert (loss["total"], loss["last"]) == (4, 3)
    assert found.line(1)["mean"] == [5, 4]
    assert [row[:2] for row in found.header["lines"]] == [[0, 0], [0, 1], [1, 0]]


def test_the_number_of_queries_grows_with_neither_runs_nor_metrics(
    signed_in: Client, ada: User, project: Project
) -> None:
    for number in (1, 2, 3, 4):
        log(make(project, ada, number), a=[1, 2], b=[1, 2], c=[3, 4])

    def queries(**query: object) -> int:
        with CaptureQueriesContext(
            connection,
        ) as caught:
            ask(signed_in, project, **query)
        return len(caught)

    ask(signed_in, project, runs="1", name="a")
    assert queries(runs="1", name="a") == queries(runs="1,2,3,4", name=["a", "b", "c"])


def test_extremes_of_a_long_curve_are_seen_and_a_zoom_finds_the_one_spike(
    signed_in: Client, ada: User, project: Project
) -> None:
    run = make(project, ada, 1)
    values = np.ones(60_000)
    values[41_234] = 1000.0
    log(run, loss=values.tolist())
    metrics.compact(run)
    far = ask(signed_in, project, runs="1", name="loss", points=200).line(0)
    assert len(far["x"]) <= 200
    assert sum(far["count"]) == 60_000
    assert max(far["high"]) == 1000
    near = ask(
        signed_in, project, runs="1", name="loss", points=200, **{"from": 41_200, "to": 41_270}
    ).line(0)
    assert near["mean"][near["x"].index(41_234)] == 1000
    assert near["high"][near["x"].index(41_235)] == 1


def test_x_may_be_time_or_another_metric(signed_in: Client, ada: User, project: Project) -> None:
    run = make(project, ada, 1)
    log(run, loss=[4, 3, 2, 1], tokens=[0, 100, 200, 300])
    assert ask(signed_in, project, runs="1", name="loss", x="relative").line(0)["x"] == [0, 1, 2, 3]
    wall = ask(signed_in, project, runs="1", name="loss", x="wall").line(0)["x"]
    assert wall[0] == 1.7e9 + 1000
    by_tokens = ask(signed_in, project, runs="1", name="loss", x="tokens").line(0)
    assert (by_tokens["x"], by_tokens["steps"]) == ([0, 100, 200, 300], [0, 1, 2, 3])
    part = ask(signed_in, project, runs="1", name="loss", x="tokens", **{"from": 150, "to": 250})
    assert 200 in part.line(0)["x"]
    assert ask(signed_in, project, runs="1", name="loss", x="none").header["lines"] == []


def test_a_formula_is_joined_by_step_and_an_error_names_its_character(
    signed_in: Client, ada: User, project: Project
) -> None:
    run = make(project, ada, 1)
    log(run, train=[10, 8, 6, 4])
    log(run, start=1, val=[9])
    log(run, start=3, val=[7])
    found = ask(
        signed_in, project, runs="1", name=["=train - val", "=train -", "=exp(gone)", "=train * 2"]
    )
    assert found.line(0)["x"] == [1, 3]
    assert found.line(0)["mean"] == [-1, -3]
    assert found.line(0, 3)["mean"] == [20, 16, 12, 8]
    assert found.header["errors"]["=train -"]["position"] == 7
    assert {row[1] for row in found.header["lines"]} == {0, 3}


def test_formulas_cannot_ask_for_more_metrics_than_a_request_reads(
    signed_in: Client, ada: User, project: Project
) -> None:
    log(make(project, ada, 1), loss=[1])
    greedy = [f"={'+'.join(f'm{row}x{n}' for n in range(40))}" for row in range(39)]
    found = ask(signed_in, project, runs="1", name=[*greedy, "loss"])
    assert "at most 60 metrics" in found.header["errors"][greedy[1]]["sentence"]
    assert found.line(0, 39)["mean"] == [1]


def test_groups_are_one_line_each_with_their_band(
    signed_in: Client, ada: User, project: Project
) -> None:
    for number, lr, loss in ((1, 0.1, 2.0), (2, 0.1, 4.0), (3, 0.01, 9.0)):
        log(make(project, ada, number, config={"lr": lr}), loss=[loss, loss + 1])
    found = ask(signed_in, project, runs="1,2,3", name="loss", group="config.lr", spread="std")
    assert [group["label"] for group in found.header["groups"]] == ["lr 0.01", "lr 0.1"]
    assert found.header["groups"][1]["runs"] == [1, 2]
    line = found.line(1)
    assert line["mean"] == [3, 4]
    assert line["count"] == [2, 2]
    assert line["high"][0] == pytest.approx(3 + 2**0.5, abs=1e-4)
    # One run alone has no deviation.
    assert found.line(0)["low"] == found.line(0)["mean"]


def test_only_what_is_new_is_fetched(signed_in: Client, ada: User, project: Project) -> None:
    run, still = make(project, ada, 1, state="running"), make(project, ada, 2)
    log(run, loss=[3, 2])
    log(still, loss=[1])
    ask_new = {"runs": "1,2", "name": ["loss", "lr"], "after": ["1:2.1,-", "2:1.0,-"]}
    assert ask(signed_in, project, **ask_new).header["lines"] == []
    log(run, start=2, loss=[float("nan"), 0], lr=[1, 1])
    found = ask(signed_in, project, **ask_new)
    more = found.line(0)
    assert (more["added"], more["x"], more["total"], more["last"]) == (1, [2, 3], 4, 3)
    assert found.line(0, 1)["added"] == 0
    assert {row[0] for row in found.header["lines"]} == {0}
    relative = ask(signed_in, project, **ask_new, x="relative").line(0)
    assert relative["x"] == [2, 3]


def test_what_does_not_follow_is_sent_whole(signed_in: Client, ada: User, project: Project) -> None:
    run = make(project, ada, 1)
    log(run, start=10, loss=[3, 2])
    after = {"runs": "1", "name": "loss", "after": "1:2.11"}
    log(run, start=5, loss=[7])
    found = ask(signed_in, project, **after).line(0)
    assert (found["added"], found["x"], found["total"]) == (0, [5, 10, 11], 3)
    log(run, start=12, loss=[1])
    metrics.compact(run)
    assert ask(signed_in, project, runs="1", name="loss", after="1:3.11").line(0)["added"] == 0


def test_an_answer_that_has_not_changed_is_not_sent_again(
    signed_in: Client, ada: User, project: Project
) -> None:
    run = make(project, ada, 1)
    log(run, loss=[3, 2])
    address = reverse("experiments:charts_data", args=[project.slug]) + "?runs=1&name=%3Dloss*2"
    etag = signed_in.get(address).headers["ETag"]
    again = signed_in.get(address, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    log(run, start=2, loss=[1])
    assert signed_in.get(address, headers={"If-None-Match": etag}).status_code == 200


def test_small_differences_of_large_values_survive(
    signed_in: Client, ada: User, project: Project
) -> None:
    log(make(project, ada, 1), near=[1e6, 1e6 + 0.01], huge=[1e300, -1e300], small=[0.5, 0.25])
    response = ask(signed_in, project, runs="1", name=["near", "huge", "small"])
    kinds = [row[4][2][2] for row in response.header["lines"]]
    assert kinds == ["f8", "f8", "f4"]
    assert response.line(0)["mean"] == [1e6, 1e6 + 0.01]


def test_runs_of_other_people_are_not_in_it(
    client: Client, ada: User, ben: User, project: Project
) -> None:
    log(make(project, ada, 1), loss=[1])
    client.force_login(ben)
    address = reverse("experiments:charts_data", args=[project.slug])
    assert client.get(address, {"runs": "1", "name": "loss"}).status_code == 404


def test_a_query_chooses_runs_and_one_that_cannot_be_read_is_refused(
    signed_in: Client, ada: User, project: Project
) -> None:
    for number, state in ((1, "failed"), (2, "finished")):
        log(make(project, ada, number, state=state), loss=[1])
    found = ask(signed_in, project, q="state:finished", name="loss")
    assert found.header["runs"] == [[2, False]]
    address = reverse("experiments:charts_data", args=[project.slug])
    refused = signed_in.get(address, {"q": "nonsense:1", "name": "loss"})
    assert refused.status_code == 400


def test_what_a_page_of_charts_leaves_out_is_said(
    ada: User, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "NEWEST", 2)
    for number in (1, 2, 3):
        make(project, ada, number)
    newest = selection.choose(user=ada, project=project, numbers="", text="")
    assert [run.number for run in newest.runs] == [2, 3]
    assert newest.note == "Shown are the newest 2 of the 3 runs of this project."
    all_found = selection.choose(user=ada, project=project, numbers="", text="state:finished")
    assert (len(all_found.runs), all_found.found, all_found.note) == (3, 3, "")


@pytest.mark.parametrize(
    "query",
    [
        {"points": "99999999999"}, {"points": "x"}, {"from": "nan", "to": "inf"},
        {"from": "1e99", "to": "-1e99"}, {"after": "1:99.99,x;drop"}, {"after": ":::"},
        {"x": "=loss"}, {"group": "no.such,config.", "spread": "other"}, {"name": "="},
        {"name": ["=" + "(" * 200]}, {"from": "5", "to": "2"},
    ],
)  # fmt: skip
def test_nonsense_breaks_nothing(
    signed_in: Client, ada: User, project: Project, query: dict[str, Any]
) -> None:
    log(make(project, ada, 1), loss=[1, 2])
    found = ask(signed_in, project, **({"runs": "1", "name": "loss"} | query))
    json.dumps(found.header, allow_nan=False)
