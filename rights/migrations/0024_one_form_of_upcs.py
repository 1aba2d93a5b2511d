from typing import Any

from django.db import migrations

LENGTHS = (8, 12, 13, 14)


def one_form(apps: Any, schema_editor: Any) -> None:
    """Give each UPC, EAN or GTIN its shortest form. Of two releases that are then the same one
    keeps what it has: people have to say which is right."""
    Release = apps.get_model("rights", "Release")
    for pk, upc in list(Release.objects.exclude(upc="").values_list("pk", "upc")):
        number = upc.zfill(14)
        length = next(length for length in LENGTHS if not number[:-length].strip("0"))
        short = number[-length:]
        if short != upc and not Release.objects.filter(upc=short).exists():
            Release.objects.filter(pk=pk).update(upc=short)


class Migration(migrations.Migration):
    dependencies = [("rights", "0023_uses_from_the_table")]

    operations = [migrations.RunPython(one_form, migrations.RunPython.noop, elidable=True)]
