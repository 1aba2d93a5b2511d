"""Registers this app with the apps below, which may not import it: each module registers itself."""

from listening import descendants, run_outputs

__all__ = ["descendants", "run_outputs"]
