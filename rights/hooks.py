"""What this room tells the shell, which may not import it: each module registers itself."""

from rights import journal_replay

__all__ = ["journal_replay"]
