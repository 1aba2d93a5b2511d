"""The layout of the run table: its address, saved views, files of it."""

import csv
import io
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st

from backline import batches
from experiments.metrics import metrics
from experiments.models import FirstView, Membership, Project, Run, RunView
from experiments.run_table import saved_views, table
from experiments.run_table.layout import FORMATS, MAX_WIDTH, MIN_WIDTH, Column, Layout
from portal.inputs.parameters import Parameters
from portal.models import AuditEvent, User
from tests.conftest import person
from tests.examples import examples
from tests.experiments.run_table.test_table import make, measure


def read(address: str) -> Layout:
    return Layout.from_parameters(Parameters(QueryDict(address)))


KEYS = ("state", "config.a:b", "metric.val loss.min", "config.model.lr", "owner", "cost")
columns = st.builds(
    Column,
    key=st.sampled_from(KEYS),
    pinned=st.booleans(),
    width=st.none() | st.integers(MIN_WIDTH, MAX_WIDTH),
    format=st.sampled_from(FORMATS),
    best=st.sampled_from(["", "min", "max"]),
)
layouts = st.builds(
    Layout,
    text=st.sampled_from(["", "state:failed", 'name:"a & b=c"', "größer"]),
    sort=st.sampled_from(["", "name", "-metric.loss", "config.a:b"]),
    columns=st.lists(columns, max_size=6, unique_by=lambda column: column.key).map(tuple),
    groups=st.lists(st.sampled_from(KEYS), max_size=4, unique=True).map(tuple),
    hidden=st.sampled_from([(), ("failed",), ("failed", "cancelled")]),
    archived=st.booleans(),
    page_size=st.sampled_from([25, 50, 100]),
)


@settings(max_examples=examples(60))
@given(layouts, st.none() | st.integers(1, 99))
def test_an_address_gives_its_layout_back(layout: Layout, view: int | None) -> None:
    assert read(layout.address(view)) == layout
    assert Layout.model_validate(layout.model_dump(mode="json")) == layout


def test_what_makes_no_sense_in_an_address_is_left_out() -> None:
    layout = read(
        "sort=nothing&col=what&col=state&col=state&width=state:7&width=owner:90&width=:&as=state:nice"
        "&best=state:most&hide=running&hide=failed&per=51&group=nope"
    )
    assert layout == Layout(
        columns=(Column(key="state", width=MIN_WIDTH),), hidden=(Run.State.FAILED.value,)
    )


def test_hidden_states_are_left_out_and_the_best_of_all_pages_is_marked(
    client: Client, project: Project, ada: User
) -> None:
    for number in range(1, 31):
        run = make(project, ada, number, state="failed" if number == 1 else "finished")
        measure(run, "loss", float(number))
    measure(make(project, ada, 31), "loss", None)
    client.force_login(ada)
    address = reverse("experiments:runs", args=[project.slug])
    query = "?per=25&col=metric.loss&best=metric.loss:min&sort=metric.loss"
    first = client.get(f"{address}{query}&hide=failed").content.decode()
    assert first.count(" data-best ") == 1
    assert "30 runs found" in first
    # The best of all runs found stands on the first page alone.
    assert " data-best " not in client.get(f"{address}{query}&page=2").content.decode()
    assert " data-best " in client.get(f"{address}{query}").content.decode()


def test_usual_columns_are_what_was_measured_and_what_differs(project: Project, ada: User) -> None:
    for number in range(1, 4):
        run = make(project, ada, number, config={"lr": number / 10, "same": 1})
        measure(run, "loss", 0.1)
        measure(run, "system/cpu", 5)
    read_table = table.read(user=ada, project=project, layout=Layout())
    keys = [column.key for column in read_table.columns]
    assert keys[:3] == ["state", "metric.loss", "config.lr"]
    assert not {"config.same", "metric.system/cpu", "owner"} & set(keys)
    assert read_table.columns[1].best == "min"
    assert [cell.best for cell in read_table.rows[0].cells][1]


# --- Saved views -----------------------------------------------------------------------------


@pytest.fixture
def layout() -> Layout:
    return Layout(text="state:failed", columns=(Column(key="owner", pinned=True),))


def test_a_view_is_saved_chosen_and_comes_first(
    client: Client, project: Project, ada: User, ben: User, layout: Layout
) -> None:
    client.force_login(ada)
    save = reverse("experiments:view_save", args=[project.slug])
    answer = client.post(f"{save}?{layout.address()}", {"name": "My failures"}, follow=True)
    view = RunView.objects.get()
    assert saved_views.layout_of(view) == layout
    assert "Saved as" in answer.content.decode()
    runs = reverse("experiments:runs", args=[project.slug])
    assert client.get(f"{runs}?view={view.pk}").context["layout"] == layout
    assert client.get(runs).context["layout"] == Layout()
    client.post(reverse("experiments:view_first", args=[project.slug]), {"view": view.pk})
    assert client.get(runs).context["layout"] == layout
    assert client.get(f"{runs}?view=standard").context["layout"] == Layout()
    # What stands in the address is before the view.
    assert client.get(f"{runs}?q=&view={view.pk}").context["layout"] == Layout()
    assert client.get(f"{runs}?q=&view={view.pk}").context["changed"]
    # Of a view that is deleted nothing is left but the usual columns.
    client.post(reverse("experiments:view_delete", args=[project.slug, view.pk]))
    assert client.get(runs).context["layout"] == Layout()
    assert not FirstView.objects.exists()


def test_the_same_name_replaces_ones_own_view_alone(
    project: Project, ada: User, ben: User, layout: Layout
) -> None:
    Membership.objects.create(project=project, user=ben)
    mine = saved_views.save(by=ada, project=project, name="x", layout=layout, shared=True)
    theirs = saved_views.save(by=ben, project=project, name="x", layout=Layout())
    again = saved_views.save(by=ada, project=project, name="x", layout=Layout(), shared=True)
    assert again.pk == mine.pk != theirs.pk
    assert [view.pk for view in saved_views.visible(user=ben, project=project)] == [
        theirs.pk, mine.pk,
    ]  # fmt: skip
    assert [view.pk for view in saved_views.visible(user=ada, project=project)] == [mine.pk]
    assert AuditEvent.objects.filter(verb="run_view.saved").count() == 2
    with pytest.raises(saved_views.ViewRefused, match="belongs to"):
        saved_views.delete(by=ben, view=mine)
    # An owner of the project tidies up what is shared, not what is somebody's alone.
    with pytest.raises(saved_views.ViewRefused, match="belongs to"):
        saved_views.delete(by=ada, view=theirs)
    left = saved_views.save(by=ben, project=project, name="y", layout=Layout(), shared=True)
    saved_views.delete(by=ada, view=left)
    assert list(saved_views.visible(user=ben, project=project)) == [theirs, mine]


def test_only_an_owner_chooses_what_all_see_first_and_only_what_is_shared(
    project: Project, ada: User, ben: User, layout: Layout
) -> None:
    Membership.objects.create(project=project, user=ben)
    view = saved_views.save(by=ada, project=project, name="x", layout=layout)
    with pytest.raises(saved_views.ViewRefused, match="Share the view first"):
        saved_views.make_first(by=ada, project=project, view=view, for_all=True)
    saved_views.save(by=ada, project=project, name="x", layout=layout, shared=True)
    view.refresh_from_db()
    with pytest.raises(saved_views.ViewRefused, match="Only an owner"):
        saved_views.make_first(by=ben, project=project, view=view, for_all=True)
    saved_views.make_first(by=ada, project=project, view=view, for_all=True)
    assert saved_views.first(user=ben, project=project) == view
    # No longer shared, it is nobody else's.
    saved_views.save(by=ada, project=project, name="x", layout=layout)
    assert saved_views.first(user=ben, project=project) is None


def test_who_may_only_look_saves_for_themselves(
    client: Client, project: Project, ada: User, layout: Layout
) -> None:
    viewer = person("vera", "Vera Vale")
    Membership.objects.create(project=project, user=viewer, level=Membership.Level.VIEWER)
    client.force_login(viewer)
    save = reverse("experiments:view_save", args=[project.slug])
    address = f"{save}?{layout.address()}"
    refused = client.post(address, {"name": "For all", "shared": "on"})
    assert refused.status_code == 422
    assert "Only members" in refused.content.decode()
    assert "For all" in refused.content.decode()
    client.post(address, {"name": "Mine"})
    assert RunView.objects.get().owner == viewer
    # A query that cannot be read makes no view.
    assert client.post(f"{save}?q=(state:failed", {"name": "Broken"}).status_code == 422
    assert RunView.objects.count() == 1
    assert client.post(address, {"name": ""}).status_code == 422


# --- Files -----------------------------------------------------------------------------------


def test_files_have_all_runs_found_in_their_order(
    client: Client, project: Project, ada: User
) -> None:
    for number in range(1, 61):
        config = {"lr": number / 100, "opt": "=1+1" if number == 2 else "adam"}
        run = make(
            project, ada, number, config=config, state="failed" if number > 58 else "finished"
        )
        measure(run, "loss", None if number == 3 else number / 7)
    client.force_login(ada)
    query = "?col=config.lr&col=config.opt&col=metric.loss&sort=-config.lr&hide=failed"
    address = reverse("experiments:runs_csv", args=[project.slug])
    answer = client.get(address + query)
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["number"]) for row in rows] == list(range(58, 0, -1))
    assert rows[0]["config.lr"] == "0.58"
    assert rows[-2]["config.opt"] == "'=1+1"
    assert rows[-3]["metric.loss"] == "nan"
    few = client.get(f"{address}{query}&select=2,5,60")
    assert len(b"".join(few.streaming_content).decode().splitlines()) == 3

    parquet = client.get(reverse("experiments:runs_parquet", args=[project.slug]) + query)
    read_table = pq.read_table(io.BytesIO(parquet.content))
    assert read_table.num_rows == 58
    found = read_table.to_pydict()
    assert found["config.lr"][0] == 0.58
    assert found["config.opt"][-2] == "=1+1"
    assert math.isnan(found["metric.loss"][-3])
    assert found["metric.loss"][0] == pytest.approx(58 / 7)
    assert str(read_table.schema.field("number").type) == "int64"


def test_a_file_of_a_query_that_cannot_be_read_says_so(
    client: Client, project: Project, ada: User
) -> None:
    client.force_login(ada)
    answer = client.get(reverse("experiments:runs_csv", args=[project.slug]) + "?q=state:what")
    assert answer.status_code == 422
    assert "state" in answer.content.decode()


def test_a_page_of_runs_is_light(client: Client, project: Project, ada: User) -> None:
    for number in range(1, 51):
        run = make(
            project, ada, number, config={"lr": number / 100, "seed": number, "width": number}
        )
        measure(run, "loss", number / 7)
        measure(run, "control/tempo", number / 7)
    client.force_login(ada)
    page = client.get(reverse("experiments:runs", args=[project.slug]))
    assert len(page.content) < 60_000


# --- The query on the page -------------------------------------------------------------------


def test_terms_are_chips_that_take_themselves_off(
    client: Client, project: Project, ada: User
) -> None:
    make(project, ada, 1, config={"lr": 0.1}, tags=["jazz"])
    client.force_login(ada)
    address = reverse("experiments:runs", args=[project.slug])
    text = 'run.lr < 1 and ("jazz" in run.tags or run.failed) -state:failed'
    page = client.get(address, {"q": text})
    without = {term.label: read(term.address).text for term in page.context["terms"]}
    assert without == {
        "run.lr < 1": '("jazz" in run.tags or run.failed) and -state:failed',
        '("jazz" in run.tags or run.failed)': "run.lr < 1 and -state:failed",
        "-state:failed": 'run.lr < 1 and ("jazz" in run.tags or run.failed)',
    }
    for term in page.context["terms"]:
        assert client.get(f"{address}?{term.address}").context["table"].count == 1
    either = client.get(address, {"q": "run.lr < 1 or run.failed"}).context["terms"]
    assert [term.label for term in either] == ["run.lr < 1 or run.failed"]


def test_what_is_wrong_is_marked_and_what_was_meant_is_one_click_away(
    client: Client, project: Project, ada: User
) -> None:
    make(project, ada, 1, config={"learning_rate": 0.1})
    client.force_login(ada)
    address = reverse("experiments:runs", args=[project.slug])
    wrong = client.get(address, {"q": "state:finishd and run.learning_rate < 1"}).context["wrong"]
    assert wrong.part == "finishd"
    assert client.get(f"{address}?{wrong.address}").context["table"].count == 1
    # What can be read but that no run has finds nothing, and says what may be meant.
    found = client.get(address, {"q": "run.lerning_rate < 1"})
    assert found.context["table"].count == 0
    assert not found.context["wrong"]
    (hint,) = found.context["hints"]
    assert client.get(f"{address}?{hint.address}").context["table"].count == 1


# --- Groups ----------------------------------------------------------------------------------


def test_a_group_leads_only_where_its_mean_is_clearly_better(
    client: Client, project: Project, ada: User
) -> None:
    losses = {0.1: (0.50, 0.52, 0.51), 0.2: (0.10, 0.11, 0.12), 0.3: (0.1, 0.9, 0.2)}
    number = 0
    for lr, values in losses.items():
        for value in values:
            number += 1
            measure(make(project, ada, number, config={"lr": lr}), "loss", value)
    client.force_login(ada)
    address = reverse("experiments:runs", args=[project.slug])
    query = "?group=config.lr&col=metric.loss&sort=metric.loss:mean"
    page = client.get(address + query)
    rows = page.context["table"].rows
    assert [row.values[0][1] for row in rows] == [0.2, 0.3, 0.1]
    assert rows[0].runs == 3
    # 0.11 ± 0.01 against 0.4 ± 0.44: the second may as well be better.
    assert not any(row.figures[0].leads for row in rows)
    clear = client.get(address + query + "&q=run.lr+!%3D+0.3").context["table"].rows
    assert [row.figures[0].leads for row in clear] == [True, False]
    # A group opens as the runs that are in it.
    opened = client.get(f"{address}?{rows[2].address}")
    assert opened.context["table"].count == 3
    assert "0.51 ± 0.01" in page.content.decode()


def test_single_runs_lead_nothing(client: Client, project: Project, ada: User) -> None:
    for number in (1, 2):
        measure(make(project, ada, number, config={"lr": number}), "loss", number)
    client.force_login(ada)
    page = client.get(
        reverse("experiments:runs", args=[project.slug]) + "?group=config.lr&col=metric.loss"
    )
    rows = page.context["table"].rows
    assert len(rows) == 2
    assert not any(row.figures[0].leads for row in rows)
    # Its best would be its mean once more.
    text = page.content.decode()
    assert (">run 1</a>" in text, ">best " in text) == (True, False)


def test_a_column_may_be_a_curve(client: Client, project: Project, ada: User) -> None:
    run, empty = make(project, ada, 1), make(project, ada, 2)
    steps = np.arange(5_000)
    table_of_points = batches.Table(("loss",), steps, steps * 1.0, np.linspace(1, 0, 5_000)[None])
    metrics.ingest(run, "0", 1, batches.encode([table_of_points]))
    measure(empty, "loss", None)
    client.force_login(ada)
    page = client.get(
        reverse("experiments:runs", args=[project.slug]) + "?col=curve.loss&sort=curve.loss"
    )
    rows = {row.run.number: row.cells[0].value for row in page.context["table"].rows}
    points = rows[1]
    assert len(points) <= 32
    assert points[0][0] == 0.0
    assert points[0][1] > 0.95
    assert points[-1] == (1.0, 0.0)
    assert rows[2] is None
    assert page.content.decode().count('class="spark"') == 1


def test_runs_say_of_which_sweep_they_are(project: Project, ada: User) -> None:
    make(project, ada, 1)
    found = table.read(user=ada, project=project, layout=Layout(columns=(Column(key="sweep"),)))
    assert [row.cells[0].value for row in found.rows] == [None]
    assert not table.find(user=ada, project=project, layout=Layout(text="run.sweep == 1")).exists()
