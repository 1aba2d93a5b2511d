"""Machines that meet at a name: who hosts, and what happens while nobody knows the name."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from backline.job import rendezvous
from tests.cluster.control_plane import free_ports

ROOT = Path(__file__).resolve().parents[2]
NAME = "run-0123456789ab-1"
HOST = f"{NAME}-0.{NAME}"
# Each says its rank when all are there: the meeting has happened.
PROGRAM = "import os; print('rank', os.environ['RANK'], 'of', os.environ['WORLD_SIZE'])"


def conf(index: str, **env: str) -> str:
    told = {"PET_NNODES": "2", "PET_RDZV_ENDPOINT": "localhost:29500", **env}
    if index:
        told["JOB_COMPLETION_INDEX"] = index
    rendezvous.prepare(told)
    return told.get("PET_RDZV_CONF", "")


def test_the_first_node_hosts_and_the_others_do_not() -> None:
    kept = "join_timeout=600,read_timeout=600"
    assert conf("0", PET_RDZV_CONF=kept) == f"{kept},is_host=1"
    assert conf("1", PET_RDZV_CONF=kept) == f"{kept},is_host=0"
    assert conf("12") == "is_host=0"


def test_who_was_told_otherwise_keeps_it() -> None:
    assert conf("0", PET_RDZV_CONF="is_host=0") == "is_host=0"


@pytest.mark.parametrize(
    ("index", "env"),
    [("", {}), ("0", {"PET_NNODES": "1"}), ("0", {"PET_RDZV_ENDPOINT": ""}), ("x", {})],
)
def test_without_an_index_or_with_one_node_torchrun_does_as_always(
    index: str, env: dict[str, str]
) -> None:
    assert conf(index, **env) == ""


def test_a_name_that_never_comes_is_a_sentence() -> None:
    with pytest.raises(
        rendezvous.HostNotResolved, match=r"nowhere\.invalid.*cannot be looked up after 0 s"
    ):
        rendezvous.await_name("nowhere.invalid", seconds=0)


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    """The names that these machines know, instead of this machine's own."""
    (tmp_path / "nsswitch").write_text("hosts: files\n")
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 localhost\n")
    if subprocess.run([*inside(tmp_path), "true"], check=False, capture_output=True).returncode:
        pytest.skip("bubblewrap cannot give a process its own /etc/hosts here.")
    return file


def inside(folder: Path) -> list[str]:
    names = ["--bind", str(folder / "hosts"), "/etc/hosts"]
    names += ["--bind", str(folder / "nsswitch"), "/etc/nsswitch.conf"]
    return [shutil.which("bwrap") or "bwrap", "--dev-bind", "/", "/", *names, "--"]


def node(hosts: Path, index: int, port: int, *, seconds: int = 120) -> "subprocess.Popen[str]":
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    env |= {
        "PET_NNODES": "2",
        "PET_NPROC_PER_NODE": "1",
        "PET_RDZV_BACKEND": "c10d",
        "PET_RDZV_ENDPOINT": f"{HOST}:{port}",
        "PET_RDZV_ID": NAME,
        "PET_RDZV_CONF": f"join_timeout={seconds},read_timeout={seconds}",
        "PET_LOCAL_ADDR": "localhost",
        "JOB_COMPLETION_INDEX": str(index),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    script = hosts.with_name("program.py")
    script.write_text(PROGRAM)
    return subprocess.Popen(
        [*inside(hosts.parent), sys.executable, "-m", "backline", "torchrun", str(script)],
        env=env, cwd=hosts.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_two_nodes_meet_whose_name_comes_late(hosts: Path) -> None:
    (port,) = free_ports(1)
    first, second = node(hosts, 0, port), node(hosts, 1, port)
    for one in (first, second):
        assert one.stderr
        # Both have looked, and found nothing.
        assert one.stderr.readline().startswith(f"Waiting until {HOST}")
    with hosts.open("a") as file:
        file.write(f"127.0.0.1 {HOST}\n")
    ends = [one.communicate(timeout=240) for one in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), ends
    said = sorted(line for out, _ in ends for line in out.splitlines())
    assert said == ["rank 0 of 2", "rank 1 of 2"]


@pytest.mark.slow
def test_a_node_that_waits_for_a_name_ends_with_a_sentence_or_when_it_is_told_to(
    hosts: Path,
) -> None:
    (port,) = free_ports(1)
    late = node(hosts, 1, port, seconds=1)
    _, err = late.communicate(timeout=240)
    assert late.returncode == 1
    assert err.splitlines()[-1].startswith("The machines of this run did not find each other")
    asked = node(hosts, 1, port)
    assert asked.stderr
    asked.stderr.readline()
    # bwrap waits for it, and ends with its code.
    (launcher,) = psutil.Process(asked.pid).children()
    launcher.send_signal(signal.SIGTERM)
    _, err = asked.communicate(timeout=240)
    assert (asked.returncode, err.splitlines()[-1][:13]) == (143, "Asked to stop")
