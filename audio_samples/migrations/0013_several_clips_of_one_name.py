import hashlib
import json
from typing import Any

from django.db import migrations, models

BATCH = 500


def identify(apps: Any, schema_editor: Any) -> None:
    """Give older clips the identity with which their program would deliver them again."""
    Sample = apps.get_model("audio_samples", "Sample")
    waiting: list[Any] = []
    rows = Sample.objects.only("name", "step", "prompt", "seed", "take", "audio_id", "identity")
    for sample in rows.iterator(chunk_size=BATCH):
        parts = [
            sample.name, sample.step, sample.prompt, sample.seed, sample.take, sample.audio_id
        ]  # fmt: skip
        sample.identity = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        waiting.append(sample)
        if len(waiting) == BATCH:
            Sample.objects.bulk_update(waiting, ["identity"])
            waiting.clear()
    Sample.objects.bulk_update(waiting, ["identity"])


class Migration(migrations.Migration):
    dependencies = [("audio_samples", "0012_prints_are_the_recordings")]

    operations = [
        migrations.AddField("sample", "take", models.BigIntegerField(default=0)),
        migrations.AddField(
            "sample",
            "identity",
            models.CharField(max_length=64, editable=False, default=""),
            preserve_default=False,
        ),
        migrations.RunPython(identify, migrations.RunPython.noop),
        migrations.RemoveConstraint("sample", "sample_once"),
        migrations.AddConstraint(
            "sample",
            models.UniqueConstraint(fields=["run", "identity"], name="sample_once"),
        ),
    ]
