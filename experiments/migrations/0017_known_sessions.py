from datetime import timedelta

from django.db import migrations
from django.db.models import Q
from django.utils import timezone


def note(apps, _schema):
    """Programs that are at work, or have ended within a day, still deliver under these names."""
    Session = apps.get_model("experiments", "Session")
    recent = Q(run__ended_at=None) | Q(run__ended_at__gt=timezone.now() - timedelta(days=1))
    known = set()
    for name in ("Batch", "LogChunk"):
        rows = apps.get_model("experiments", name).objects.filter(recent).order_by()
        known |= set(rows.values_list("run", "session").distinct())
    Session.objects.bulk_create(
        [Session(run_id=run, name=session) for run, session in sorted(known, key=str)],
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies = [("experiments", "0016_delivery_sessions")]
    operations = [migrations.RunPython(note, migrations.RunPython.noop)]
