"""Each mark of a dataset names its case: what was withheld until now, and what stays as agreed."""

from django.db import migrations

NEXT_VERSION = "next_version"


def name_cases(apps, schema_editor):
    mark = apps.get_model("experiments", "DatasetHold")
    item = apps.get_model("experiments", "DatasetItem")
    hold = apps.get_model("rights", "Hold")
    case = apps.get_model("rights", "WithdrawalCase")
    for row in mark.objects.select_related("hold").iterator():
        mark.objects.filter(pk=row.pk).update(case_id=row.hold.case_id)
    for row in hold.objects.exclude(case=None).iterator():
        touched = item.objects.filter(
            recording_id=row.recording_id, included=True, dataset__frozen_at__lt=row.at
        )
        for dataset in touched.values_list("dataset", flat=True):
            mark.objects.get_or_create(
                dataset_id=dataset, use=row.use, case_id=row.case_id, defaults={"hold_id": row.pk}
            )
    for row in case.objects.filter(policy=NEXT_VERSION).iterator():
        touched = item.objects.filter(
            recording__in=row.recordings.values("pk"), included=True,
            dataset__frozen_at__lt=row.opened_at,
        )
        for dataset in touched.values_list("dataset", flat=True).distinct():
            mark.objects.get_or_create(dataset_id=dataset, use=row.use, case_id=row.pk)


class Migration(migrations.Migration):
    dependencies = [
        ("experiments", "0012_holds_by_case"),
        # What it puts on hold is marked here.
        ("rights", "0020_hold_whom_nobody_asked"),
    ]

    operations = [migrations.RunPython(name_cases, migrations.RunPython.noop)]
