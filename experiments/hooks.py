"""Modules that register themselves with lower packages, which may not import this one."""

from experiments import journal_replay
from experiments.clearance import descendants, originals
from experiments.discussion import purged_runs
from experiments.inbox import bell
from experiments.publishing import public_words

__all__ = ["bell", "descendants", "journal_replay", "originals", "public_words", "purged_runs"]
