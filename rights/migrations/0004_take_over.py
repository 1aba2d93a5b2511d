from django.db import migrations
from django.db.models import F


def take_over(apps, schema_editor):
    """Numbers of parties get rows of their own, works in recordings a time, answers a story."""
    Party, Identifier = apps.get_model("rights", "Party"), apps.get_model("rights", "PartyIdentifier")
    for party in Party.objects.exclude(ipi_name="", isni=""):
        for scheme in ("ipi_name", "isni"):
            if value := getattr(party, scheme):
                Identifier.objects.get_or_create(scheme=scheme, value=value, defaults={"party": party})
    apps.get_model("rights", "Recording").objects.update(audio_at=F("created_at"))
    Recording, Link = apps.get_model("rights", "Recording"), apps.get_model("rights", "RecordingWork")
    added = dict(Recording.objects.values_list("pk", "created_at"))
    for link in Recording.works.through.objects.all():
        Link.objects.create(
            recording_id=link.recording_id, work_id=link.work_id, created_at=added[link.recording_id]
        )
    Line, Answer = apps.get_model("rights", "SplitLine"), apps.get_model("rights", "SplitAnswer")
    for line in Line.objects.all():
        for at, confirmed in ((line.confirmed_at, True), (line.disputed_at, False)):
            if at:
                Answer.objects.create(line=line, confirmed=confirmed, at=at)
    Sheet = apps.get_model("rights", "SplitSheet")
    for sheet in Sheet.objects.filter(status="superseded"):
        next_one = Sheet.objects.filter(
            recording=sheet.recording_id, work=sheet.work_id, version=sheet.version + 1
        ).first()
        sheet.superseded_at = next_one.created_at if next_one else sheet.created_at
        sheet.save(update_fields=["superseded_at"])
    # A credit has held since its recording or work was entered.
    for credit in apps.get_model("rights", "Credit").objects.select_related("recording", "work"):
        credit.created_at = (credit.recording or credit.work).created_at
        credit.save(update_fields=["created_at"])


class Migration(migrations.Migration):

    dependencies = [('rights', '0003_whole')]

    operations = [migrations.RunPython(take_over, migrations.RunPython.noop)]
