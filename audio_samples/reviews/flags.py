"""A rightsholder's objection to a sample, and a rights admin's answer.

The flag itself silences the sample: `Sample.objects.audible()` reads it, so the sample page,
comparisons, listening tests and addresses given out before fall silent with this transaction.
"""

from django.db import transaction

from audio_samples import answers, rightsholder_samples
from audio_samples.models import Sample, SampleFlag
from portal import audit
from portal.database import commit_order
from portal.models import User
from rights.errors import Refused, required
from rights.models import Party

State = SampleFlag.State
# A party with this many unanswered flags cannot add another.
MAX_OPEN = 20


@transaction.atomic
def flag(*, by: User, party: Party, sample: Sample, reason: str) -> SampleFlag:
    """Object to a sample: from now on nobody hears it, until it has been answered.

    Raises Refused where `by` does not speak for the party, where the sample has none of its music,
    for a second flag on the same sample, and for more open flags than MAX_OPEN.
    """
    reason = required(reason, field="reason", longest=answers.LONGEST)
    commit_order.moment()
    # The party's row is the lock: flags are counted one after the other.
    party = Party.objects.select_for_update(no_key=True).get(pk=party.pk)
    if not party.people.filter(pk=by.pk).exists():
        raise Refused("not_yours", f"You do not speak for {party}.")
    if not rightsholder_samples.samples_of([party]).filter(pk=sample.pk).exists():
        raise Refused("not_yours", "This sample has nothing of your music in it.")
    before = SampleFlag.objects.filter(sample=sample, party=party).first()
    if before is not None:
        raise Refused(
            "duplicate",
            "You have flagged it already, and it is being looked at."
            if before.state == State.OPEN
            else f"You have flagged it already. The answer was: {before.note}",
        )
    if SampleFlag.objects.filter(party=party, state=State.OPEN).count() >= MAX_OPEN:
        raise Refused(
            "too_many",
            f"{MAX_OPEN} of your flags wait for an answer; that is the most at a time. "
            "Write to the lab if it is urgent.",
        )
    created = SampleFlag.objects.create(sample=sample, party=party, by=by, reason=reason)
    audit.record(
        by=by,
        verb="sample.flagged",
        subject=sample,
        flag=created.pk,
        party=party.pk,
        private={"reason": reason},
    )
    return created


def uphold(flag: SampleFlag, *, by: User, note: str) -> SampleFlag:
    """Agree: the sample stays withheld. The note is the answer to the party."""
    return _review(flag, State.UPHELD, by=by, note=note)


def dismiss(flag: SampleFlag, *, by: User, note: str) -> SampleFlag:
    """Disagree: the sample may be heard again, unless something else keeps it silent."""
    return _review(flag, State.DISMISSED, by=by, note=note)


@transaction.atomic
def _review(flag: SampleFlag, state: State, *, by: User, note: str) -> SampleFlag:
    note = answers.required_note(note)
    answers.require_reviewer(
        by, questions="flags", party="speaks for the party",
        party_to_it=flag.party.people.filter(pk=by.pk).exists(),
    )  # fmt: skip
    unanswered = SampleFlag.objects.filter(state=State.OPEN)
    answers.store(unanswered, flag, field="state", answer=state, by=by, note=note)
    audit.record(
        by=by,
        verb=f"sample.flag_{state}",
        subject=flag.sample,
        flag=flag.pk,
        party=flag.party_id,
        private={"note": note},
    )
    return flag
