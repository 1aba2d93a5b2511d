"""How much a run and a project may have: items and bytes. What is beyond is left out and counted,
so that a program that logs too much goes on, its numbers too, and its page says so."""

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Sum

from experiments.models import MediaUse, Project


@dataclass
class Room:
    """What may still be stored, and what to say when it may not."""

    items: int
    bytes: int
    why: str

    def take(self, items: int, size: int) -> bool:
        """Take room for these, which may be less than there was; return false, with nothing taken,
        if there is not enough."""
        if (items > 0 and items > self.items) or (size > 0 and size > self.bytes):
            return False
        self.items, self.bytes = self.items - items, self.bytes - size
        return True


def room(use: MediaUse, project: Project) -> Room:
    """Return what the run may still store; the smaller of its own room and its project's."""
    own = settings.MEDIA_RUN_BYTES - use.bytes
    shared = settings.MEDIA_PROJECT_BYTES - project_bytes(project)
    items = settings.MEDIA_RUN_ITEMS - use.items
    if items <= 0:
        why = f"A run has at most {settings.MEDIA_RUN_ITEMS:,} of them."
    elif own <= shared:
        why = f"A run has at most {settings.MEDIA_RUN_BYTES / 1e6:,.0f} MB of them."
    else:
        why = (
            f"A project has at most {settings.MEDIA_PROJECT_BYTES / 1e6:,.0f} MB of them. "
            "Delete runs that nobody needs, or ask an operator for more."
        )
    return Room(items, min(own, shared), why)


def project_bytes(project: Project) -> int:
    """Return the bytes of all media of a project's runs."""
    rows = MediaUse.objects.filter(run__project=project)
    return rows.aggregate(total=Sum("bytes"))["total"] or 0
