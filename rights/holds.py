"""Holds: the mark left on each recording when a permission for it ends.

Called inside the transaction that ends the permission. Whatever was frozen or made before the
mark's time is stopped or withheld by the rooms above. A hold too many harms nobody for long
(it only looks back); one too few would let a withdrawn recording play on. So scope is read
generously: a recording is spared only where another grant covers all that the ended one did.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from portal import audit, turns
from portal.celery import wake
from portal.models import User
from rights import lineage, opt_outs, persons, relations, territories
from rights.models import (
    Credit,
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
    WithdrawalCase,
    Work,
)

# In force, or to be so again: what was made under them goes on.
STANDING = (Grant.Status.ACTIVE, Grant.Status.SUSPENDED)


@dataclass
class Ended:
    """One change of mind: a party, a use, a reason, and the recordings it touched."""

    party: Party
    use: str
    reason: str
    at: dt.datetime
    recordings: dict[int, Recording] = field(default_factory=dict)


def lately(*, at_most: int = 10) -> list[Ended]:
    """What ended last, newest first: the marks of one change of mind are told as one."""
    newest = Hold.objects.select_related("recording", "party").order_by("-at")[:500]
    found: dict[tuple[int, str, str], Ended] = {}
    for hold in newest:
        use = hold.get_use_display()
        key = (hold.party_id, use, hold.reason)
        one = found.setdefault(key, Ended(hold.party, use, hold.reason, hold.at))
        one.recordings[hold.recording_id] = hold.recording
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
    mandates = Mandate.objects.exclude(approved_at=None).filter(
        agent=grant.grantor_id, revoked_at=None
    )
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
    lines = SplitLine.objects.filter(party__in=holders).exclude(
        sheet__status=SplitSheet.Status.SUPERSEDED
    )
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


def _covered_by_any(grants: Collection[Grant]) -> RecordingQuerySet:
    """What any of these covers, all of one grantor and right: thousands for a recording each are
    one look, as a statement of a thousand parts is none that a database takes."""
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


def resting_on(mandate: Mandate) -> dict[str, list[Recording]]:
    """By use, the recordings that are permitted by the agent's grants for this holder's share,
    and not by the holder's own."""
    if mandate.approved_at is None:
        return {}
    # Also the suspended ones, and those whose last day has passed: what runs still rests on them.
    agents = Grant.objects.filter(
        status__in=STANDING, grantor=mandate.agent_id, right_type__in=mandate.right_types
    )
    found: dict[str, dict[int, Recording]] = {}
    for grant in agents:
        rows = _covered(grant, [mandate.holder_id])
        own = Grant.objects.in_force(timezone.now()).filter(
            grantor=mandate.holder_id, use=grant.use, right_type=grant.right_type
        )
        for other in own:
            if as_wide(other, grant):
                rows = rows.exclude(pk__in=_covered(other, [mandate.holder_id]).values("pk"))
        found.setdefault(grant.use, {}).update((row.pk, row) for row in rows)
    return {use: list(rows.values()) for use, rows in found.items()}


def holders(recording: Recording) -> QuerySet[Party]:
    """All whose word a use of the recording can need: sharers, and whose person is in it."""
    works = RecordingWork.objects.filter(recording=recording)
    sheets = SplitSheet.objects.exclude(status=SplitSheet.Status.SUPERSEDED).filter(
        Q(recording=recording) | Q(work__in=works.values("work"))
    )
    sharers = SplitLine.objects.filter(sheet__in=sheets)
    people = {party for _, party in persons.asked_in([recording.pk])}
    # Joins with all parties and `distinct` would walk over all of them.
    return Party.objects.filter(Q(pk__in=sharers.values("party")) | Q(pk__in=people))


def rights_of(party: Party, recording: Recording, use: str) -> list[RightType]:
    """The rights in the recording that a use needs this party's word for."""
    sheets = SplitSheet.objects.exclude(status=SplitSheet.Status.SUPERSEDED).filter(
        lines__party=party
    )
    rights = []
    if sheets.filter(work__recordings=recording).exists():
        rights.append(RightType.COMPOSITION)
    if sheets.filter(recording=recording).exists():
        rights.append(RightType.MASTER)
    if use in persons.PERSONA_USES and persons.is_asked(party, recording.pk, use):
        rights.append(RightType.PERSONA)
    return rights


def lost_with(grant: Grant) -> RecordingQuerySet:
    """The recordings that lose a permission when this grant ends."""
    return lost_together([grant])


def lost_together(
    grants: Collection[Grant], *, ending: Collection[Grant] = ()
) -> RecordingQuerySet:
    """The recordings that lose a permission when these grants end at once, with all of `ending`:
    none of them covers for another. The grants are of one grantor and one use."""
    gone = {grant.pk for grant in (*grants, *ending)}
    alike: dict[object, list[Grant]] = defaultdict(list)
    for grant in grants:
        alike[_scope(grant)].append(grant)
    lost = Q(pk__in=[])
    for some in alike.values():
        one = some[0]
        in_force = Grant.objects.in_force(timezone.now()).filter(
            grantor=one.grantor_id, use=one.use, right_type=one.right_type
        )
        # Numbers first: of ten thousand that end together none need be read twice.
        stay = [pk for pk in in_force.order_by().values_list("pk", flat=True) if pk not in gone]
        others = [row for row in Grant.objects.filter(pk__in=stay) if as_wide(row, one)]
        found = _covered_by_any(some)
        if others:
            found = found.exclude(pk__in=_covered_by_any(others).values("pk"))
        lost |= Q(pk__in=found.values("pk"))
    return Recording.objects.filter(lost)


def _scope(grant: Grant) -> object:
    """The same for grants that allow the same, of whatever music."""
    return (
        grant.grantor_id, grant.use, grant.right_type, *map(tuple, (
            grant.purposes, grant.territories, grant.products, grant.channels,
        )),
        grant.model_family, grant.first_version, grant.last_version, grant.condition,
    )  # fmt: skip


def as_wide(other: Grant, grant: Grant) -> bool:
    """Whether `other` allows everything, scope by scope, that `grant` does."""
    return (
        set(grant.purposes) <= set(other.purposes)
        and (
            territories.WORLD in other.territories
            or set(grant.territories) <= set(other.territories)
        )
        and other.model_family in {"", grant.model_family}
        and (other.first_version or 0) <= (grant.first_version or 0)
        and (
            other.last_version is None
            or (grant.last_version is not None and grant.last_version <= other.last_version)
        )
        and (
            not other.products
            or (bool(grant.products) and set(grant.products) <= set(other.products))
        )
        and set(grant.channels) <= set(other.channels)
        and not other.condition
    )


def for_split(*, by: User | None, sheet: SplitSheet, party: Party, reason: str) -> int:
    """Hold what was permitted under a split that is no longer certain."""
    holders = set(sheet.lines.values_list("party", flat=True))
    uses = _uses_of(holders, RightType(sheet.right_type))
    if sheet.work_id:
        recordings = Recording.objects.filter(works=sheet.work_id)
    else:
        recordings = Recording.objects.filter(splits=sheet)
    return place(by=by, recordings=recordings, uses=uses, party=party, reason=reason)


def _uses_of(holders: set[int], right: RightType) -> set[str]:
    """What these holders, or those who sign for them, have permitted and not ended."""
    mandates = Mandate.objects.exclude(approved_at=None).filter(holder__in=holders, revoked_at=None)
    agents = {row.agent_id for row in mandates if right in row.right_types}
    grants = Grant.objects.filter(
        status__in=STANDING, right_type=right, grantor__in=holders | agents
    )
    return set(grants.values_list("use", flat=True))


def for_new_work(*, by: User | None, recording: Recording, work: Work) -> int:
    """A composition found in a recording that was permitted without it."""
    line = next(
        (
            line
            for sheet in recording.splits.exclude(status=SplitSheet.Status.SUPERSEDED)
            for line in sheet.lines.all()
        ),
        None,
    )
    if line is None or recording.works.count() == 1:
        # Without a split or an earlier work nothing can have been permitted.
        return 0
    return place(
        by=by,
        recordings=[recording],
        uses=_uses_of({line.party_id}, RightType.MASTER),
        party=line.party,
        reason=f"It was found to contain the work “{work}”."[:300],
    )


def for_new_artist(*, by: User | None, credit: Credit) -> int:
    """Somebody credited later whose person is in it: what others permitted of theirs needs this
    one's word too; of a group that of each member."""
    recording, party = credit.recording, credit.party
    if recording is None:
        return 0
    permitted = persons.permitted([recording.pk], besides=[party.pk])
    asked = {
        use
        for use in permitted
        if Credit.objects.filter(persons.asked_for(use), pk=credit.pk).exists()
    }
    return place(
        by=by,
        recordings=[recording],
        uses=asked,
        party=party,
        reason=f"{party} is credited: {credit.role_in_words}."[:300],
    )


def place(
    *,
    by: User | None,
    recordings: Iterable[Recording],
    uses: Iterable[str],
    party: Party,
    reason: str,
    grant: Grant | None = None,
    case: WithdrawalCase | None = None,
) -> int:
    """Write a hold for each recording and use, with its audit line, and wake the reconciler."""
    # What was made of a recording falls with it.
    found = sorted(relations.with_derived(recordings))
    uses = sorted(uses)
    if not found or not uses:
        return 0
    # A freeze in progress is waited for (turns.py): the time lies after the freeze's own, and
    # the frozen set is seen to be touched.
    at = turns.moment()
    made = Hold.objects.bulk_create(
        (
            Hold(
                recording_id=pk, use=use, party=party, grant=grant, case=case,
                reason=reason[:300], at=at,
            )
            for pk in found
            for use in uses
        ),
        batch_size=1_000,
    )  # fmt: skip
    # Their numbers are in a row: whoever places holds at the same time waits for this moment.
    lineage.held(Hold.objects.filter(pk__range=(made[0].pk, made[-1].pk)))
    audit.record(
        by=by,
        verb="hold.placed",
        subject=grant or party,
        recordings=found,
        uses=uses,
        party=party.pk,
        private={"reason": reason[:300]},
    )
    wake()
    return len(found)
