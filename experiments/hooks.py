"""Modules that register themselves with lower packages, which may not import this one."""

from experiments import journal_replay
from experiments.clearance import descendants, originals
from experiments.discussion import gone_runs
from experiments.inbox import bell
from experiments.publishing import public_words
from experiments.reports import chart_blocks, frozen, included, run_blocks, subject

__all__ = [
    "bell",
    "chart_blocks",
    "descendants",
    "frozen",
    "gone_runs",
    "included",
    "journal_replay",
    "originals",
    "public_words",
    "run_blocks",
    "subject",
]
