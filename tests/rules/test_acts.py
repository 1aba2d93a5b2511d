"""Buttons of harm are on pages that show it first, and say whose harm it is."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "templates"
FORM = re.compile(r"<form\b.*?</form>", re.DOTALL)
BUTTON = re.compile(r"<button\b[^>]*\bdanger\b.*?</button>", re.DOTALL)
# Can be undone: the run can be tried again from its last checkpoint, the sweep continued.
UNDONE = {"experiments/run.html", "experiments/sweep.html"}
PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in ROOT.rglob("*.html")
    if any(BUTTON.search(form) for form in FORM.findall(path.read_text()))
)


def forms(page: str) -> list[str]:
    return [form for form in FORM.findall((ROOT / page).read_text()) if BUTTON.search(form)]


def test_there_are_such_pages() -> None:
    assert "rights/opt_out.html" in PAGES
    assert len(PAGES) > 10


@pytest.mark.parametrize("page", sorted(set(PAGES) - UNDONE))
def test_what_cannot_be_undone_is_posted_as_it_was_shown(page: str) -> None:
    for form in forms(page):
        assert 'include "portal/shown.html"' in form, page


@pytest.mark.parametrize("page", sorted(set(PAGES) - UNDONE))
def test_its_button_names_what_it_ends(page: str) -> None:
    """A word such as \"Withdraw\" is an act of nobody on nothing."""
    for form in forms(page):
        for button in BUTTON.findall(form):
            assert "{{" in button, button


def test_no_browser_dialogue_stands_for_a_page_but_where_it_can_be_undone() -> None:
    """Without scripts such a question is never asked."""
    asked = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.html")
        if "data-confirm" in path.read_text() or "hx-confirm" in path.read_text()
    }
    assert asked <= UNDONE
