"""Holds: marks on recordings for which a permission ended; and whose permission a recording needs.

A case places them (cases.py), inside the transaction that ends the permission. Which recordings and
which of what was made with them is worked out in losses.py.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from portal import audit
from portal.celery import wake
from portal.database import commit_order
from portal.database.bulk import among
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

# In force, or due to be again: what was made under them goes on.
STANDING = (Grant.Status.ACTIVE, Grant.Status.SUSPENDED)


@dataclass
class LatestEnding:
    """One ending: a party, a use, a reason, and the affected recordings."""

    party: Party
    use: str
    reason: str
    at: dt.datetime
    recordings: dict[int, Recording] = field(default_factory=dict)


def latest_endings(*, at_most: int = 10) -> list[LatestEnding]:
    """Return what ended last, newest first: the holds of one ending are grouped."""
    recent_holds = Hold.objects.filter(lifted_at=None).select_related("recording", "party")
    recent_holds = recent_holds.order_by("-at")[:500]
    endings: dict[tuple[int, str, str], LatestEnding] = {}
    for hold in recent_holds:
        use = hold.get_use_display()
        key = (hold.party_id, use, hold.reason)
        ending = endings.setdefault(key, LatestEnding(hold.party, use, hold.reason, hold.at))
        ending.recordings[hold.recording_id] = hold.recording
    return list(endings.values())[:at_most]


def covered_by(grant: Grant) -> RecordingQuerySet:
    """Return the recordings that the grant covers, including those whose holders its grantor signs
    for, less the opted-out ones."""
    return _covered(grant, _holders_in(_mandates_of([grant.grantor_id]), grant))


def which_cover(grants: Collection[Grant], recording: Recording) -> set[int]:
    """Return the keys of those grants that cover the recording; mandates are read once."""
    if not grants:
        return set()
    mandates = _mandates_of({grant.grantor_id for grant in grants})
    return {
        grant.pk
        for grant in grants
        if _covered(grant, _holders_in(mandates, grant)).filter(pk=recording.pk).exists()
    }


def covers_share(grant: Grant, recording: Recording, holder: Party) -> bool:
    """Return whether the grant covers this holder's share in the recording; for an agent's grant
    the caller must know of the mandate."""
    return _covered(grant, [holder.pk]).filter(pk=recording.pk).exists()


def _mandates_of(agents: Collection[int]) -> list[Mandate]:
    """Return the mandates of these agents. One whose last day has passed counts until it is ended:
    otherwise what ends before that would leave no hold."""
    return list(Mandate.objects.standing().filter(agent__in=among(agents)))


def _holders_in(mandates: Iterable[Mandate], grant: Grant) -> list[int]:
    # Rights are a JSON list, which SQLite cannot search; an agent's mandates are few.
    holder_ids = [
        row.holder_id
        for row in mandates
        if row.agent_id == grant.grantor_id and grant.right_type in row.right_types
    ]
    return [grant.grantor_id, *holder_ids]


def _covered(grant: Grant, holders: Collection[int]) -> RecordingQuerySet:
    """Return the recordings in which the grant covers shares of these holders."""
    recordings = _shares(grant, holders, [grant.recording_id], [grant.work_id])
    return recordings.exclude(pk__in=opt_outs.of_grantor(grant).values("recording"))


def _shares(
    grant: Grant,
    holders: Collection[int],
    recordings: Collection[int | None],
    works: Collection[int | None],
) -> RecordingQuerySet:
    """Return the recordings where these holders share in the grant's right, of the named recordings
    or works only ([None] is all), less what holders other than the grantor opted out."""
    lines: QuerySet[SplitLine, Any] = SplitLine.objects.current().filter(party__in=holders)
    if grant.right_type == RightType.MASTER:
        lines = lines.filter(sheet__work=None).annotate(about=F("sheet__recording"))
    elif grant.right_type == RightType.COMPOSITION:
        if named := [pk for pk in works if pk is not None]:
            lines = lines.filter(sheet__work__in=named)
        lines = lines.filter(sheet__recording=None).annotate(about=F("sheet__work__recordings"))
    else:
        persona_credits = persons.credits_of([grant.grantor_id], grant.use)
        return _among(persona_credits.values("recording"), recordings)
    # Somebody else's grant does not take these back. The grantor's own exclude whole recordings.
    holder_opt_outs = OptOut.objects.filter(
        party__in=set(holders) - {grant.grantor_id}, use=grant.use
    )
    if holder_opt_outs.exists():
        line_opt_outs = holder_opt_outs.filter(party=OuterRef("party"), recording=OuterRef("about"))
        lines = lines.exclude(Exists(line_opt_outs))
    return _among(lines.values("about"), recordings)


def _among(
    recording_ids: QuerySet[Any, Any], recordings: Collection[int | None]
) -> RecordingQuerySet:
    # Not a join with `distinct`: a holder of ten thousand recordings is asked about often.
    rows = Recording.objects.filter(pk__in=recording_ids)
    named = [pk for pk in recordings if pk is not None]
    return rows.filter(pk__in=named) if named else rows


def covered_by_each(groups: Collection[Collection[Grant]]) -> list[set[int]]:
    """Return for each group what any of its grants covers: one query for thousands of
    single-recording grants. Mandates and opt-outs of all grantors are read once."""
    mandates = _mandates_of({grant.grantor_id for group in groups for grant in group})
    return _covered_by_each(groups, lambda grant: _holders_in(mandates, grant))


def _covered_by_each(
    groups: Collection[Collection[Grant]], holders_of: Callable[[Grant], list[int]]
) -> list[set[int]]:
    """Return the same, where `holders_of` returns for whose shares a grant speaks."""
    by_group: list[dict[tuple[int, str, str], list[Grant]]] = []
    for group in groups:
        alike = defaultdict(list)
        for grant in group:
            alike[grant.grantor_id, grant.use, grant.right_type].append(grant)
        by_group.append(alike)
    holders = {key: holders_of(grants[0]) for alike in by_group for key, grants in alike.items()}
    asked = {party for key, parties in holders.items() for party in (key[0], *parties)}
    opted_out = defaultdict[tuple[int, str], set[int]](set)
    opt_outs_of_asked = OptOut.objects.filter(
        party__in=among(asked), use__in={use for _, use, _ in holders}
    )
    for party, use, pk in opt_outs_of_asked.order_by().values_list("party", "use", "recording"):
        opted_out[party, use].add(pk)

    whole: dict[tuple[object, ...], set[int]] = {}

    def covered(key: tuple[int, str, str], grants: list[Grant]) -> set[int]:
        grantor, use, right = key
        own = opted_out[grantor, use]
        if own or all(grant.recording_id or grant.work_id for grant in grants):
            return _ids(_covered_by_alike(grants, holders[key], own))
        # One is for the whole catalogue: narrower ones add nothing, and most uses are alike.
        differs = right == RightType.PERSONA or any(opted_out[row, use] for row in holders[key])
        place = (grantor, right, *holders[key], use if differs else "")
        if place not in whole:
            whole[place] = _ids(_shares(grants[0], holders[key], [None], [None]))
        return whole[place]

    return [
        set[int]().union(*(covered(key, grants) for key, grants in alike.items()))
        for alike in by_group
    ]


def _ids(recordings: RecordingQuerySet) -> set[int]:
    return set(recordings.order_by().values_list("pk", flat=True))


def _covered_by_alike(
    grants: Collection[Grant], holders: Collection[int], opted_out: Collection[int]
) -> RecordingQuerySet:
    """Return the same for grants of one grantor, use and right, because no database takes a
    statement of a thousand parts; `opted_out` are the recordings that the grantor opted out."""
    first = next(iter(grants))
    condition, recordings, works = Q(pk__in=[]), set(), set()
    for grant in grants:
        if grant.recording_id and grant.recording_id not in opted_out:
            recordings.add(grant.recording_id)
        elif grant.work_id and not opted_out:
            works.add(grant.work_id)
        else:
            condition |= Q(pk__in=_covered(grant, holders).values("pk"))
    for recording_ids, work_ids in ((recordings, [None]), ([None], works)):
        if recording_ids and work_ids:
            condition |= Q(pk__in=_shares(first, holders, recording_ids, work_ids).values("pk"))
    return Recording.objects.filter(condition)


def covered_through(mandate: Mandate) -> dict[Use, set[int]]:
    """Return by use the recordings for which the agent's grants cover this holder's share. Includes
    suspended grants and those whose last day has passed: what runs still rests on them."""
    grants = Grant.objects.filter(
        status__in=STANDING, grantor=mandate.agent_id, right_type__in=mandate.right_types
    )
    by_use: dict[Use, list[Grant]] = defaultdict(list)
    for grant in grants:
        by_use[Use(grant.use)].append(grant)
    covered = _covered_by_each(list(by_use.values()), lambda _: [mandate.holder_id])
    return dict(zip(by_use, covered, strict=True))


def holders(recording: Recording) -> QuerySet[Party]:
    """Return all whose permission a use of the recording can need: sharers and persons in it."""
    works = RecordingWork.objects.filter(recording=recording)
    sheets = SplitSheet.objects.current().filter(
        Q(recording=recording) | Q(work__in=works.values("work"))
    )
    sharers = SplitLine.objects.filter(sheet__in=sheets)
    people = {party for _, party in persons.asked_in([recording.pk])}
    # Joins with `distinct` would scan all parties.
    return Party.objects.filter(Q(pk__in=sharers.values("party")) | Q(pk__in=people))


def rights_of(party: Party, recording: Recording, use: str) -> list[RightType]:
    """Return the rights in the recording for which a use needs this party's permission."""
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
    return the holds by recording."""
    recording_ids = sorted(set(recordings))
    if not recording_ids:
        return {}
    # This waits for a freeze in progress (commit_order.py): the time lies after the freeze's own,
    # and the frozen set is seen to be affected.
    at = commit_order.moment()
    placed = Hold.objects.bulk_create(
        (
            Hold(
                recording_id=pk, use=case.use, party=case.party, grant=grant, case=case,
                reason=reason[:300], at=at,
            )
            for pk in recording_ids
        ),
        batch_size=1_000,
    )  # fmt: skip
    audit.record(
        by=by,
        verb="hold.placed",
        subject=grant or case.party,
        recordings=recording_ids,
        uses=[case.use],
        party=case.party_id,
        private={"reason": reason[:300]},
    )
    wake()
    return {hold.recording_id: hold for hold in placed}
