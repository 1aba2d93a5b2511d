"""What this room tells the rooms below, which may not import it: each module registers itself."""

from listening import descendants

__all__ = ["descendants"]
