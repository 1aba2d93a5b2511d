"""Use of recordings by a program that does not report it: what it fetched counts in full, once.

Stored in the spool of `backline exec`, so that every process of the program, and the sender that
outlives them, know the same:

    fetched.jsonl   a wire.UsageLine for each recording that was handed to the program
    counted         who counts: "program" (it reports by log_usage) or "whole" (all that it fetched)

The first process that creates `counted` decides. What a program learned from must not leave the
job uncounted: if a checkpoint or clip comes before any report of its own, all fetched counts.
"""

import os
import secrets
from pathlib import Path
from typing import Literal

from backline import wire

By = Literal["program", "whole"]
# A repeated report of a step counts once: another attempt reports this step again.
STEP = 0


class Counting:
    """The usage count in one folder. Safe for several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._notes = folder / "fetched.jsonl"
        self._mark = folder / "counted"
        self._reported = 0

    def note(self, items: list[wire.DatasetItem]) -> None:
        """Note that these were handed to the program."""
        lines = [
            wire.UsageLine(recording=item.recording, examples=1, seconds=item.seconds)
            for item in items
        ]
        # Appended in one write, so that the lines of several processes do not mix.
        with self._notes.open("ab") as file:
            file.write(b"".join(line.model_dump_json().encode() + b"\n" for line in lines))

    def decide(self, by: By) -> By:
        """Decide and return who counts from now on: `by`, unless another was decided before."""
        draft = self._folder / f".counted.{secrets.token_hex(4)}"
        draft.write_text(by)
        try:
            os.link(draft, self._mark)
        except FileExistsError:
            return "program" if self._mark.read_text() == "program" else "whole"
        finally:
            draft.unlink()
        return by

    def whole(self) -> wire.UsageReport | None:
        """Return a report of all that was fetched; None if nothing is new or the program counts."""
        size = self._notes.stat().st_size if self._notes.exists() else 0
        if size == self._reported or self.decide("whole") == "program":
            return None
        self._reported = size
        lines: dict[int, wire.UsageLine] = {}
        for text in self._notes.read_text(encoding="utf-8").splitlines():
            line = wire.UsageLine.model_validate_json(text)
            lines[line.recording] = line
        return wire.UsageReport(step=STEP, lines=list(lines.values()))
