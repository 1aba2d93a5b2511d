"""Registers this app with the apps below, which may not import it: each module registers itself."""

from listening import descendants, sweep_objective

__all__ = ["descendants", "sweep_objective"]
