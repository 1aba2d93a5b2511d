"""Release what was withheld while it was uncertain whose permission it needs."""

from collections.abc import Collection
from datetime import datetime

from django.db import transaction

from portal import audit
from portal.database import commit_order
from portal.models import User
from rights.consent import snapshot
from rights.models import CaseItem, Use, WithdrawalCase
from rights.withdrawal import descendants, losses
from rights.withdrawal.case_items import BATCH_SIZE, advance

Outcome = CaseItem.Outcome
SETTLED_AGAIN = (
    "It is settled whose permission it needs: each was given when it was withheld and is given now."
)


@transaction.atomic
def release_settled(recordings: Collection[int], *, by: User | None) -> list[WithdrawalCase]:
    """Release what was withheld while it was uncertain whose permission it needs, where every
    permission is given now and was when it was withheld; return the cases that withhold nothing
    more.

    A permission that was given later does not cover what had been made before. One that ended
    meanwhile has a case of its own.
    """
    at = commit_order.moment()
    cases: dict[int, WithdrawalCase] = {}
    for mark in descendants.basis().marks(recordings):
        if mark.case.cause == WithdrawalCase.Cause.IN_QUESTION and _is_permitted_again(mark, at):
            descendants.basis().unmark(mark)
            cases[mark.case.pk] = mark.case
    return [case for case in cases.values() if _release(case, by=by, at=at)]


def _is_permitted_again(mark: descendants.CaseMark, at: datetime) -> bool:
    recordings = {pk for reliance in mark.reliances for pk in reliance.recordings}
    facts = snapshot.gather(recordings, Use(mark.case.use), at, now=True)
    return not any(
        missing
        for reliance in mark.reliances
        for moment in (mark.hold.at, at)
        for missing in losses.lacking(facts, reliance, moment).values()
    )


def _release(case: WithdrawalCase, *, by: User | None, at: datetime) -> bool:
    """Note what may be used again; return true where nothing of the case is withheld any more."""
    withheld, _ = descendants.basis().marked(case)
    if not withheld:
        case.holds.update(lifted_at=at)
    still_withheld = {
        (node.kind, node.key)
        for level in descendants.descendants(withheld, [case.use])
        for node in level.nodes
    }
    released = [
        item
        for item in case.items.filter(outcome__in=(Outcome.OPEN, Outcome.WITHHELD))
        if (item.kind, item.key) not in still_withheld
    ]
    for item in released:
        item.outcome, item.note, item.settled_at = Outcome.COVERED, SETTLED_AGAIN, at
    CaseItem.objects.bulk_update(released, ["outcome", "note", "settled_at"], batch_size=BATCH_SIZE)
    case.tasks.filter(done_at=None).exclude(
        title__in=[descendants.kind(name).remedy for name in {kind for kind, _ in still_withheld}]
    ).update(done_at=at, done_by=by)
    advance(case)
    audit.record(by=by, verb="hold.lifted", subject=case, use=case.use, items=len(released))
    return not withheld
