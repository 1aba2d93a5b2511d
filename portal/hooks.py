"""The portal's own hooks: each module registers itself."""

from portal.endings import accounts, restoring

__all__ = ["accounts", "restoring"]
