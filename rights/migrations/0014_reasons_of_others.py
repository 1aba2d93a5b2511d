from datetime import timedelta

from django.db import migrations
from django.db.models import F

# As in rights/withdrawal/cases.py: several opt-outs by one word were one case.
ONE_WORD = timedelta(seconds=30)


def take_out_the_reasons(apps, schema_editor):
    """The case of an agent's grant, and its holds, kept what a holder had told the lab when opting
    out. The agent reads the case; it says that the holder opted out, as cases do since."""
    OptOut = apps.get_model("rights", "OptOut")
    cases = apps.get_model("rights", "WithdrawalCase").objects.exclude(grant=None)
    for case in cases.filter(party__in=_agents(apps)).order_by("pk"):
        said = OptOut.objects.filter(
            use=case.use,
            reason=case.reason,
            recording__in=case.recordings.values("pk"),
            at__range=(case.opened_at - ONE_WORD, case.opened_at + ONE_WORD),
        ).exclude(reason="")
        # The party's own word is its own to read.
        if said.filter(party=case.party_id).exists():
            continue
        rows = list(said.select_related("party", "recording").order_by("at", "pk"))
        if not rows:
            continue
        others = len({row.recording_id for row in rows}) - 1
        more = f" and {others} more" if others else ""
        words = f"{rows[0].party.name} opted “{rows[0].recording.title}”{more} out."[:300]
        case.holds.filter(reason=case.reason).update(reason=words)
        cases.filter(pk=case.pk).update(reason=words)


def _agents(apps):
    """Who has signed for somebody else."""
    mandates = apps.get_model("rights", "Mandate").objects.exclude(agent=F("holder"))
    return mandates.values("agent")


class Migration(migrations.Migration):

    dependencies = [
        ('rights', '0013_usage_by_step'),
    ]

    operations = [
        migrations.RunPython(take_out_the_reasons, migrations.RunPython.noop, elidable=True),
    ]
