"""Holds: the mark left on each recording when a permission for it ends; and whom a recording needs.

Placed by its case (cases.py), inside the transaction that ends the permission. Which recordings and
which of what was made with them is worked out in losses.py.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from portal import audit
from portal.celery import wake
from portal.database import commit_order
from portal.models import User
from rights.consent import opt_outs, persons
from rights.models import (
    Grant,
    Hold,
    Mandate,
    OptOut,
    Party,
    Recording,
    RecordingQuerySet,
    RecordingWork,
    RightType,
    SplitLine,
    SplitSheet,
    Use,
    WithdrawalCase,
)

# In force, or to be so again: what was made under them goes on.
STANDING = (Grant.Status.ACTIVE, Grant.Status.SUSPENDED)


@dataclass
class LatestEnding:
    """One change of mind: a party, a use, a reason, and the recordings it touched."""

    party: Party
    use: str
    reason: str
    at: dt.datetime
    recordings: dict[int, Recording] = field(default_factory=dict)


def latest_endings(*, at_most: int = 10) -> list[LatestEnding]:
    """What ended last, newest first: the marks of one change of mind are told as one."""
    newest = Hold.objects.filter(lifted_at=None).select_related("recording", "party")
    newest = newest.order_by("-at")[:500]
    found: dict[tuple[int, str, str], LatestEnding] = {}
    for hold in newest:
        use = hold.get_use_display()
        key = (hold.party_id, use, hold.reason)
        ended = found.setdefault(key, LatestEnding(hold.party, use, hold.reason, hold.at))
        ended.recordings[hold.recording_id] = hold.recording
    return list(found.values())[:at_most]


def covered_by(grant: Grant) -> RecordingQuerySet:
    """The recordings that the grant speaks for, less those its holder opted out; also those whose
    holders its grantor signs for."""
    return _covered(grant, _signed_for(grant))


def covers_share(grant: Grant, recording: Recording, holder: Party) -> bool:
    """Whether the grant speaks for this holder's share in the recording; for that of an agent's
    grant the caller knows of the mandate."""
    return _covered(grant, [holder.pk]).filter(pk=recording.pk).exists()


def _signed_for(grant: Grant) -> list[int]:
    """The grantor, and the holders whose agent it is for this right. A mandate whose last day
    has passed counts until it is ended: else what ends before it would leave no mark."""
    mandates = Mandate.objects.standing().filter(agent=grant.grantor_id)
    # Rights are a JSON list, which SQLite cannot search; an agent's mandates are few.
    signed = [row.holder_id for row in mandates if grant.right_type in row.right_types]
    return [grant.grantor_id, *signed]


def _covered(grant: Grant, holders: Collection[int]) -> RecordingQuerySet:
    """What the grant covers of these holders' shares."""
    found = _shares(grant, holders, [grant.recording_id], [grant.work_id])
    return found.exclude(pk__in=opt_outs.of_grantor(grant).values("recording"))


def _shares(
    grant: Grant,
    holders: Collection[int],
    recordings: Collection[int | None],
    works: Collection[int | None],
) -> RecordingQuerySet:
    """Where these holders share in the grant's right, of the named recordings or works only
    ([None] is all), less what holders other than the grantor opted out."""
    lines: QuerySet[SplitLine, Any] = SplitLine.objects.current().filter(party__in=holders)
    if grant.right_type == RightType.MASTER:
        lines = lines.filter(sheet__work=None).annotate(about=F("sheet__recording"))
    elif grant.right_type == RightType.COMPOSITION:
        if named := [pk for pk in works if pk is not None]:
            lines = lines.filter(sheet__work__in=named)
        lines = lines.filter(sheet__recording=None).annotate(about=F("sheet__work__recordings"))
    else:
        asked = persons.credits_of([grant.grantor_id], grant.use)
        return _among(asked.values("recording"), recordings)
    # No grant of somebody else's takes these back. The grantor's own keep out whole recordings.
    noes = OptOut.objects.filter(party__in=set(holders) - {grant.grantor_id}, use=grant.use)
    if noes.exists():
        said = noes.filter(party=OuterRef("party"), recording=OuterRef("about"))
        lines = lines.exclude(Exists(said))
    return _among(lines.values("about"), recordings)


def _among(found: QuerySet[Any, Any], recordings: Collection[int | None]) -> RecordingQuerySet:
    # Not a join with `distinct`: a holder of ten thousand recordings is asked about often.
    rows = Recording.objects.filter(pk__in=found)
    named = [pk for pk in recordings if pk is not None]
    return rows.filter(pk__in=named) if named else rows


def covered_by_any(grants: Iterable[Grant]) -> set[int]:
    """What any of these speaks for: thousands for a recording each are one look."""
    alike: dict[tuple[int, str, str], list[Grant]] = defaultdict(list)
    for grant in grants:
        alike[grant.grantor_id, grant.use, grant.right_type].append(grant)
    found: set[int] = set()
    for some in alike.values():
        found.update(_covered_by_alike(some).order_by().values_list("pk", flat=True))
    return found


def _covered_by_alike(grants: Collection[Grant]) -> RecordingQuerySet:
    """The same of grants of one grantor, use and right, as a statement of a thousand parts is none
    that a database takes."""
    first = next(iter(grants))
    holders = _signed_for(first)
    noes = OptOut.objects.filter(party=first.grantor_id, use=first.use)
    out = set(noes.values_list("recording", flat=True))
    found, recordings, works = Q(pk__in=[]), set(), set()
    for grant in grants:
        if grant.recording_id and grant.recording_id not in out:
            recordings.add(grant.recording_id)
        elif grant.work_id and not out:
            works.add(grant.work_id)
        else:
            found |= Q(pk__in=_covered(grant, holders).values("pk"))
    for some, many in ((recordings, [None]), ([None], works)):
        if some and many:
            found |= Q(pk__in=_shares(first, holders, some, many).values("pk"))
    return Recording.objects.filter(found)


def covered_through(mandate: Mandate) -> dict[Use, set[int]]:
    """By use the recordings for which the agent's grants speak for this holder's share. Also the
    suspended ones, and those whose last day has passed: what runs still rests on them."""
    agents = Grant.objects.filter(
        status__in=STANDING, grantor=mandate.agent_id, right_type__in=mandate.right_types
    )
    found: dict[Use, set[int]] = defaultdict(set)
    for grant in agents:
        found[Use(grant.use)].update(
            _covered(grant, [mandate.holder_id]).order_by().values_list("pk", flat=True)
        )
    return found


def holders(recording: Recording) -> QuerySet[Party]:
    """All whose word a use of the recording can need: sharers, and whose person is in it."""
    works = RecordingWork.objects.filter(recording=recording)
    sheets = SplitSheet.objects.current().filter(
        Q(recording=recording) | Q(work__in=works.values("work"))
    )
    sharers = SplitLine.objects.filter(sheet__in=sheets)
    people = {party for _, party in persons.asked_in([recording.pk])}
    # Joins with all parties and `distinct` would walk over all of them.
    return Party.objects.filter(Q(pk__in=sharers.values("party")) | Q(pk__in=people))


def rights_of(party: Party, recording: Recording, use: str) -> list[RightType]:
    """The rights in the recording that a use needs this party's word for."""
    sheets = SplitSheet.objects.current().filter(lines__party=party)
    rights = []
    if sheets.filter(work__recordings=recording).exists():
        rights.append(RightType.COMPOSITION)
    if sheets.filter(recording=recording).exists():
        rights.append(RightType.MASTER)
    if use in persons.PERSONA_USES and persons.is_asked(party, recording.pk, use):
        rights.append(RightType.PERSONA)
    return rights


def place_holds(
    *,
    by: User | None,
    case: WithdrawalCase,
    recordings: Collection[int],
    reason: str,
    grant: Grant | None = None,
) -> dict[int, Hold]:
    """Write a hold of the case for each recording, with its audit line, and wake the reconciler;
    the holds by recording."""
    found = sorted(set(recordings))
    if not found:
        return {}
    # A freeze in progress is waited for (commit_order.py): the time lies after the freeze's own,
    # and the frozen set is seen to be touched.
    at = commit_order.moment()
    made = Hold.objects.bulk_create(
        (
            Hold(
                recording_id=pk, use=case.use, party=case.party, grant=grant, case=case,
                reason=reason[:300], at=at,
            )
            for pk in found
        ),
        batch_size=1_000,
    )  # fmt: skip
    audit.record(
        by=by,
        verb="hold.placed",
        subject=grant or case.party,
        recordings=found,
        uses=[case.use],
        party=case.party_id,
        private={"reason": reason[:300]},
    )
    wake()
    return {hold.recording_id: hold for hold in made}
