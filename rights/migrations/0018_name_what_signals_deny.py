from django.db import migrations

# What the keys stood for when these signals were noted; a key that was unknown then denied nothing.
TRAINING = ["train.analysis", "train.generative", "finetune"]
DENIED = {
    "tdm-reservation": TRAINING,
    "cawg.data_mining": TRAINING,
    "cawg.ai_inference": ["eval", "condition"],
    "cawg.ai_training": ["train.analysis"],
    "cawg.ai_generative_training": ["train.generative", "finetune"],
}
EVERY_USE = [
    "eval", "train.analysis", "train.generative", "finetune", "condition", "stems",
    "derive.remix", "derive.cover", "voice", "likeness.name", "style.named", "distribute",
]  # fmt: skip


def name_them(apps, schema_editor):
    """Also of those that said no by a key that was not known: they deny from now on."""
    for signal in apps.get_model("rights", "Signal").objects.exclude(value__in=("allowed", "0")):
        key = signal.key.strip().casefold()
        use = key.removeprefix("backline.")
        known = [use] if key != use and use in EVERY_USE else None
        same = key if key in DENIED else f"cawg.{key.rpartition('.')[2]}"
        signal.denied = known or DENIED.get(same, EVERY_USE)
        signal.denies = True
        signal.save(update_fields=["denied", "denies"])


class Migration(migrations.Migration):
    dependencies = [
        ("rights", "0017_denied_uses_of_signals"),
    ]

    operations = [
        migrations.RunPython(name_them, migrations.RunPython.noop),
    ]
