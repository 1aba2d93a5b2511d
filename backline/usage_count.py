"""Use of recordings by a program that does not report it: what it fetched counts in full, once.

Kept in the spool of `backline exec`, so that every process of the program, and the sender that
outlives them, know the same:

    fetched.jsonl   a wire.UsageLine for each recording that was handed to the program
    counted         who counts: "program" (it reports by log_usage) or "whole" (all that it fetched)

Whoever makes `counted` first decides. What a program has learned from must not leave the job
uncounted: its first checkpoint or clip before any report of its own makes the whole count.
"""

import os
import secrets
from pathlib import Path
from typing import Literal

from backline import wire

By = Literal["program", "whole"]
# A repeated report of the same step counts once: another attempt reports the same again.
STEP = 0


class Counting:
    """The account in one folder. Safe for several processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._notes = folder / "fetched.jsonl"
        self._mark = folder / "counted"
        self._told = 0

    def note(self, items: list[wire.DatasetItem]) -> None:
        """These were handed to the program."""
        lines = [
            wire.UsageLine(recording=item.recording, examples=1, seconds=item.seconds)
            for item in items
        ]
        # Opened to append and written in one piece: processes do not write into each other.
        with self._notes.open("ab") as file:
            file.write(b"".join(line.model_dump_json().encode() + b"\n" for line in lines))

    def decide(self, by: By) -> By:
        """Who counts from now on: `by`, if nobody was faster."""
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
        """What is to be reported in full; None if nothing is new, or if the program counts."""
        size = self._notes.stat().st_size if self._notes.exists() else 0
        if size == self._told or self.decide("whole") == "program":
            return None
        self._told = size
        found: dict[int, wire.UsageLine] = {}
        for text in self._notes.read_text(encoding="utf-8").splitlines():
            line = wire.UsageLine.model_validate_json(text)
            found[line.recording] = line
        return wire.UsageReport(step=STEP, lines=list(found.values()))
