"""The tabs of a run's page: one address each, what stands on them, and how much each reads."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from experiments.models import Checkpoint, Membership, Project, Run, Series
from experiments.run_page import overview, tabs
from experiments.runs import runs
from experiments.views import run_tabs
from portal.models import Blob, User


@pytest.fixture
def run(ada: User, project: Project) -> Run:
    return runs.submit(
        by=ada, project=project, recipe="tone_check", config={"steps": 7}, name="Tried"
    )


def address(name: str, run: Run) -> str:
    return reverse(f"experiments:{name}", args=[run.project.slug, run.number])


def read(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, url
    return str(answer.content.decode())


def test_each_tab_names_itself_and_links_to_the_others(client: Client, ada: User, run: Run) -> None:
    client.force_login(ada)
    urls = [label.url for label in tabs.labels(run, current="")]
    assert len(set(urls)) == len(urls) >= 9
    for url in urls:
        text = read(client, url)
        assert text.count('aria-current="page" data-tab=') == 1
        assert f'href="{url}" aria-current="page" data-tab=' in text
        assert all(f'href="{other}"' in text for other in urls)
        # The header is the same on each.
        assert 'data-now="words">Waiting</span>' in text
        assert "Rerun, same seed" in text
        assert "Ada" in text


def test_tabs_say_how_much_is_on_them_by_one_query(ada: User, run: Run) -> None:
    for name in ("loss", "acc", "system/cpu_percent"):
        Series.objects.create(run=run, name=name, count=1)
    with CaptureQueriesContext(connection) as queries:
        counted = tabs.counts(run)
    assert len(queries) == 1
    assert counted == {
        **dict.fromkeys(counted, 0), "charts": 2, "system": 1,
    }  # fmt: skip
    assert {"samples", "checkpoints"} <= set(counted)


def test_a_tab_that_an_app_above_registers_stands_where_it_asks_once() -> None:
    before = list(tabs._tabs)
    try:
        new = tabs.Tab("stems", "Stems", "experiments:run", rows=Series.objects.all)
        tabs.register(new, after="log")
        tabs.register(new, after="charts")
        keys = [tab.key for tab in tabs._tabs]
        assert keys.count("stems") == 1
        assert keys[keys.index("log") + 1] == "stems"
        tabs.register(tabs.Tab("last", "Last", "experiments:run"))
        assert tabs._tabs[-1].key == "last"
    finally:
        tabs._tabs[:] = before


def test_no_tab_reads_more_for_more_metrics(client: Client, ada: User, run: Run) -> None:
    client.force_login(ada)

    def queries(url: str) -> int:
        with CaptureQueriesContext(connection) as found:
            read(client, url)
        return len(found)

    urls = [label.url for label in tabs.labels(run, current="")]
    read(client, urls[0])
    few = {url: queries(url) for url in urls}
    # Before there were tabs, 23 for everything at once.
    assert max(few.values()) <= 19, few
    Series.objects.bulk_create(Series(run=run, name=f"m/{n}", count=1) for n in range(200))
    assert {url: queries(url) for url in urls} == few


def test_of_very_many_metrics_some_are_drawn_and_a_word_finds_the_others(
    client: Client, ada: User, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_tabs, "MAX_CHARTS", 3)
    for n in range(5):
        Series.objects.create(run=run, name=f"layer/{n}", count=1)
    Series.objects.create(run=run, name="loss", count=1)
    client.force_login(ada)
    text = read(client, address("run_charts", run))
    assert "3 of 6 metrics are drawn" in " ".join(text.split())
    assert text.count("data-chart ") == 3
    assert text.index('data-name="loss"') < text.index('data-name="layer/0"')
    text = read(client, address("run_charts", run) + "?q=ER/4")
    assert 'data-name="layer/4"' in text
    assert text.count("data-chart ") == 1
    assert "No metric of this run has" in read(client, address("run_charts", run) + "?q=nowhere")


def test_plotly_is_loaded_where_there_is_a_chart(client: Client, ada: User, run: Run) -> None:
    client.force_login(ada)
    Run.objects.update(state=Run.State.FINISHED)
    assert "plotly" not in read(client, address("run", run))
    Series.objects.create(run=run, name="loss", count=1)
    for name, drawn in (("run", True), ("run_charts", True), ("run_config", False)):
        assert ("plotly" in read(client, address(name, run))) == drawn, name


def test_the_overview_says_what_was_set_and_what_the_recipe_chose(
    client: Client, ada: User, run: Run
) -> None:
    chosen = {one.key: one for one in overview.settings(run)}
    assert chosen["steps"].changed
    assert chosen["steps"].has_default
    assert {key for key, one in chosen.items() if one.changed} == {"steps"}
    client.force_login(ada)
    text = " ".join(read(client, address("run", run)).split())
    assert f'7 <span class="muted">instead of {chosen["steps"].default}</span>' in text
    assert f"All {len(chosen)} settings" in text
    config = read(client, address("run_config", run))
    assert config.index("<dt>steps</dt>") < config.index("As its recipe has them")


def test_a_program_from_outside_has_no_defaults(ada: User, project: Project) -> None:
    run = runs.open_client_run(by=ada, project=project, config={"a": {"b": 1}})
    (one,) = overview.settings(run)
    assert (one.key, one.changed, one.has_default) == ("a.b", True, False)


def test_lineage_names_only_runs_that_the_person_may_see(
    client: Client, ada: User, ben: User, run: Run
) -> None:
    hidden = Project.objects.create(slug="hidden", name="Hidden")
    blob = Blob.objects.create(sha256="ab" * 32, size=1, media_type="application/octet-stream")
    source = Run.objects.create(project=hidden, number=1, name="Secret parent", submitted_by=ben)
    weights = Checkpoint.objects.create(run=source, step=5, blob=blob)
    own = Checkpoint.objects.create(run=run, step=9, blob=blob)
    Run.objects.filter(pk=run.pk).update(start_from=weights)
    Run.objects.create(
        project=hidden, number=2, name="Secret child", submitted_by=ben, start_from=own
    )
    Run.objects.create(
        project=run.project, number=9, name="Open child", submitted_by=ada, start_from=own
    )
    client.force_login(ada)
    for name in ("run_checkpoints", "run_data"):
        text = read(client, address(name, run))
        assert "Secret" not in text
        assert "of a run that is not open to you" in text
    assert "Open child" in read(client, address("run_checkpoints", run))
    Membership.objects.create(project=hidden, user=ada, level=Membership.Level.VIEWER)
    text = read(client, address("run_checkpoints", run))
    assert "Secret parent" in text
    assert "Secret child" in text
