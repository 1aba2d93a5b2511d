"""What a script says of its run reaches the portal, also after it was away, and replaces nothing
that people wrote unless the script says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import backline
from backline import wire
from backline.words import Tags, checked_tags
from experiments.models import Project, Run
from experiments.runs import describing, runs
from portal import tokens
from portal.models import User
from tests.backline.portal import Door, opened
from tests.backline.test_client import wait_for


class Server:
    url: str


@pytest.fixture(autouse=True)
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "spools"
    monkeypatch.setenv("BACKLINE_SPOOL", str(root))
    monkeypatch.setenv("BACKLINE_BEAT_SECONDS", "0.2")
    return root


@pytest.fixture
def door(live_server: Server) -> Iterator[Door]:
    with opened(live_server.url) as found:
        yield found


QUIET = {"capture_console": False, "system_figures": False}


@pytest.mark.django_db(transaction=True)
def test_a_script_names_its_run_and_tags_it_also_while_the_portal_is_away(
    door: Door, ada: User, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tokens.issue(ada, "script")[1]
    run = backline.init(
        project.slug, "first", {}, door.url, token,
        tags=["jazz", 'no"quote', "Jazz"], notes="# Why", **QUIET,
    )  # fmt: skip
    row = Run.objects.get()
    assert (row.tags, row.notes, row.described) == (["jazz"], "# Why", 0)
    assert list(run.tags) == ["jazz"]
    door.broken = True
    run.name = "second"
    run.notes += "\nBecause."
    run.tags.add("slow", "a,b")
    run.tags += ["best"]
    run.tags.remove("JAZZ")
    run.description = "x" * 301
    assert (run.name, list(run.tags)) == ("second", ["slow", "best"])
    door.broken = False
    run.finish()
    row.refresh_from_db()
    assert (row.name, row.notes) == ("second", "# Why\nBecause.")
    assert (row.tags, row.description) == (["slow", "best"], "")
    said = capsys.readouterr().err
    assert "The description of the run cannot be kept" in said
    assert "'a,b'" in said
    # Resumed, it knows what is there; what init says fills what is empty.
    describing.edit(run=row, by=ada, remove_tags=["slow"], description="by hand")
    again = backline.init(
        project.slug, "other", {}, door.url, token, resume=str(row.number),
        tags=["slow", "new"], description="by code", notes="by code", **QUIET,
    )  # fmt: skip
    assert (again.name, again.description) == ("second", "by hand")
    assert (again.notes, list(again.tags)) == ("# Why\nBecause.", ["best", "new"])
    again.tags = ["only"]
    again.finish()
    row.refresh_from_db()
    assert (row.name, row.tags) == ("second", ["only"])


@pytest.mark.django_db(transaction=True)
def test_in_a_job_of_the_portal_it_is_the_job_s_run(
    live_server: Server,
    ada: User,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    spools: Path,
) -> None:
    row = runs.submit(by=ada, project=project, recipe="tone_check", config={}, name="queued")
    monkeypatch.setenv("BACKLINE_RUN", str(row.pk))
    monkeypatch.setenv("BACKLINE_SESSION", "attempt-1")
    monkeypatch.setenv("BACKLINE_URL", live_server.url)
    monkeypatch.setenv("BACKLINE_TOKEN", tokens.issue(ada, "run", scope=f"run:{row.pk}")[1])
    run = backline.init(name="ignored", tags="one", notes="from code", **QUIET)  # type: ignore[arg-type]
    run.finish()
    wait_for(lambda: not any(spools.glob("*/session.json")))
    row.refresh_from_db()
    assert (row.name, row.tags, row.notes) == ("queued", ["one"], "from code")
    assert row.edits.get().by is None


def test_tags_are_what_was_said() -> None:
    sent: list[tuple[list[str], list[str]]] = []
    said: list[str] = []

    def deliver(_: str, words: wire.Words) -> None:
        sent.append((words.add_tags, words.remove_tags))

    tags = Tags(["Jazz"], say=said.append, deliver=deliver)
    tags.add("jazz", " late  night ", 3)  # type: ignore[arg-type]
    tags.replace(["JAZZ", "x"])
    tags.replace("one")
    assert sent == [
        (["late night", "3"], []),
        (["x"], ["late night", "3"]),
        (["one"], ["JAZZ", "x"]),
    ]
    assert ("ONE" in tags, len(tags), said) == (True, 1, [])


def test_what_is_no_tag_is_said_and_left_out() -> None:
    said: list[str] = []
    assert checked_tags(["", "x" * 61, "ok", "\ud800", 'a"'], say=said.append) == ["ok", "\ufffd"]
    assert len(said) == 3
