"""A rightsholder's objection to a sample, and a rights admin's answer.

The flag itself silences the sample: `Sample.objects.audible()` looks at it, so the sample page,
comparisons, listening tests and addresses handed out before fall silent with this transaction.
"""

from django.db import transaction
from django.utils import timezone

from audio_samples import rightsholder_samples
from audio_samples.models import Sample, SampleFlag
from portal import audit
from portal.database import commit_order
from portal.models import Role, User
from rights.errors import Refused, required
from rights.models import Party

State = SampleFlag.State
# A party with so many unanswered ones waits for the lab first.
OPEN_AT_MOST = 20
LONGEST = 1000


@transaction.atomic
def flag(*, by: User, party: Party, sample: Sample, reason: str) -> SampleFlag:
    """Object to a sample: from now on nobody hears it, until it has been looked at.

    Raises Refused for who does not speak for the party, for a sample that holds nothing of it,
    for a second flag on the same one, and for one too many.
    """
    reason = required(reason, field="reason", longest=LONGEST)
    commit_order.moment()
    # The party's row is the lock: flags are counted one after the other.
    party = Party.objects.select_for_update(no_key=True).get(pk=party.pk)
    if not party.people.filter(pk=by.pk).exists():
        raise Refused("not_yours", f"You do not speak for {party}.")
    if not rightsholder_samples.samples_of([party]).filter(pk=sample.pk).exists():
        raise Refused("not_yours", "This sample has nothing of your music in it.")
    known = SampleFlag.objects.filter(sample=sample, party=party).first()
    if known is not None:
        raise Refused(
            "duplicate",
            "You have flagged it already, and it is being looked at."
            if known.state == State.OPEN
            else f"You have flagged it already. The answer was: {known.note}",
        )
    if SampleFlag.objects.filter(party=party, state=State.OPEN).count() >= OPEN_AT_MOST:
        raise Refused(
            "too_many",
            f"{OPEN_AT_MOST} of your flags wait for an answer; that is the most at a time. "
            "Write to the lab if it is urgent.",
        )
    made = SampleFlag.objects.create(sample=sample, party=party, by=by, reason=reason)
    audit.record(
        by=by,
        verb="sample.flagged",
        subject=sample,
        flag=made.pk,
        party=party.pk,
        private={"reason": reason},
    )
    return made


def uphold(flag: SampleFlag, *, by: User, note: str) -> SampleFlag:
    """Agree: the sample stays withheld. The note is the answer to the party."""
    return _review(flag, State.UPHELD, by=by, note=note)


def dismiss(flag: SampleFlag, *, by: User, note: str) -> SampleFlag:
    """Disagree: the sample may be heard again, unless something else keeps it silent."""
    return _review(flag, State.DISMISSED, by=by, note=note)


@transaction.atomic
def _review(flag: SampleFlag, state: State, *, by: User, note: str) -> SampleFlag:
    note = required(note, field="note", longest=LONGEST)
    if not by.has_role(Role.RIGHTS_ADMIN):
        raise Refused("not_yours", "A rights admin answers flags.")
    if flag.party.people.filter(pk=by.pk).exists():
        raise Refused("four_eyes", "Somebody else than who speaks for the party has to answer it.")
    moved = SampleFlag.objects.filter(pk=flag.pk, state=State.OPEN).update(
        state=state, reviewed_by=by, reviewed_at=timezone.now(), note=note
    )
    flag.refresh_from_db()
    if not moved:
        raise Refused("state", f"It is answered already: {flag.get_state_display().lower()}.")
    audit.record(
        by=by,
        verb=f"sample.flag_{state}",
        subject=flag.sample,
        flag=flag.pk,
        party=flag.party_id,
        private={"note": note},
    )
    return flag
