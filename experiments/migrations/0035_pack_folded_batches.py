from itertools import groupby

import numpy as np
from django.db import migrations, transaction

from backline.columns import pack

BLOCK = 1024


def note(apps, _schema):
    """Numbers and digests of folded batches go into columns, run by run; may be broken off and
    repeated."""
    Batch = apps.get_model("experiments", "Batch")
    folded = Batch.objects.filter(folded=True)
    runs = list(folded.order_by().values_list("run", flat=True).distinct())
    for run in runs:
        with transaction.atomic():
            rows = folded.filter(run=run)
            keys = rows.order_by("session", "number").values_list("session", "number", "digest")
            for session, deliveries in groupby(keys.iterator(), key=lambda row: row[0]):
                _store(apps, run, session, [(number, digest) for _, number, digest in deliveries])
            rows.delete()


def _store(apps, run, session, deliveries):
    FoldedBatches = apps.get_model("experiments", "FoldedBatches")
    blocks = []
    for start in range(0, len(deliveries), BLOCK):
        part = deliveries[start : start + BLOCK]
        numbers = np.array([number for number, _ in part], dtype=np.int64)
        short = [bytes.fromhex(digest[:16]).rjust(8, b"\0") for _, digest in part]
        data = pack([numbers, np.frombuffer(b"".join(short), dtype="<i8")])
        blocks.append(
            FoldedBatches(
                run_id=run, session=session, index=start // BLOCK, count=len(part),
                lowest=part[0][0], highest=part[-1][0], data=data,
            )
        )  # fmt: skip
    FoldedBatches.objects.bulk_create(blocks, batch_size=500)


class Migration(migrations.Migration):
    # A run at a time: the numbers of millions of deliveries are not one transaction.
    atomic = False
    dependencies = [("experiments", "0034_folded_batches")]
    operations = [migrations.RunPython(note)]
