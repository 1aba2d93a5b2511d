"""The table of uses (backline/uses.py): each row is whole, and a new use is one more row."""

import subprocess
import sys

import pytest

from backline import uses
from rights.models import RoleCode, Use


@pytest.mark.parametrize("use", Use)
def test_each_row_says_what_the_rest_of_the_portal_asks_of_it(use: Use) -> None:
    assert use.label
    assert use.facts.meaning.endswith(".")
    assert use.facts.asks <= set(RoleCode.values)
    assert not use.facts.asks or "MainArtist" in use.facts.asks
    assert use.facts.starts <= set(Use)
    assert use.facts.makes_model or not use.facts.starts
    assert not (use.facts.makes_model and use.facts.is_reference)
    assert any(use in refused for refused in uses.by_key().values())


def test_every_key_of_cawg_refuses_something_and_no_two_uses_share_one_of_ours() -> None:
    for key, refused in uses.by_key().items():
        if key in uses.CAWG_KEYS:
            assert refused, key
        else:
            assert len(refused) == 1, key


def test_a_text_that_names_no_use_is_none() -> None:
    assert uses.use_named("train.generative") is Use.TRAIN_GENERATIVE
    for text in ("", "TRAIN_GENERATIVE", "Train.generative", "train.generative "):
        assert uses.use_named(text) is None


@pytest.mark.slow
def test_a_new_use_is_one_more_row() -> None:
    """Columns, forms, consent, recipes, refusals and pages, in a process with another table."""
    plugin = ["-p", "tests.rights.one_more_use", "tests/rights/one_more_use.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider",
         *plugin],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
    assert " failed" not in done.stdout
