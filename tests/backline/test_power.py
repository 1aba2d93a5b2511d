"""A machine that loses power keeps what was laid into the spool; `run.log` waits for no disk."""

import errno
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import backline
from backline import wire
from backline.delivery.spool import Session, Spool
from experiments.models import Project
from portal import tokens
from portal.models import User


@dataclass
class Disk:
    """What was asked of the disk, in order: (act, path below the folder), and by which thread."""

    root: Path
    asked: list[tuple[str, str]] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)

    def names(self) -> list[tuple[str, str]]:
        """Without the random parts of names."""
        return [(act, path.split(".")[0] if "/." in path else path) for act, path in self.asked]


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    made = Disk(tmp_path)
    real_sync, real_replace = os.fsync, os.replace

    def below(path: str) -> str:
        return str(Path(path).relative_to(tmp_path))

    def fsync(descriptor: int) -> None:
        # The name under which the file is known at this moment.
        made.asked.append(("sync", below(str(Path(f"/proc/self/fd/{descriptor}").readlink()))))
        made.threads.append(threading.current_thread().name)
        real_sync(descriptor)

    def replace(old: Path, new: Path) -> None:
        real_replace(old, new)
        made.asked.append(("name", below(str(new))))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        patch.setattr(os, "replace", replace)
        yield made


def spool(root: Path) -> Spool:
    session = Session(
        url="http://127.0.0.1", token="t", run="r", session="s", pid=os.getpid(), pid_started=0.0
    )
    return Spool.create(root, session)


def test_a_delivery_is_written_synced_named_and_only_then_laid_down(disk: Disk) -> None:
    made = spool(disk.root)
    disk.asked.clear()
    assert made.put("batch", b"points") == 1
    assert disk.names() == [
        ("sync", "r-s/outbox/"), ("name", "r-s/outbox/000000000001.batch"), ("sync", "r-s/outbox"),
    ]  # fmt: skip


def test_a_file_is_on_the_disk_before_the_note_that_names_it(disk: Disk) -> None:
    made = spool(disk.root)
    file = made.new_file(".checkpoint")
    file.write_bytes(b"weights")
    disk.asked.clear()
    made.put_file("checkpoint", file, wire.CheckpointMeta(step=1, sha256="0" * 64))
    assert disk.names()[:2] == [("sync", f"r-s/files/{file.name}"), ("sync", "r-s/files")]
    assert disk.names()[-2:] == [
        ("name", "r-s/outbox/000000000001.checkpoint"), ("sync", "r-s/outbox"),
    ]  # fmt: skip


def test_a_new_session_is_found_again_after_a_power_cut(disk: Disk) -> None:
    spool(disk.root)
    assert disk.names() == [
        ("sync", "r-s/"), ("name", "r-s/session.json"), ("sync", "r-s"), ("sync", "."),
    ]  # fmt: skip


def test_a_file_system_that_cannot_sync_folders_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_dir():
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    made = spool(tmp_path)
    made.put("batch", b"points")
    assert len(made.pending()) == 1


def test_a_disk_that_fails_lays_nothing_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = spool(tmp_path)

    def fsync(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output"):
        made.put("batch", b"points")
    assert made.pending() == []


class Server:
    url: str


@pytest.mark.django_db(transaction=True)
def test_logging_waits_for_no_disk(
    live_server: Server, project: Project, ada: User, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BACKLINE_RUN", "BACKLINE_SESSION", "BACKLINE_TOKEN", "BACKLINE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BACKLINE_SPOOL", str(disk.root))
    token = tokens.issue(ada, "script")[1]
    with backline.init(
        project.slug, url=live_server.url, token=token,
        capture_console=False, system_figures=False,
    ) as run:  # fmt: skip
        disk.threads.clear()
        for step in range(30_000):
            run.log({"loss": 1.0}, step=step)
        assert "MainThread" not in disk.threads
        run.flush()
        assert {"MainThread", "backline"} & set(disk.threads)
