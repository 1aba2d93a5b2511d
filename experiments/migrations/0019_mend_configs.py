"""Configs with halves of characters in them, which SQLite took: their projects had no pages."""

import json

from django.db import migrations


def mend(apps, schema_editor):
    runs = apps.get_model("experiments", "Run").objects.filter(origin="client")
    for pk, config in runs.values_list("pk", "config").iterator():
        text = json.dumps(config, ensure_ascii=False)
        readable = text.encode("utf-8", "replace").decode().replace("\\u0000", "?")
        if readable != text:
            runs.filter(pk=pk).update(config=json.loads(readable))


class Migration(migrations.Migration):
    dependencies = [("experiments", "0018_undelivered")]
    operations = [migrations.RunPython(mend, migrations.RunPython.noop, elidable=True)]
