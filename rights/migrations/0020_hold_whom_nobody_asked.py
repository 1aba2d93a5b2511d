"""What was allowed when main artists alone were asked waits for all whose person is in it."""

from datetime import timedelta

from django.db import migrations
from django.utils import timezone

from rights.models.personal import PERSONA_USES, asked_for


RUNGS = ("E0", "E1", "E2", "E3", "E4", "E5", "E6")
AT_ONCE = RUNGS[:4]
DAYS = 90


def hold(apps, schema_editor):
    Line = apps.get_model("rights", "DecisionLine")
    Credit = apps.get_model("rights", "Credit")
    Case = apps.get_model("rights", "WithdrawalCase")
    Step = apps.get_model("rights", "CaseStep")
    Hold = apps.get_model("rights", "Hold")
    at = timezone.now()
    cases = {}
    for use in sorted(PERSONA_USES):
        allowed = Line.objects.filter(allowed=True, decision__use=use).values("recording")
        asked = Credit.objects.filter(asked_for(use), recording__in=allowed)
        # A main artist who is a person was asked; whoever else is credited was not.
        unasked = asked.exclude(role="MainArtist", party__kind="person")
        found = set(unasked.values_list("recording_id", "party_id", "party__name"))
        known = set(asked.filter(role="MainArtist", party__kind="person")
                    .values_list("recording_id", "party_id"))
        for pk, party, name in sorted(found):
            if (pk, party) in known:
                continue
            reason = f"{name} was not asked, as main artists alone were."[:300]
            if (party, use) not in cases:
                case = cases[party, use] = Case.objects.create(
                    party_id=party, use=use, reason=reason, policy="recall", remedy_days=DAYS,
                    cause="in_question", status="enforced", opened_at=at,
                )
                for rung in RUNGS:
                    done = rung in AT_ONCE
                    Step.objects.create(
                        case=case, rung=rung, due_at=at if done else at + timedelta(days=DAYS),
                        done_at=at if done else None,
                    )
            case = cases[party, use]
            case.recordings.add(pk)
            Hold.objects.create(
                recording_id=pk, use=use, party_id=party, at=at, reason=reason, case=case
            )


class Migration(migrations.Migration):
    dependencies = [("rights", "0019_persons")]
    operations = [migrations.RunPython(hold, migrations.RunPython.noop)]
