"""The shell's own: each module registers itself."""

from portal.endings import accounts, restoring

__all__ = ["accounts", "restoring"]
