from itertools import count, groupby, islice

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
                # A session may have millions: a block of them at a time.
                for index in count():
                    if not (part := list(islice(deliveries, BLOCK))):
                        break
                    _store(apps, run, session, index, part)
            rows.delete()


def _store(apps, run, session, index, part):
    numbers = np.array([number for _, number, _ in part], dtype=np.int64)
    short = [bytes.fromhex(digest[:16]).rjust(8, b"\0") for *_, digest in part]
    apps.get_model("experiments", "FoldedBatches").objects.create(
        run_id=run, session=session, index=index, count=len(part),
        lowest=int(numbers[0]), highest=int(numbers[-1]),
        data=pack([numbers, np.frombuffer(b"".join(short), dtype="<i8")]),
    )  # fmt: skip


class Migration(migrations.Migration):
    # A run at a time: the numbers of millions of deliveries are not one transaction.
    atomic = False
    dependencies = [("experiments", "0034_folded_batches")]
    operations = [migrations.RunPython(note)]
