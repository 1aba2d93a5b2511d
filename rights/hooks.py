"""The modules that register themselves with the portal app, which may not import this one."""

from rights import journal_replay

__all__ = ["journal_replay"]
