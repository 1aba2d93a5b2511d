"""A back-up is worth what its restore is: the lines of docs/operations.md, as they stand."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from portal.processes.supervisor import end
from tests import migrated
from tests import nursery as nurseries
from tests.cluster import database as databases
from tests.cluster.control_plane import free_ports
from tests.nursery import Child, Nursery
from tests.patience import LIMIT_SECONDS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "operations.md"


def documented(name: str) -> str:
    """The lines under `<!-- name -->`, with this interpreter."""
    text = DOCS.read_text(encoding="utf-8")
    found = re.search(rf"<!-- {name} -->\n\n((?:    .*\n)+)", text)
    assert found, f"docs/operations.md has no lines for: {name}"
    return found[1].replace(".venv/bin/python", sys.executable)


def until(condition: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.05)


class Portal:
    """One portal with its web server and its programs, all below one folder."""

    def __init__(self, folder: Path, nursery: Nursery, url: str = "") -> None:
        self._nursery = nursery
        self.folder, self.state, self.marks = folder, folder / "state", folder / "marks"
        self.kind = "postgres" if url else "sqlite"
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self.env = {
            "PATH": os.environ["PATH"],
            "DJANGO_SETTINGS_MODULE": "portal.settings",
            "STATE_DIR": str(self.state),
            "DATABASE_URL": url or f"sqlite://{self.state}/backline.sqlite3",
            "PORT": str(port),
            "MARKS": str(self.marks),
            "BACKUP": str(folder / "backup"),
            "KEYS": str(folder / "keys"),
            "ENDINGS_DIR": str(folder / "endings"),
            "LOCAL_SLOTS": "4",
            "LOST_AFTER_SECONDS": "1",
            "STOP_GRACE_SECONDS": "1",
            "LOG_LEVEL": "ERROR",
            "OMP_NUM_THREADS": "1",
        }
        self._server: subprocess.Popen[bytes] | None = None
        self._world: Child | None = None
        self.marks.mkdir()

    def sh(self, *lines: str, fails: bool = False) -> str:
        done = subprocess.run(
            ["bash", "-e", "-u", "-o", "pipefail", "-c", "\n".join(lines)],
            cwd=ROOT, env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def manage(self, *arguments: str, **how: bool) -> str:
        return self.sh(f"{sys.executable} manage.py {' '.join(arguments)}", **how)

    def do(self, *verbs: str) -> Any:
        """What tests/flow/restored.py knows of them, one after the other; how things stand then."""
        if self._world is None:
            self._world = self._nursery.start(env=self.env)
        self._world.stdin.write(" ".join(verbs) + "\n")
        self._world.stdin.flush()
        answer = self._world.stdout.readline()
        assert answer, f"{verbs} failed; it has told why."
        return json.loads(answer)

    def becomes(self, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Rounds until it is so."""
        end = time.monotonic() + LIMIT_SECONDS
        while not condition(runs := self.do("round")["runs"]):
            assert time.monotonic() < end, runs
            time.sleep(0.1)
        found: list[dict[str, Any]] = runs
        return found

    def starts(self) -> list[str]:
        mark = self.marks / "starts"
        return sorted(mark.read_text().splitlines()) if mark.exists() else []

    def serve(self) -> None:
        command = ["-m", "uvicorn", "portal.asgi:application", "--port", self.env["PORT"]]
        command += ["--timeout-graceful-shutdown", "1", "--log-level", "error"]
        self._server = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=self.env)
        until(self._answers)

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/healthz", timeout=2).is_success
        return False

    def stop(self) -> None:
        """The portal, not its programs."""
        if self._world is not None:
            self._world.close()
            self._world = None
        if self._server is not None:
            end([self._server], seconds=10)
            self._server = None

    def end_programs(self) -> None:
        """All that runs for this portal, supervisors first, so that none tells how it ended."""
        ours = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                # Supervisors and senders name the folder; a program is a child of its supervisor.
                if any(str(self.state / "jobs") in word for word in process.cmdline()):
                    ours += [process, *process.children(recursive=True)]
        for process in ours:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(ours, timeout=10)

    def back_up(self) -> None:
        self.sh(documented(f"back up: {self.kind}"), documented("back up: files"))

    def restore_database(self) -> str:
        return self.sh(documented(f"restore: {self.kind}"), documented("restore: look"))


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with nurseries.running("tests.flow.restored", tmp_path_factory.mktemp("nursery")) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def portal(request: pytest.FixtureRequest, nursery: Nursery, tmp_path: Path) -> Iterator[Portal]:
    if request.param == "sqlite":
        yield request.getfixturevalue("small")
        return
    programs = databases.programs()
    if programs is None:
        pytest.skip("No PostgreSQL server found (Debian, Ubuntu: apt-get install postgresql).")
    with databases.running(programs) as server, pytest.MonkeyPatch.context() as patch:
        # Its own pg_dump comes first: an older one refuses a newer server.
        patch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        made = Portal(tmp_path, nursery, server.url)
        made.state.mkdir()
        migrated.fill(server)
        yield from _lasting(made)


@pytest.fixture
def small(nursery: Nursery, tmp_path: Path) -> Iterator[Portal]:
    made = Portal(tmp_path, nursery)
    migrated.copy_to(made.state)
    yield from _lasting(made)


def _lasting(made: Portal) -> Iterator[Portal]:
    try:
        yield made
    finally:
        made.stop()
        (made.marks / "go").touch()
        made.end_programs()


def arrived(runs: list[dict[str, Any]]) -> bool:
    """Whether the portal has all that the first run's program has sent so far."""
    first = runs[0]
    return (first["steps"], first["checkpoints"], first["samples"]) == (5, 1, 1)


def test_a_machine_that_is_gone_comes_back_from_its_back_up(portal: Portal) -> None:
    portal.do("people", "submit", "root")
    portal.serve()
    (before,) = portal.becomes(arrived)
    assert before["state"] == "running"
    portal.back_up()
    lines = portal.do()["lines"]
    portal.do("submit", "root")

    portal.stop()
    portal.end_programs()
    shutil.rmtree(portal.state)
    if portal.kind == "postgres":
        # Not even the tables are those of the back-up.
        portal.sh('psql "$DATABASE_URL" -q -c "DROP TABLE portal_auditevent CASCADE" '
                  '-c "CREATE TABLE leftover (id int)"')  # fmt: skip
    portal.sh(documented("restore: files"))
    said = portal.restore_database()
    assert f"The chain holds: {lines} lines" in said
    assert "The roots hold: 1 are those of the lines" in said
    assert "The signatures are good" in said
    assert re.search(r"All \d+ files that rows name are there\.", said)
    assert "attempt 1 is gone: the next one starts." in said
    # What was kept elsewhere tells that there was more.
    kept = portal.manage(f"audit verify --root {portal.marks}/root.json", fails=True)
    assert "was signed" in kept

    portal.serve()
    portal.do("pages")
    (run,) = portal.becomes(lambda runs: runs[0]["attempts"][-1] == [2, "running"])
    assert run["attempts"] == [[1, "lost"], [2, "running"]]
    (portal.marks / "go").touch()
    (run,) = portal.becomes(lambda runs: runs[0]["state"] == "finished" and runs[0]["steps"] == 11)
    assert portal.starts() == [f"{run['id']} attempt-1", f"{run['id']} attempt-2"]
    if portal.kind == "postgres":
        # Once more, now that the schema which is backed up is one that the restore has made.
        portal.stop()
        portal.env["BACKUP"] += "-again"
        portal.back_up()
        portal.sh(documented("restore: postgres"))


def test_programs_that_outlive_the_restore_go_on_or_make_room_and_none_starts_twice(
    small: Portal,
) -> None:
    """Four runs: one goes on, one was tried again since, one waited, one was submitted since."""
    portal = small
    portal.do("people", "submit")
    portal.serve()
    portal.becomes(arrived)
    portal.do("submit")
    portal.becomes(lambda runs: [len(run["attempts"]) for run in runs] == [1, 1])
    until(lambda: len(portal.starts()) == 2)
    portal.do("submit")
    portal.back_up()

    goes_on, again, waited = (run["id"] for run in portal.do()["runs"])
    kill(portal, again)
    runs = portal.becomes(lambda runs: runs[1]["attempts"][-1] == [2, "running"])
    assert [run["state"] for run in runs] == ["running"] * 3
    since = portal.do("submit", "round")["runs"][3]["id"]
    until(lambda: len(portal.starts()) == 5)
    portal.stop()

    said = portal.restore_database()
    assert said.count("began after the back-up") == 2
    assert said.count("is still there and is looked at") == 1
    assert said.count("is gone: the next one starts") == 1
    assert "began after" not in portal.manage("restored --by vera")
    portal.serve()
    portal.becomes(
        lambda runs: (
            [run["attempts"][-1][0] for run in runs] == [1, 3, 2]
            and {run["attempts"][-1][1] for run in runs} == {"running"}
        )
    )
    (portal.marks / "go").touch()
    runs = portal.becomes(lambda runs: {run["state"] for run in runs} == {"finished"})
    assert [run["id"] for run in runs] == [goes_on, again, waited]
    assert [[state for _, state in run["attempts"]] for run in runs] == [
        ["succeeded"],
        ["lost", "lost", "succeeded"],
        ["lost", "succeeded"],
    ]
    assert portal.starts() == sorted(
        [f"{goes_on} attempt-1", f"{since} attempt-1"]
        + [f"{again} attempt-{number}" for number in (1, 2, 3)]
        + [f"{waited} attempt-{number}" for number in (1, 2)]
    )
    # What the first one said while there was no portal has come, and what had come stands once.
    assert portal.becomes(lambda runs: runs[0]["steps"] == 6)
    assert portal.do()["jobs"] == {}


def test_what_people_ended_since_the_back_up_has_ended_after_the_restore(small: Portal) -> None:
    every = ["withdrawal", "opt-out", "mandate", "suspension", "untouched"]
    assert small.do("people", "papers")["allowed"] == every
    small.serve()
    small.back_up()
    assert small.do("end")["allowed"] == ["untouched"]

    small.stop()
    shutil.rmtree(small.state)
    small.sh(documented("restore: files"))
    said = small.restore_database()
    assert "4 endings since the back-up: 4 were repeated, 0 needed nothing" in said
    after = small.do()
    assert (after["allowed"], after["behind"]) == (["untouched"], False)
    assert "no ending that the database lacks" in small.manage("restored --by vera")
    assert small.manage("audit verify").count("The journal of endings holds") == 1


def test_a_restore_without_its_last_step_is_noticed_and_not_started(small: Portal) -> None:
    small.do("people", "papers")
    small.manage('backup "$BACKUP.sqlite3"')
    small.do("end")
    small.stop()
    small.sh('rm -f "$STATE_DIR"/backline.sqlite3*',
             'cp "$BACKUP.sqlite3" "$STATE_DIR/backline.sqlite3"')  # fmt: skip
    assert small.do()["behind"]
    assert "manage.py restored" in small.manage("up --no-demo", fails=True)


def test_a_journal_that_was_lost_with_the_machine_is_told_of_once(small: Portal) -> None:
    small.do("people", "papers", "end")
    small.manage('backup "$BACKUP.sqlite3"')
    small.stop()
    shutil.rmtree(small.folder / "endings")
    said = small.manage("restored --by vera", fails=True)
    assert "is gone from" in said
    assert "ask what was ended since the back-up" in said
    assert "The portal may be started." in small.manage("restored --by vera")


def kill(portal: Portal, run: str) -> None:
    """The program of the run and its supervisor, as when somebody ends them by hand."""
    (folder,) = (portal.state / "jobs").glob(f"run-{run}*")
    noted = json.loads((folder / "pid.json").read_text())
    for pid in (noted["supervisor"], noted["pid"]):
        psutil.Process(pid).kill()
