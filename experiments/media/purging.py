"""Delete what a purged run has shown (experiments/runs/shelving.py)."""

from experiments.media.intake import digests_of
from experiments.models import Media, MediaName, MediaUse, Run
from portal import storage

# Rows per statement.
AT_ONCE = 500


def forget(run: Run) -> int:
    """Delete the run's media with their bytes, in pieces, outside of a transaction; return how many
    there were. May be broken off and repeated."""
    count = 0
    while rows := list(Media.objects.filter(run=run).order_by("pk")[:AT_ONCE]):
        Media.objects.filter(pk__in=[row.pk for row in rows]).delete()
        for digest in digests_of(rows):
            storage.forget(digest)
        count += len(rows)
    MediaName.objects.filter(run=run).delete()
    MediaUse.objects.filter(run=run).delete()
    return count
