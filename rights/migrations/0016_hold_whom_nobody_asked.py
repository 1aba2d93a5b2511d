"""What was allowed when main artists alone were asked waits for all whose person is in it."""

from django.db import migrations
from django.utils import timezone

from rights.models.personal import ASKED, asked_for


def hold(apps, schema_editor):
    Line = apps.get_model("rights", "DecisionLine")
    Credit = apps.get_model("rights", "Credit")
    Hold = apps.get_model("rights", "Hold")
    at = timezone.now()
    for use in ASKED:
        allowed = Line.objects.filter(allowed=True, decision__use=use).values("recording")
        asked = Credit.objects.filter(asked_for(use), recording__in=allowed)
        # A main artist who is a person was asked; whoever else is credited was not.
        unasked = asked.exclude(role="MainArtist", party__kind="person")
        found = set(unasked.values_list("recording_id", "party_id", "party__name"))
        known = set(asked.filter(role="MainArtist", party__kind="person")
                    .values_list("recording_id", "party_id"))
        Hold.objects.bulk_create(
            [
                Hold(recording_id=pk, use=use, party_id=party, at=at,
                     reason=f"{name} was not asked, as main artists alone were."[:300])
                for pk, party, name in sorted(found)
                if (pk, party) not in known
            ],
            batch_size=500,
        )


class Migration(migrations.Migration):
    dependencies = [("rights", "0015_persons")]
    operations = [migrations.RunPython(hold, migrations.RunPython.noop)]
