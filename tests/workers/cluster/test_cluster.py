"""One contract for every fitting that runs, and what only local processes promise."""

import json
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from tests.patience import LIMIT_SECONDS
from tests.workers.cluster import api_server
from workers.cluster import Cluster, Job, JobStatus, Refused
from workers.cluster.fake import RecordingCluster
from workers.cluster.kubernetes import KubernetesCluster
from workers.cluster.local import LocalCluster
from workers.cluster.supervise import start_time

NAME = "run-0123456789ab-1"
SLEEP = "import time; print('up', flush=True); time.sleep(60)"


def python(code: str, *, name: str = NAME, **env: str) -> Job:
    return Job(name=name, command=(sys.executable, "-c", code), env={"PATH": "/usr/bin"} | env)


def until(condition: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.02)


def ended(cluster: Cluster, name: str = NAME) -> JobStatus:
    until(lambda: cluster.observe()[name].ended)
    return cluster.observe()[name]


def says(cluster: Cluster, line: str) -> None:
    until(lambda: line in cluster.logs(NAME))


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalCluster]:
    made = LocalCluster(tmp_path / "jobs")
    yield made
    for name in made.observe():
        made.cancel(name, 0)
    until(lambda: all(status.ended for status in made.observe().values()))


@pytest.fixture
def kubernetes() -> Iterator[KubernetesCluster]:
    """Against a scripted API server; tests/cluster has it against a real one."""
    with api_server.serving() as server:
        made = KubernetesCluster(server.cluster_api(), namespace="runs", image="lab")
        yield made
        made.close()


@pytest.fixture(params=["local", "recording", "kubernetes"])
def cluster(request: pytest.FixtureRequest) -> Cluster:
    if request.param == "kubernetes":
        remote: KubernetesCluster = request.getfixturevalue("kubernetes")
        return remote
    if request.param == "recording":
        return RecordingCluster()
    fitting: LocalCluster = request.getfixturevalue("local")
    return fitting


def test_a_job_created_twice_is_one_job(cluster: Cluster) -> None:
    cluster.create(python(SLEEP))
    cluster.create(python("raise SystemExit(3)"))
    until(lambda: cluster.observe()[NAME].phase == "running")
    assert list(cluster.observe()) == [NAME]


def test_a_cancelled_job_ends_and_cancelling_again_or_a_stranger_is_no_error(
    cluster: Cluster,
) -> None:
    cluster.create(python(SLEEP))
    cluster.cancel(NAME, 5)
    assert ended(cluster).exit_code == 143
    cluster.cancel(NAME, 5)
    cluster.cancel("run-nobody-1", 5)


def test_a_forgotten_job_is_not_observed_and_never_started_again(cluster: Cluster) -> None:
    cluster.create(python(SLEEP))
    cluster.cancel(NAME, 0)
    ended(cluster)
    cluster.forget(NAME)
    cluster.forget(NAME)
    cluster.create(python(SLEEP))
    assert cluster.observe() == {}
    assert cluster.names() == {NAME}


def test_a_cluster_knows_the_names_that_are_used_up(cluster: Cluster) -> None:
    assert cluster.names() == set()
    cluster.create(python(SLEEP))
    assert cluster.names() == {NAME}


def test_logs_of_a_stranger_are_empty(cluster: Cluster) -> None:
    assert cluster.logs("run-nobody-1") == []


def test_a_stranger_has_no_events(cluster: Cluster) -> None:
    assert cluster.events("run-nobody-1") == []


def test_there_is_a_command_to_look_further(cluster: Cluster) -> None:
    cluster.create(python(SLEEP))
    assert NAME in cluster.look(NAME)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"nodes": 2}, "2 nodes"),
        ({"gpu_type": "NVIDIA-H100-80GB-HBM3"}, "NVIDIA-H100-80GB-HBM3"),
        ({"image": "lab/mine:7"}, "lab/mine:7"),
    ],
)
def test_what_one_machine_cannot_give_is_refused_before_anything_is_made(
    local: LocalCluster, asked: dict[str, object], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        local.create(replace(python(SLEEP), **asked))  # type: ignore[arg-type]
    assert local.observe() == {}


def test_a_local_job_ends_with_its_longest_duration_and_may_save_a_checkpoint(
    local: LocalCluster,
) -> None:
    # A shell, which heeds the signal long before its second is over; Python takes a part of it.
    heeds = ("/bin/sh", "-c", "trap 'exit 75' TERM; sleep 60 & wait")
    local.create(Job(name=NAME, command=heeds, env={"PATH": "/usr/bin:/bin"}, max_seconds=1))
    status = ended(local)
    assert (status.phase, status.exit_code) == ("failed", 75)
    assert status.reason == "It reached its longest duration."


@pytest.mark.parametrize(("code", "phase"), [(0, "succeeded"), (3, "failed"), (75, "preempted")])
def test_the_exit_code_is_the_programs(local: LocalCluster, code: int, phase: str) -> None:
    local.create(python(f"print('a'); print('b'); raise SystemExit({code})"))
    status = ended(local)
    assert (status.phase, status.exit_code) == (phase, code)
    assert local.logs(NAME, 1) == ["b"]


def test_a_local_job_in_the_background_leaves_the_processor_to_others(local: LocalCluster) -> None:
    local.create(replace(python("import os; print(os.nice(0))"), background=True))
    ended(local)
    assert local.logs(NAME) == ["19"]


def test_a_program_that_does_not_exist_fails_with_a_sentence(local: LocalCluster) -> None:
    local.create(Job(name=NAME, command=("/no/such/program",)))
    assert ended(local).exit_code == 127
    assert "could not be started" in local.logs(NAME)[-1]


def test_the_program_gets_its_environment_and_nothing_of_the_portals(local: LocalCluster) -> None:
    code = "import os; print(sorted(k for k in os.environ if k not in ('LC_CTYPE', 'PWD')))"
    local.create(python(code, BACKLINE_TOKEN="secret"))
    ended(local)
    assert local.logs(NAME) == ["['BACKLINE_TOKEN', 'PATH']"]


def test_the_supervisor_of_a_job_has_no_secret_of_the_portals_either(
    local: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "of-the-portal")
    local.create(python(SLEEP))
    says(local, "up")
    noted = json.loads((local.root / NAME / "pid.json").read_text())
    for process in (noted["supervisor"], noted["pid"]):
        assert b"of-the-portal" not in Path(f"/proc/{process}/environ").read_bytes()


def test_folder_and_spec_with_the_token_are_for_their_owner_only(local: LocalCluster) -> None:
    local.create(python(SLEEP, BACKLINE_TOKEN="secret"))
    folder = local.root / NAME
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE((folder / f).stat().st_mode) for f in ("spec.json", "log")} == {0o600}


def test_grace_then_kill_is_the_supervisors_work_not_the_callers(local: LocalCluster) -> None:
    stubborn = "import signal, time; signal.signal(15, lambda *_: print('no', flush=True))\n"
    local.create(python(stubborn + "print('up', flush=True)\nwhile True: time.sleep(1)"))
    says(local, "up")
    local.cancel(NAME, 3)
    status = ended(local)
    assert "no" in local.logs(NAME)
    assert status.exit_code == 137
    assert "grace" in status.reason


def test_a_program_may_use_its_grace_to_end_well(local: LocalCluster) -> None:
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(143))\n"
    local.create(python(code + "print('up', flush=True); time.sleep(60)"))
    says(local, "up")
    local.cancel(NAME, 10)
    assert ended(local).exit_code == 143


def test_what_a_program_leaves_behind_in_its_group_ends_with_it(local: LocalCluster) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"
    local.create(python(code))
    ended(local)
    until(lambda: start_time(int(local.logs(NAME)[0])) == "")


LENT = """
import os, pathlib, time
for folder in (pathlib.Path("dataset"), pathlib.Path(os.environ["BACKLINE_SPOOL"], "fetched/r-s")):
    folder.mkdir(parents=True)
    (folder / "music").touch()
print("up", flush=True)
"""


def lent(local: LocalCluster, code: str) -> list[Path]:
    """Start a program that was lent music; where that lies."""
    spool = local.root / "spool"
    env = {"BACKLINE_SPOOL": str(spool), "BACKLINE_RUN": "r", "BACKLINE_SESSION": "s"}
    local.create(python(LENT + code, **env))
    says(local, "up")
    return [local.root / NAME / "work" / "dataset", spool / "fetched" / "r-s"]


@pytest.mark.parametrize("end", ["", "raise SystemExit(3)", "os.kill(os.getpid(), 9)"])
def test_the_music_that_a_job_was_lent_goes_with_it_however_it_ends(
    local: LocalCluster, end: str
) -> None:
    folders = lent(local, end)
    ended(local)
    assert not any(folder.exists() for folder in folders)


def test_it_goes_with_a_job_that_is_killed_after_its_grace(local: LocalCluster) -> None:
    folders = lent(local, "import signal; signal.signal(15, lambda *_: None)\ntime.sleep(60)")
    assert all(folder.exists() for folder in folders)
    local.cancel(NAME, 0)
    ended(local)
    assert not any(folder.exists() for folder in folders)


def test_it_goes_when_a_job_is_forgotten_whose_supervisor_was_killed(local: LocalCluster) -> None:
    folders = lent(local, "time.sleep(60)")
    noted = (local.root / NAME / "pid.json").read_text()
    os.kill(int(noted.split('"supervisor": ')[1].rstrip("}")), signal.SIGKILL)
    until(lambda: local.observe()[NAME].phase == "lost")
    assert all(folder.exists() for folder in folders)
    local.forget(NAME)
    assert not any(folder.exists() for folder in folders)


def test_a_crashed_supervisor_is_a_lost_job_and_its_program_is_ended(local: LocalCluster) -> None:
    local.create(python("import os; print(os.getpid(), flush=True)\n" + SLEEP))
    says(local, "up")
    pid = int(local.logs(NAME)[0])
    noted = (local.root / NAME / "pid.json").read_text()
    os.kill(int(noted.split('"supervisor": ')[1].rstrip("}")), signal.SIGKILL)
    until(lambda: local.observe()[NAME].phase == "lost")
    until(lambda: start_time(pid) == "")


def test_a_note_of_a_pid_that_is_somebody_elses_now_kills_nobody(local: LocalCluster) -> None:
    folder = local.root / NAME
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("{}")
    mine = f'{{"pid": {os.getpid()}, "start": "1", "supervisor": 1}}'
    (folder / "pid.json").write_text(mine)
    assert local.observe()[NAME].phase == "lost"


def test_a_folder_whose_maker_was_killed_before_the_start_is_started_by_the_next(
    local: LocalCluster,
) -> None:
    local._lay_out(python("print('ran')"))
    assert local.observe()[NAME].phase == "pending"
    local.create(python("print('other')"))
    ended(local)
    assert local.logs(NAME) == ["ran"]


def test_two_that_create_at_once_start_one_program(local: LocalCluster, tmp_path: Path) -> None:
    mark = tmp_path / "starts"
    job = python(f"open({str(mark)!r}, 'a').write('x')\n" + SLEEP)
    both = [Thread(target=local.create, args=(job,)) for _ in range(4)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    says(local, "up")
    assert mark.read_text() == "x"
    assert not list(local.root.glob("new-*"))


def test_another_process_finds_the_running_job_again(local: LocalCluster) -> None:
    local.create(python(SLEEP))
    assert LocalCluster(local.root).observe()[NAME].phase == "running"
