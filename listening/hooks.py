"""Registers this app with the apps below, which may not import it: each module registers itself."""

from listening import descendants, report_blocks, run_fields, run_outputs, sweep_objective

__all__ = ["descendants", "report_blocks", "run_fields", "run_outputs", "sweep_objective"]
