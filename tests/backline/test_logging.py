"""`run.log` takes what training loops have, keeps what is good of it, and says once what is not."""

import errno
import math
from array import array
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import backline
from backline import batches
from backline.delivery.writer import Writer
from backline.ranks import ProcessPlace
from experiments.models import Project
from portal import tokens
from portal.models import User
from tests.backline.script import curves
from tests.backline.test_client import Server


@pytest.fixture
def script(
    live_server: Server,
    ada: User,
    project: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> backline.Run:
    monkeypatch.setenv("BACKLINE_SPOOL", str(tmp_path / "spools"))
    monkeypatch.setenv("BACKLINE_BEAT_SECONDS", "0.2")
    token = tokens.issue(ada, "script")[1]
    return backline.init(
        project.slug, "Script", url=live_server.url, token=token,
        capture_console=False, system_figures=False,
    )  # fmt: skip


class Live:
    """A tensor of one element whose gradient is followed: `float` of it warns."""

    def __float__(self) -> float:
        raise AssertionError("Converting a tensor with requires_grad=True to a scalar.")

    def detach(self) -> "np.ndarray[Any, Any]":
        return np.array([[0.25]], np.float32)


class Broken:
    def __float__(self) -> float:
        raise KeyError("broken")

    def __repr__(self) -> str:
        raise RuntimeError("broken too")


@pytest.mark.django_db(transaction=True)
def test_names_are_kept_one_by_one(
    script: backline.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in range(3):
        script.log({0: 0.9, "loss": 0.5, "gpu mem ": 12.0, "": 1.0, "x" * 300: 1.0}, step=step)  # type: ignore[dict-item]
        script.flush()
    script.log({1: 1.0, "1": 2.0, " 1": 3.0}, step=3)  # type: ignore[dict-item]
    script.log({f"layer/{n}/" + "w" * 180: float(n) for n in range(6_000)}, step=4)
    script.finish()
    found = curves()
    wide = {name: values for name, values in found.items() if name.startswith("layer/")}
    assert len(wide) == 6_000
    assert all(values == {4: float(name.split("/")[1])} for name, values in wide.items())
    assert {name: values for name, values in found.items() if name not in wide} == {
        "0": dict.fromkeys(range(3), 0.9),
        "loss": dict.fromkeys(range(3), 0.5),
        "gpu mem": dict.fromkeys(range(3), 12.0),
        "1": {3: 1.0},
    }
    lines = capsys.readouterr().err.splitlines()
    for words in ("0 is logged as '0'", "'gpu mem ' is logged as 'gpu mem'", "'' cannot be",
                  "'" + "x" * 50 + "' cannot be", "'1' is logged twice"):  # fmt: skip
        assert sum(words in line for line in lines) == 1, (words, lines)


@pytest.mark.django_db(transaction=True)
def test_values_are_numbers_or_are_left_out_once_by_name(
    script: backline.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in range(500):
        script.log({"loss": 0.5, "val_loss": None, "note": "0.5", "odd": Broken()}, step=step)  # type: ignore[dict-item]
    many = np.ones(3)
    script.log({"one": np.array([0.75]), "live": Live(), "huge": 10**400, "many": many}, step=1)  # type: ignore[dict-item]
    script.log({"count": 7, "yes": True, "half": np.float16(0.5), "nan": math.nan}, step=1)
    script.finish()
    found = curves()
    assert len(found.pop("loss")) == 500
    assert math.isnan(found.pop("nan")[1])
    assert found == {
        "one": {1: 0.75},
        "live": {1: 0.25},
        "count": {1: 7.0},
        "yes": {1: 1.0},
        "half": {1: 0.5},
    }
    lines = [line for line in capsys.readouterr().err.splitlines() if "not a number" in line]
    assert [line.split()[1] for line in lines] == ["val_loss", "note", "odd", "huge", "many"]


@pytest.mark.django_db(transaction=True)
def test_a_step_that_is_no_number_does_not_poison_later_ones(
    script: backline.Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in (5, math.nan, None, "ten", math.inf, np.int64(20), None, 2**70, None):
        script.log({"loss": 1.0}, step=step)  # type: ignore[arg-type]
    script.finish()
    largest = 2**63 - 1
    assert list(curves()["loss"]) == [5, 6, 7, 8, 9, 20, 21, largest]
    assert capsys.readouterr().err.count("A step is a whole number") == 1


class Disk:
    """In place of a spool: takes deliveries, or is full."""

    def __init__(self) -> None:
        self.full = False
        self.numbers = 0
        self.taken: list[bytes] = []
        self.session = SimpleNamespace(session="s")

    def next_number(self) -> int:
        self.numbers += 1
        return self.numbers

    def put(self, _kind: str, content: bytes, *, number: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        assert number == len(self.taken) + 1
        self.taken.append(content)

    def steps(self) -> list[int]:
        return [
            step
            for content in self.taken
            for table in batches.decode(content).tables
            for step in table.steps.tolist()
        ]


class Warnings(list[str]):
    def __call__(self, sentence: str, *, about: str = "") -> None:
        if sentence not in self:
            self.append(sentence)
            assert about in {"", "sender"}


def writing() -> tuple[Disk, list[str], Writer]:
    """A writer without its thread, what it writes to, and what it has warned of."""
    disk, warnings = Disk(), Warnings()
    writer = Writer(
        disk,  # type: ignore[arg-type]
        console=None, figures=None, place=ProcessPlace(), warn=warnings,
    )  # fmt: skip
    return disk, warnings, writer


def test_what_a_full_disk_does_not_take_waits_in_its_order() -> None:
    disk, warnings, writer = writing()
    for step in range(6):
        disk.full = 2 <= step < 5
        writer.rows.append((step, 0.0, ("loss",), array("d", [0.5])))
        writer.flush()
        assert disk.steps() == (list(range(step + 1)) if not disk.full else [0, 1])
    assert len(warnings) == 1
    assert "No space left" in warnings[0]


def test_a_row_that_cannot_be_sent_takes_no_other_with_it() -> None:
    disk, warnings, writer = writing()
    for step, names in enumerate((("loss",), ("loss", "more"), ("loss",))):
        writer.rows.append((step, 0.0, names, array("d", [0.5])))
    writer.flush()
    assert disk.steps() == [0, 2]
    assert len(warnings) == 1
    assert writer.rows == []
