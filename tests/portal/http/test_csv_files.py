"""A cell of ours is a text in every spreadsheet, and comes back as it was."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.http import csv_files

FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(A1)", " =1+1", "\t=1", "\n=1", "\r\n =1", "\u00a0=1", "\ufeff=1",
    "\u200b=1", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff201", "\ufe66x", "\u2003@x", "\x00=1",
    "\u3000=1", "\tx", "\rx", "\nx", "'=1",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_is_a_text(text: str) -> None:
    assert csv_files.harmless(text) == "'" + text


@pytest.mark.parametrize("text", ["", "a=b", "It's", "'tis", "1-2", "é", " a", "'"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert csv_files.harmless(text) == text


@pytest.mark.parametrize("value", [-1, -0.5, None])
def test_numbers_stay_numbers(value: object) -> None:
    assert csv_files.harmless(value) == value


def test_a_cell_with_another_separator_stands_in_quotes() -> None:
    """Where a comma is part of numbers, a semicolon ends a cell, and another begins."""
    assert csv_files.line(["a;=1+1", "b"]) == '"a;=1+1","b"\r\n'


CHANGED = [
    "007", "036000291452", "0000000121032683", "1E5", "1,5e3", "3/4", "1-2", "28.5", "1.10",
    "MAR1", "May1", "1Mar", "9 PM", "9 a", "(5)", "(1,000)", ".5", "5.", "1.E5", "%5", "5 %",
    "2. M\u00e4rz", "2-Mai", "Dez 5", "1.2.", "Wahr", "VRAI", "\uff11\uff12", "5\u67081\u65e5",
    "2026-03-01", "10:30", "7:05 pm", "March 7", "1-Mar", "7 Sept. 1999", "TRUE", "false", "$5",
]  # fmt: skip


@pytest.mark.parametrize("text", CHANGED)
def test_what_a_spreadsheet_would_change_is_a_text_where_it_has_to_come_back(text: str) -> None:
    assert csv_files.harmless(text) == text
    assert csv_files.harmless(text, exact=True) == "'" + text
    assert csv_files.original("'" + text) == text


@pytest.mark.parametrize(
    "text",
    ["1999", "50%", "'90s", "90210", "Maybe", "Mayhem 7a", "truer", "74 Jailbreak", "May", "U2"],
)
def test_what_it_leaves_alone_is_left_alone(text: str) -> None:
    assert csv_files.harmless(text, exact=True) == text
    assert csv_files.original("'" + text) == "'" + text


def test_a_document_begins_with_its_mark() -> None:
    assert "".join(csv_files.document([["a"], ["\u00e9"]])) == "\ufeffa\r\n\u00e9\r\n"


ODD = [*FORMULAS, *CHANGED, *("'" + text for text in CHANGED)]


@pytest.mark.parametrize("exact", [False, True])
@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"])) | st.sampled_from(ODD)))
def test_every_cell_comes_back_as_it_was(exact: bool, cells: list[str]) -> None:
    cells = [cell.replace("\0", "").replace("\r", "") for cell in cells] or ["a"]
    (read,) = csv.reader(io.StringIO(csv_files.line(cells, exact=exact), newline=""))
    assert [csv_files.original(cell) for cell in read] == cells
