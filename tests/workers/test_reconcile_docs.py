"""docs/flow.md draws the state machine; this holds the drawing and the table together."""

import re
from pathlib import Path

from experiments.runs.states import MOVES


def test_the_documented_moves_are_the_moves() -> None:
    text = (Path(__file__).parent.parent.parent / "docs" / "flow.md").read_text()
    table = text.split("## The states")[1].split("## ")[0]
    drawn = set(re.findall(r"^\| (\w+) \| (\w+) \|", table, re.MULTILINE)) - {("from", "to")}
    assert drawn == {(old.value, new.value) for old, news in MOVES.items() for new in news}
