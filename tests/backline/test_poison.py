"""One delivery that can never be taken holds up nothing else, and nothing is dropped silently."""

import time
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from django.test import Client

import backline
from backline import batches, bounds, wire
from backline.delivery.sender import drain
from backline.delivery.spool import ASIDE_AFTER, PASSED_AFTER, Session, Spool
from backline.delivery.writer import Writer
from backline.ranks import ProcessPlace
from experiments.deliveries import undelivered
from experiments.models import Project, Run
from portal.models import User
from tests.backline.portal import Door
from tests.backline.test_client import begin, door, senders_gone, spools, token, wait_for

__all__ = ["door", "spools", "token"]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    session = Session(
        url="http://127.0.0.1:9", token="t", run="r", session="s", pid=1, pid_started=0.0
    )
    return Spool.create(tmp_path / "spool", session)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_delivery_that_breaks_the_portal_holds_up_neither_others_nor_the_end(
    *, door: Door, project: Project, token: str, spools: Path, tmp_path: Path, ada: User
) -> None:
    door.poison = b"weights of poison"
    file = tmp_path / "weights"
    with begin(project, token, door.url) as run:
        file.write_bytes(door.poison)
        run.save_checkpoint(file, step=7)
        file.write_bytes(b"good weights")
        run.save_checkpoint(file, step=8)
        run.log({"loss": 1.0}, step=8)
    wait_for(lambda: Run.objects.get().state == Run.State.FINISHED)
    row = Run.objects.get()
    assert [checkpoint.step for checkpoint in row.checkpoints.all()] == [8]
    # It is kept, and said where people look.
    spool = Spool.open(next(spools.glob("*/session.json")).parent)
    wait_for(lambda: [item.kind for item in spool.pending()] == ["checkpoint"])
    wait_for(lambda: undelivered.words(row) != "")
    client = Client()
    client.force_login(ada)
    page = client.get(row.get_absolute_url()).content.decode()
    assert "1 delivery of its program could not be taken" in page
    # What was set aside is tried again: a portal that has been mended takes it, and nothing waits.
    door.poison = b""
    (item,) = spool.pending()
    note = spool.folder / "failing" / item.path.name
    note.write_text(spool.failures()[item.path.name].model_copy(update={"at": 0}).model_dump_json())
    wait_for(lambda: row.checkpoints.count() == 2)
    wait_for(lambda: senders_gone(spools))
    assert undelivered.words(row) == ""


@pytest.mark.django_db(transaction=True)
def test_a_portal_that_breaks_over_everything_sets_nothing_aside(
    door: Door, project: Project, token: str, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKLINE_DRAIN_SECONDS", "0")
    run = begin(project, token, door.url)
    door.broken = True
    for step in range(4):
        run.log({"loss": 1.0}, step=step)
        run.flush()
    spool = Spool.open(next(spools.glob("*/session.json")).parent)
    wait_for(lambda: sum(failure.tries for failure in spool.failures().values()) > PASSED_AFTER)
    assert len(spool.waiting()) == len(spool.pending())
    assert {failure.alone for failure in spool.failures().values()} == {0}
    door.broken = False
    run.finish()
    wait_for(lambda: senders_gone(spools))
    assert Run.objects.get().series.get().count == 4


@pytest.mark.django_db(transaction=True)
def test_a_sender_that_begins_anew_takes_back_what_was_told(
    door: Door, project: Project, token: str, spools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKLINE_DRAIN_SECONDS", "0")
    run = begin(project, token, door.url)
    row = Run.objects.get()
    undelivered.store_report(row, wire.Undelivered(session="s", count=0))
    spool = Spool.open(next(spools.glob("*/session.json")).parent)
    told = wire.Undelivered(session=spool.session.session, count=2, reason="log: It broke.")
    undelivered.store_report(row, told)
    spool.note_reported(True)
    assert "2 deliveries" in undelivered.words(row)
    for process in psutil.Process().children():
        # A sender of an earlier test may end in between, or have ended and not been waited for.
        with suppress(psutil.Error):
            if "backline.delivery.sender" in process.cmdline():
                process.kill()
                process.wait()
    run.finish()
    assert drain(spool.folder)
    assert undelivered.words(row) == ""


def test_a_sender_that_comes_too_late_leaves_the_folder_to_the_other(spool: Spool) -> None:
    """Two may list the same folders at once."""
    (spool.folder / "session.json").unlink()
    assert not drain(spool.folder)
    spool.remove()
    assert not drain(spool.folder)


def test_how_often_a_delivery_failed_is_known_after_a_restart(spool: Spool) -> None:
    spool.put("log", b"{}")
    (item,) = spool.pending()
    for _ in range(ASIDE_AFTER):
        spool.failed(item, "It broke.", alone=True)
    again = Spool.open(spool.folder)
    assert again.failures()[item.path.name].tries == ASIDE_AFTER
    assert again.waiting() == []
    assert again.undelivered() == (1, "log: It broke.")
    # A delivery that is taken in the end is forgotten whole.
    again.accepted(item)
    assert (again.failures(), again.undelivered()) == ({}, (0, ""))


def test_a_failed_delivery_is_tried_after_a_growing_pause(spool: Spool) -> None:
    spool.put("log", b"{}")
    (item,) = spool.pending()
    first = spool.failed(item, "It broke.", alone=False)
    assert first.holds_up
    assert not first.due(first.at)
    assert first.due(first.at + 1)
    later = [spool.failed(item, "It broke.", alone=False) for _ in range(PASSED_AFTER)][-1]
    assert not later.holds_up
    assert not later.aside
    assert not later.due(later.at + 1)
    # A clock that was put back holds up nothing.
    assert later.due(later.at - 3_600)


def test_a_note_of_a_failure_that_was_cut_off_is_no_failure(spool: Spool) -> None:
    spool.put("log", b"{}")
    (item,) = spool.pending()
    spool.failed(item, "It broke.", alone=True)
    (spool.folder / "failing" / item.path.name).write_bytes(b'{"tries": ')
    assert spool.failures() == {}
    assert spool.waiting() == [item]


ACTS: list[tuple[str, Callable[[backline.Run, Path], None]]] = [
    ("step of 2**63", lambda run, file: run.save_checkpoint(file, step=2**63)),
    ("step below zero", lambda run, file: run.save_checkpoint(file, step=-1)),
    ("clip without a name", lambda run, file: run.log_audio("", file)),
    ("clip of step 2**63", lambda run, file: run.log_audio("a", file, step=2**63)),
    ("seed of 2**63", lambda run, file: run.log_audio("a", file, seed=2**63)),
    ("prompt without end", lambda run, file: run.log_audio("a", file, prompt="a" * 100_000)),
    ("name with a NUL", lambda run, file: run.log_audio("a\0b", file)),
    ("use of step 2**63", lambda run, _: run.log_usage(step=2**63, usage={1: (1, 1.0)})),
    ("use without end", lambda run, _: run.log_usage(step=1, usage={1: (1, float("inf"))})),
]


@pytest.mark.django_db(transaction=True)
def test_what_can_never_be_kept_is_refused_at_once_with_a_warning(
    *, live_server: Any, project: Project, token: str, spools: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = tmp_path / "weights"
    file.write_bytes(b"weights")
    with begin(project, token, live_server.url) as run:
        for words, act in ACTS:
            act(run, file)
            assert "cannot be kept and was not sent" in capsys.readouterr().err, words
        spool = Spool.open(next(spools.glob("*/session.json")).parent)
        assert spool.pending() == []
        run.save_checkpoint(file, step=np.int64(5))  # type: ignore[arg-type]
    wait_for(lambda: senders_gone(spools))
    assert [checkpoint.step for checkpoint in Run.objects.get().checkpoints.all()] == [5]


@pytest.mark.django_db(transaction=True)
def test_notes_that_json_cannot_hold_never_cost_the_weights(
    *, live_server: Any, project: Project, token: str, spools: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    file = tmp_path / "weights"
    file.write_bytes(b"weights")
    with begin(project, token, live_server.url) as run:
        meta = {"loss": float("nan"), "best": np.float32(0.5), "a\0": "\ud800", "big": 10**400}
        run.save_checkpoint(file, step=1, meta=meta)
        assert "is kept as a text" in capsys.readouterr().err
        run.save_checkpoint(file, step=2, meta={"all": ["a" * 1_000] * 1_000})
        assert "too long" in capsys.readouterr().err
        # Words that UTF-8 cannot write end no program.
        run.progress(float("nan"), stage="\ud800")
        run.finish("failed", "it said \ud800\0")
    wait_for(lambda: senders_gone(spools))
    row = Run.objects.get()
    lost = bounds.LOST
    kept = row.checkpoints.get(step=1).meta
    assert kept == {"loss": "nan", "best": 0.5, f"a{lost}": lost, "big": kept["big"]}
    assert row.checkpoints.get(step=2).meta == {"all": "left out: 1,004,000 characters"}
    assert row.state_reason == f"it said {lost}{lost}"


@pytest.mark.django_db(transaction=True)
def test_a_delivery_whose_file_is_gone_holds_up_nothing(
    door: Door, project: Project, token: str, spools: Path, tmp_path: Path
) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"weights")
    door.broken = False
    with begin(project, token, door.url) as run:
        door.broken = True
        run.save_checkpoint(file, step=1)
        spool = Spool.open(next(spools.glob("*/session.json")).parent)
        for one in (spool.folder / "files").iterdir():
            one.unlink()
        run.save_checkpoint(file, step=2)
        door.broken = False
    wait_for(lambda: bool(spool.refusals()) and Run.objects.get().checkpoints.exists())
    assert [checkpoint.step for checkpoint in Run.objects.get().checkpoints.all()] == [2]
    assert list(spool.refusals().values()) == ["The file that it carries is gone from this disk."]


def test_many_long_names_are_several_batches_that_can_be_read(spool: Spool) -> None:

    said: list[str] = []
    writer = Writer(spool, console=None, figures=None, place=ProcessPlace(), warn=said.append)
    for group in range(3):
        names = tuple(f"{group}-{n}-".ljust(180, "x") for n in range(4_000))
        values = array("d", [1.0] * len(names))
        writer.rows.append((group, time.time(), names, values))
    writer.flush()
    found = [batches.decode(item.path.read_bytes()) for item in spool.pending()]
    assert sum(batch.points for batch in found) == 12_000
    assert said == []
