"""A researcher's own program on the portal's own machine: what it reaches, and what it does not.

The portal here is real: its web server, its database, its folder; the program is hostile, and
comes by the queue as everybody's does.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection

from experiments.deliveries import logs
from experiments.models import Checkpoint, Project, Run
from experiments.runs import datasets, runs
from portal.machine import separation
from portal.machine.separation import Separation
from portal.models import User
from rights.models import Recording, Use
from tests.backline.test_client import Server
from tests.catalogue import make_allowed
from tests.workers.cluster.test_cluster import ended
from tests.workers.cluster.test_cluster import until as wait
from tests.workers.cluster.test_own_programs import queue, until
from workers.cluster import Job, Refused
from workers.cluster.local import LocalCluster
from workers.cluster.supervise import start_time

pytestmark = pytest.mark.django_db(transaction=True)

State = Run.State
ENDED = (State.FINISHED, State.FAILED, State.CANCELLED)
PORTALS_KEY = "in-the-environment-of-the-portal"
NO_SANDBOX = "bubblewrap cannot make a sandbox here: "

# What it was told to look for, and what came of each: the first bytes, or the error's name.
HOSTILE = """
import glob, json, os, socket
told = json.loads(os.environ["TARGETS"])
found = {}
for path in told["files"]:
    try:
        found[path] = open(path, "rb").read(8).decode("latin-1")
    except OSError as error:
        found[path] = type(error).__name__
for path in told["folders"]:
    try:
        found[path] = sorted(os.listdir(path))
    except OSError as error:
        found[path] = type(error).__name__
for path in told["sockets"]:
    try:
        socket.socket(socket.AF_UNIX).connect(path)
        found[path] = "connected"
    except OSError as error:
        found[path] = type(error).__name__
for pid in told["signalled"]:
    try:
        os.kill(pid, 0)
        found["kill %s" % pid] = "allowed"
    except OSError as error:
        found["kill %s" % pid] = type(error).__name__
environments = b""
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        environments += open(path, "rb").read()
    except OSError:
        pass
found["a secret in an environment"] = os.environ["BACKWARDS"].encode()[::-1] in environments
for path in told["written"]:
    try:
        open(path, "a").close()
        found["write " + path] = "written"
    except OSError as error:
        found["write " + path] = type(error).__name__
print(json.dumps(found))
"""


@pytest.fixture
def level(settings: LazySettings, tmp_path: Path) -> Separation:
    """A sandbox, and another user in it where the tests are root."""
    settings.LOCAL_PROGRAMS = "sandboxed"
    settings.PRIVATE_FOLDERS = [*settings.PRIVATE_FOLDERS, tmp_path]
    found = separation.find("sandboxed", "")
    if found.level != "sandbox":
        pytest.skip(NO_SANDBOX + (found.instead or found.why_not))
    return found


@pytest.fixture
def portal(
    level: Separation, settings: LazySettings, live_server: Server
) -> Iterator[LocalCluster]:
    settings.CLUSTER = "local"
    settings.RUN_PORTAL_URL = live_server.url
    made = LocalCluster(settings.LOCAL_JOBS_DIR, slots=2, programs=lambda: level)
    yield made
    for name in made.observe():
        made.cancel(name, 0)
    wait(lambda: all(status.ended for status in made.observe().values()))
    for name in made.observe():
        made.forget(name)
    wait(lambda: not any(settings.LOCAL_JOBS_DIR.glob("ended/*/spool/*/outbox/*.*")))


@pytest.fixture(autouse=True)
def _process_of_the_portal() -> Iterator[None]:
    """One that was started with a secret in its environment, as the web server may be."""
    with subprocess.Popen(["sleep", "3600"], env={"SECRET_KEY": PORTALS_KEY}) as process:
        yield
        process.kill()


@pytest.fixture
def socket_of_a_broker(tmp_path: Path) -> Iterator[str]:
    path = str(tmp_path / "redis.sock")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path)
        made.listen()
        yield path


def attack(
    cluster: LocalCluster, ada: User, project: Project, targets: dict[str, Any]
) -> dict[str, Any]:
    """What the hostile program found out, by its own account."""
    env = {"TARGETS": json.dumps(targets), "BACKWARDS": PORTALS_KEY[::-1]}
    run = until(cluster, queue(ada, project, HOSTILE, env=env), *ENDED)
    assert (run.state, run.state_reason) == (State.FINISHED, "")
    found: dict[str, Any] = json.loads(logs.text(run, "stdout", "attempt-1"))
    return found


@pytest.fixture
def another_run(settings: LazySettings) -> Path:
    """The folder of another run, whose token lies in it and in its spool."""
    folder: Path = settings.LOCAL_JOBS_DIR / "ended" / "run-feedfeedfeed-1"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text('{"env": {"BACKLINE_TOKEN": "of another"}}')
    spool = settings.LOCAL_JOBS_DIR / "spool" / "another"
    spool.mkdir(parents=True)
    (spool / "note").write_text("of another")
    return folder


@pytest.fixture
def targets(settings: LazySettings, another_run: Path, socket_of_a_broker: str) -> dict[str, Any]:
    """All that is none of its business, where this portal really has it."""
    blob = settings.STORAGE_DIR / "aa" / "blob"
    blob.parent.mkdir(parents=True, exist_ok=True)
    blob.write_bytes(b"music")
    files = [
        another_run / "spec.json",
        settings.LOCAL_JOBS_DIR / "spool" / "another" / "note",
        blob,
    ]
    files += [settings.STATE_DIR / "secret_key", settings.STATE_DIR / "audit_key"]
    if connection.vendor == "sqlite":
        files.append(Path(connection.settings_dict["NAME"]))
    for path in files:
        assert path.read_bytes()
    return {
        "files": [*map(str, files), f"/proc/{os.getpid()}/environ", "/etc/shadow"],
        "folders": [str(settings.LOCAL_JOBS_DIR / "ended"), str(Path.home())],
        "sockets": [socket_of_a_broker],
        "signalled": [os.getpid()],
        "written": [str(settings.STATE_DIR / "mine"), "/usr/mine", "/mine", "/etc/mine"],
    }


def test_a_hostile_program_in_the_sandbox_reaches_nothing_that_is_the_portals(
    portal: LocalCluster,
    ada: User,
    project: Project,
    targets: dict[str, Any],
) -> None:
    found = attack(portal, ada, project, targets)
    reached = {what: told for what, told in found.items() if not str(told).endswith("Error")}
    # Where Python itself lies below it, the way there is all that there is of a home.
    home = Path.home()
    ways = [Path(path) for path in (*separation._bound_folders(), str(portal.root))]
    below = {way.relative_to(home).parts[0] for way in ways if way.is_relative_to(home)}
    assert set(reached.pop(str(home), [])) <= below
    assert reached == {"a secret in an environment": False}


def test_trusted_means_what_it_says(
    portal: LocalCluster,
    ada: User,
    project: Project,
    settings: LazySettings,
    targets: dict[str, Any],
) -> None:
    targets["written"] = []
    trusting = LocalCluster(portal.root, slots=2, programs=lambda: Separation("trusted"))
    found = attack(trusting, ada, project, targets)
    assert found[str(settings.STATE_DIR / "secret_key")] == settings.SECRET_KEY[:8]
    assert found[targets["files"][0]] == '{"env": '
    assert found[targets["sockets"][0]] == "connected"
    assert found["a secret in an environment"]
    wait(lambda: not any(settings.LOCAL_JOBS_DIR.glob("spool/*/session.json")))


def test_another_user_alone_keeps_the_portals_files_closed(
    level: Separation, settings: LazySettings, targets: dict[str, Any]
) -> None:
    """With a Python that this user comes to, whatever ours is."""
    python = shutil.which("python3", path="/usr/bin")
    if level.user is None or python is None:
        pytest.skip("only root may start a program as another user, who needs a Python")
    apart = Path("/var/tmp") / f"backline-test-{os.getpid()}"  # noqa: S108 - others come there.
    alone = Separation("user", user=level.user)
    cluster = LocalCluster(settings.LOCAL_JOBS_DIR, programs=lambda: alone, apart=apart)
    env = {"TARGETS": json.dumps(targets), "BACKWARDS": PORTALS_KEY[::-1], "PATH": os.defpath}
    name = "run-0123456789ab-1"
    try:
        cluster.create(Job(name=name, command=(python, "-c", HOSTILE), env=env, own=True))
        assert ended(cluster, name).exit_code == 0
        found = json.loads(cluster.logs(name)[0])
        reached = {what for what, told in found.items() if not str(told).endswith("Error")}
        assert reached == {"a secret in an environment"}
        assert not found["a secret in an environment"]
        cluster.forget(name)
        assert list(apart.iterdir()) == []
    finally:
        shutil.rmtree(apart, ignore_errors=True)


WORKING = """
import os, pathlib, sys, backline
run = backline.init()
run.log({"loss": 0.5}, step=1)
file = pathlib.Path(os.environ["TMPDIR"], "weights")
file.write_bytes(b"learned")
run.save_checkpoint(file, step=1)
run.finish()
print(sorted(k for k in os.environ if k.startswith("BACKLINE")), os.getcwd() == os.environ["HOME"])
sys.exit(3)
"""


def test_a_program_in_the_sandbox_reports_as_every_other_and_ends_with_its_own_code(
    portal: LocalCluster, ada: User, project: Project, settings: LazySettings
) -> None:
    run = until(portal, queue(ada, project, WORKING), *ENDED)
    assert (run.state, run.attempts.get().exit_code) == (State.FAILED, 3)
    assert run.series.get(name="loss").last == 0.5
    assert Checkpoint.objects.get(run=run).step == 1
    assert run.series.filter(name="system/memory_bytes").exists()
    assert logs.text(run, "stdout", "attempt-1").endswith(" True\n")


def test_a_program_in_the_sandbox_has_its_recordings_and_no_other_folder_keeps_them(
    portal: LocalCluster, ada: User, rosa: User, project: Project, settings: LazySettings
) -> None:
    recordings: list[Recording] = make_allowed(rosa, 2)
    frozen = datasets.freeze(
        by=ada, project=project, name="ours", recordings=recordings, use=Use.TRAIN_GENERATIVE
    )
    code = (
        "import json, os, pathlib; f = pathlib.Path(os.environ['BACKLINE_DATASET'])\n"
        "told = json.loads((f / 'manifest.json').read_text())['recordings']\n"
        "print(sorted(one['recording'] for one in told if (f / one['file']).stat().st_size))"
    )
    config = {"command": ["python", "-c", code]}
    run = runs.submit(by=ada, project=project, recipe="program", config=config, dataset=frozen)
    until(portal, run, *ENDED)
    assert (run.state, run.state_reason) == (State.FINISHED, "")
    ids = sorted(recording.pk for recording in recordings)
    assert logs.text(run, "stdout", "attempt-1") == f"{ids}\n"
    # Each lies under the name of its content there.
    assert [path for path in settings.LOCAL_JOBS_DIR.rglob("*") if len(path.stem) == 64] == []


def test_a_folder_that_is_lent_can_be_read_and_not_written(
    portal: LocalCluster, ada: User, project: Project, settings: LazySettings, tmp_path: Path
) -> None:
    lent, other = tmp_path / "lent", tmp_path / "other"
    for folder in (lent, other):
        folder.mkdir()
        # By hand: a process of the portal, and so these tests, may make what is its user's alone.
        folder.chmod(0o755)
        (folder / "train.py").write_text(
            "import pathlib\nprint('ran')\npathlib.Path(__file__).with_name('x').touch()"
        )
        (folder / "train.py").chmod(0o644)
    settings.LOCAL_PROGRAMS_FOLDERS = [lent]
    settings.PRIVATE_FOLDERS = [settings.STATE_DIR]

    def of(folder: Path) -> Run:
        config = {"command": ["python", str(folder / "train.py")]}
        run = runs.submit(by=ada, project=project, recipe="program", config=config)
        return until(portal, run, *ENDED)

    shown, hidden = of(lent), of(other)
    assert "Read-only file system" in shown.state_reason
    assert logs.text(shown, "stdout", "attempt-1") == "ran\n"
    assert "No such file" in hidden.state_reason


def test_what_it_wrote_goes_with_the_job(
    portal: LocalCluster, ada: User, project: Project, settings: LazySettings
) -> None:
    code = "import os; os.makedirs('a/b'); open('a/b/music', 'w').close(); os.chmod('a', 0)"
    run = until(portal, queue(ada, project, code), *ENDED)
    folder = settings.LOCAL_JOBS_DIR / "ended" / run.attempts.get().job_name
    assert run.state == State.FINISHED
    left = {path.name for path in folder.iterdir()}
    assert not left & {"work", "tmp", "spool", "spec.json"}


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: print("heard", flush=True))
subprocess.Popen(["sleep", "987"], start_new_session=True)
print("up", flush=True)
while True: time.sleep(0.1)
"""


def test_a_stop_gives_the_program_its_grace_and_leaves_nothing_of_it(
    portal: LocalCluster, ada: User, project: Project, settings: LazySettings
) -> None:
    settings.STOP_GRACE_SECONDS = 3
    run = until(portal, queue(ada, project, STUBBORN), State.RUNNING)
    wait(lambda: "up" in logs.text(run, "stdout", "attempt-1"))
    mine = inside(portal, run)
    assert len(mine) >= 4
    runs.cancel(run=run, by=ada)
    until(portal, run, *ENDED)
    assert (run.state, run.attempts.get().exit_code) == (State.CANCELLED, 137)
    wait(lambda: not any(start_time(pid) for pid in mine))
    wait(lambda: "heard" in logs.text(run, "stdout", "attempt-1"))


def test_a_program_that_heeds_the_signal_ends_with_its_own_code(
    portal: LocalCluster, ada: User, project: Project
) -> None:
    code = "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(9))\n"
    run = queue(ada, project, code + "print('up', flush=True)\ntime.sleep(600)")
    until(portal, run, State.RUNNING)
    wait(lambda: "up" in logs.text(run, "stdout", "attempt-1"))
    runs.cancel(run=run, by=ada)
    until(portal, run, *ENDED)
    assert (run.state, run.attempts.get().exit_code) == (State.CANCELLED, 9)


def test_a_run_in_the_sandbox_is_found_again_by_the_next_portal_and_ends_with_its_supervisor(
    portal: LocalCluster, level: Separation, ada: User, project: Project
) -> None:
    run = until(portal, queue(ada, project, "import time; time.sleep(600)"), State.RUNNING)
    name = run.attempts.get().job_name
    assert LocalCluster(portal.root).observe()[name].phase == "running"
    mine = inside(portal, run)
    noted = json.loads((portal.root / name / "pid.json").read_text())
    os.kill(noted["supervisor"], signal.SIGKILL)
    wait(lambda: portal.observe()[name].phase == "lost")
    wait(lambda: not any(start_time(pid) for pid in mine))


def inside(cluster: LocalCluster, run: Run) -> list[int]:
    """The processes of the run's sandbox, by their numbers out here."""
    noted = json.loads((cluster.root / run.attempts.get().job_name / "pid.json").read_text())
    space = Path(f"/proc/{noted['pid']}/ns/pid").readlink()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "ns" / "pid").readlink() == space:
                found.append(int(folder.name))
        except OSError:
            continue
    return found


LEAVES = """
import contextlib, os, pathlib, backline, psutil, signal
run = backline.init()
# Nobody delivers any more, and something is laid down after that.
for process in psutil.process_iter():
    # What asks about the machine comes and goes meanwhile.
    with contextlib.suppress(psutil.Error):
        if "backline.delivery.sender" in process.cmdline():
            process.kill()
file = pathlib.Path(os.environ["TMPDIR"], "weights")
file.write_bytes(b"learned")
run.save_checkpoint(file, step=7)
os.kill(-1, signal.SIGKILL)
"""


def test_what_a_killed_program_left_is_delivered_from_a_sandbox(
    portal: LocalCluster, ada: User, project: Project, settings: LazySettings
) -> None:
    run = until(portal, queue(ada, project, LEAVES), *ENDED)
    assert run.state == State.FAILED
    wait(lambda: Checkpoint.objects.filter(run=run, step=7).exists())
    folder = settings.LOCAL_JOBS_DIR / "ended" / run.attempts.get().job_name

    def cleared() -> bool:
        # What delivers is not disturbed: a purge leaves its folders until it has ended.
        portal.purge(0, ())
        return not (folder / "spool").exists()

    wait(cleared)


def test_nobody_with_the_portals_rights_delivers_what_a_stranger_laid_down(
    portal: LocalCluster, ada: User, project: Project, settings: LazySettings
) -> None:
    """A delivery names the file that it carries, and may name any."""
    code = LEAVES.replace(
        "os.kill(-1",
        "import json\n"
        "for path in run._spool.folder.glob('outbox/*.checkpoint'):\n"
        "    note = json.loads(path.read_text())\n"
        f"    note['file'] = '../../../../../../../../..{settings.STATE_DIR}/secret_key'\n"
        "    path.write_text(json.dumps(note))\n"
        "os.kill(-1",
    )
    run = until(portal, queue(ada, project, code), *ENDED)
    folder = settings.LOCAL_JOBS_DIR / "ended" / run.attempts.get().job_name
    wait(lambda: "that it carries is gone" in (folder / "sync.log").read_text())
    time.sleep(0.5)
    assert not Checkpoint.objects.filter(run=run).exists()
    for path in folder.glob("spool/*/outbox/*"):
        path.unlink()


# --- Where it is off --------------------------------------------------------------------------


def test_a_run_that_waited_while_it_was_switched_off_is_refused_with_a_sentence(
    ada: User, project: Project, settings: LazySettings
) -> None:
    run = queue(ada, project, "print(1)")
    settings.CLUSTER = "local"
    cluster = LocalCluster(settings.LOCAL_JOBS_DIR, programs=separation.current)
    until(cluster, run, *ENDED)
    assert (run.state, run.state_reason) == (State.FAILED, separation.OFF)
    assert not list(settings.LOCAL_JOBS_DIR.glob("run-*"))
    with pytest.raises(runs.NotPossible, match="LOCAL_PROGRAMS=off"):
        runs.retry(run=run, by=ada)


def test_a_cluster_that_was_told_nothing_refuses_own_programs(tmp_path: Path) -> None:
    cluster = LocalCluster(tmp_path / "jobs")
    with pytest.raises(Refused, match="switched off"):
        cluster.create(Job(name="run-0123456789ab-1", command=(sys.executable,), own=True))
    assert cluster.names() == set()
