from django.db import migrations
from django.db.models import F, Min


def note_held(apps, schema_editor):
    """Every frozen dataset in which a permission has ended since, with the first such hold."""
    Item, DatasetHold = (apps.get_model("experiments", name) for name in ("DatasetItem", "DatasetHold"))
    touched = (
        Item.objects.filter(included=True, recording__holds__at__gt=F("dataset__frozen_at"))
        .order_by()
        .values_list("dataset", "recording__holds__use")
        .annotate(first=Min("recording__holds"))
    )
    DatasetHold.objects.bulk_create(
        DatasetHold(dataset_id=pk, use=use, hold_id=hold) for pk, use, hold in touched
    )


class Migration(migrations.Migration):

    dependencies = [('experiments', '0007_dataset_hold')]

    operations = [migrations.RunPython(note_held, migrations.RunPython.noop)]
