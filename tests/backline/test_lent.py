"""What a program fetches is its own and goes with it, however it ends; what lies there already is
used with the portal's leave."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from backline import lent
from backline.delivery.spool import Session, Spool, clear_lent
from experiments.models import Project, Run
from experiments.runs import datasets, runs
from portal import tokens
from portal.models import User
from rights.grants import lifecycle
from rights.models import Recording, Use
from tests.backline.portal import Door, opened
from tests.backline.test_client import Server, wait_for
from tests.backline.test_exec import ROOT, Job, begin
from tests.catalogue import make_allowed

pytestmark = pytest.mark.django_db(transaction=True)
DIGEST = "ab" * 32


@pytest.fixture
def door(live_server: Server) -> Iterator[Door]:
    with opened(live_server.url) as found:
        yield found


@pytest.fixture
def songs(rosa: User) -> list[Recording]:
    return make_allowed(rosa, 2)


@pytest.fixture
def run(ada: User, project: Project, songs: list[Recording]) -> Run:
    frozen = datasets.freeze(
        by=ada, project=project, name="ours", recordings=songs, use=Use.TRAIN_GENERATIVE
    )
    return runs.submit(by=ada, project=project, recipe="program", config={}, dataset=frozen)


@pytest.fixture
def job(run: Run, ada: User, door: Door, tmp_path: Path) -> Iterator[Job]:
    work = tmp_path / "work"
    work.mkdir()
    yield begin(run, ada, door.url, work)
    wait_for(lambda: not any(work.glob("spool/*/session.json")))


def program(job: Job, code: str, **env: str) -> "subprocess.Popen[str]":
    """A program of the job that uses the client itself, as the lab's own do."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=job.env(**env), cwd=job.work, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        stdin=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def music(job: Job) -> list[str]:
    """All that lies on the machine under the name of a digest."""
    # The sender may be taking the tree away meanwhile, which stops no walk.
    names = (name for _, _, files in os.walk(job.work) for name in files)
    return [name for name in names if len(name.partition(".")[0]) == 64]


def asked(door: Door) -> list[str]:
    return [line for line in door.seen if "/audio/" in line]


FETCH = """
import sys, backline
run = backline.init()
for item in run.spec.items:
    file = run.fetch(item)
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("end", ["run.finish()", "", "raise ValueError('No.')"])
def test_what_was_fetched_goes_with_the_program(job: Job, end: str) -> None:
    process = program(job, FETCH + end)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    assert len(music(job)) == 2
    process.communicate("\n", timeout=60)
    assert music(job) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_of_a_killed_program_the_sender_takes_it_away(job: Job, number: int) -> None:
    process = program(job, FETCH)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    os.kill(process.pid, number)
    process.communicate()
    wait_for(lambda: music(job) == [])


def test_of_one_killed_with_its_sender_the_next_program_of_the_machine_does(
    job: Job, run: Run, ada: User, door: Door
) -> None:
    process = program(job, FETCH.replace("run.fetch(item)", "run.dataset('mine')"))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    (note,) = job.work.glob("spool/*/sender.log")
    kill_sender(note.parent)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(music(job)) == 2
    door.seen.clear()
    token = tokens.issue(ada, "run", scope=f"run:{run.pk}")[1]
    again = Job(run, job.attempt, token, door.url, job.work)
    following = program(again, "import backline; backline.init().finish()")
    _, err = following.communicate(timeout=60)
    assert (following.returncode, err) == (0, "")
    assert music(job) == []
    assert asked(door) == []
    # If it had nothing to deliver, nobody comes back for it.
    shutil.rmtree(note.parent, ignore_errors=True)


def kill_sender(folder: Path) -> None:
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        words = one.read_bytes().split(b"\0") if one.exists() else []
        if b"backline.delivery.sender" in words and os.fsencode(folder) in words:
            os.kill(int(one.parent.name), signal.SIGKILL)
            wait_for(lambda gone=one.parent: _is_gone(gone))


def _is_gone(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_wrapper_that_is_killed_with_its_program_leaves_no_music(job: Job) -> None:
    process = job.start("python", "-c", "print('ready', flush=True); input()", dataset=True)
    wait_for(lambda: len(music(job)) == 2)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for(lambda: music(job) == [])


def test_a_next_attempt_asks_again(job: Job, run: Run, ada: User, door: Door) -> None:
    for number in (1, 2):
        door.seen.clear()
        process = program(job, FETCH, BACKLINE_SESSION=f"attempt-{number}")
        process.communicate("\n", timeout=60)
        assert [line.rsplit(" ", 1)[1] for line in asked(door)] == ["200", "200"]


def test_processes_of_an_attempt_share_what_one_has_fetched_and_each_asks(
    job: Job, door: Door
) -> None:
    first = program(job, FETCH)
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    door.seen.clear()
    second = program(job, FETCH, RANK="1", WORLD_SIZE="2")
    assert second.stdout is not None
    assert second.stdout.readline() == "ready\n"
    # Leave for each, and no bytes: of a door that passes no conditions on, one byte.
    assert {line.rsplit(" ", 1)[1] for line in asked(door)} <= {"206", "304"}
    assert len(asked(door)) == 2
    assert len(music(job)) == 2
    second.communicate("\n", timeout=60)
    assert len(music(job)) == 2
    first.communicate("\n", timeout=60)
    assert music(job) == []


TWICE = """
import backline
run = backline.init()
item = run.spec.items[0]
assert run.fetch(item) == run.fetch(item)
run.finish()
"""


def test_a_program_asks_once_for_what_it_was_given(job: Job, door: Door) -> None:
    process = program(job, TWICE)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert len(asked(door)) == 1


KEPT = """
import pathlib, backline
run = backline.init()
try:
    run.dataset("kept")
except backline.Refused as refusal:
    print(refusal)
print(sorted(path.name for path in pathlib.Path("kept").iterdir()))
"""


def test_what_lies_there_of_an_earlier_time_is_dropped_where_a_permission_has_ended(
    job: Job, rosa: User, songs: list[Recording]
) -> None:
    """A folder that a person keeps, or one that a crash left."""
    folder = job.work / "kept"
    folder.mkdir()
    names = [f"{song.audio_id}.flac" for song in songs]
    for name in names:
        (folder / name).write_bytes(b"music")
    party = songs[0].credits.get().party
    lifecycle.opt_out(songs[0], Use.TRAIN_GENERATIVE, party, rosa, "Changed my mind.")
    out, _ = program(job, KEPT).communicate(timeout=60)
    sentence, left = out.splitlines()
    assert sentence == f"The permission for {songs[0].title} has ended."
    assert names[0] not in left
    assert names[1] in left
    assert music(job) == []


# --- The folder itself -------------------------------------------------------------------------


USE = """
import pathlib, sys
from backline import lent
with lent.Folder(pathlib.Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.readline()
"""


def test_a_folder_stays_while_another_process_uses_it(tmp_path: Path) -> None:
    path = tmp_path / "lent"
    process = subprocess.Popen(
        [sys.executable, "-c", USE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    (path / DIGEST).touch()
    assert not lent.clear(path)
    with lent.Folder(path):
        pass
    assert (path / DIGEST).exists()
    process.communicate("\n", timeout=60)
    assert not path.exists()


def test_a_programs_own_files_stay(tmp_path: Path) -> None:
    with lent.Folder(tmp_path / "lent") as folder:
        for name in (DIGEST, f"{DIGEST}.flac.part", "manifest.json", "notes.txt"):
            (folder.path / name).touch()
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]


def test_a_lock_that_was_taken_away_is_none(tmp_path: Path) -> None:
    """Who waited for the last one to leave begins anew, and is not cleared away by the next."""
    first = lent.Folder(tmp_path / "lent")
    (tmp_path / "lent" / lent.LOCK).unlink()
    second = lent.Folder(tmp_path / "lent")
    (tmp_path / "lent" / DIGEST).touch()
    first.give_back()
    assert (tmp_path / "lent" / DIGEST).exists()
    second.give_back()
    assert not (tmp_path / "lent").exists()


def test_a_note_that_a_crash_cut_off_is_passed_over(tmp_path: Path) -> None:
    session = Session(
        url="http://127.0.0.1:1", token="t", run="r", session="s", pid=1, pid_started=0
    )
    spool = Spool.create(tmp_path, session)
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / DIGEST).touch()
    spool.note_lent(tmp_path / "music")
    with (spool.folder / "lent").open("a") as file:
        file.write('"/cut/o')
    clear_lent(tmp_path)
    assert not (tmp_path / "music").exists()
    assert not (spool.folder / "lent").exists()
