"""What this room tells the rooms below, which may not import it: each module registers itself."""

from experiments import journal_replay
from experiments.clearance import descendants, originals
from experiments.publishing import public_words

__all__ = ["descendants", "journal_replay", "originals", "public_words"]
