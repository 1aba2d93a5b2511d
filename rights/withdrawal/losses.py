"""What an ending takes away, worked out need by need.

A recording needs several permissions: of each holder of its master, of each holder of each work in
it, of each person for a use of the person. An ending takes some of them away; another grant,
another mandate or a wider one may still give them. So each need is compared before and after:

- *lost* is what allows less in some context than it did. Pages list it, and a hold marks it.
- *touched* is what was made (frozen sets, descendants.Basis) and no longer has every permission
that it needs, in the context that it was made for. What still has them all stays in use.
- *staying* is what lost a permission, and stays because the policy it was made under says so.

The same functions answer before an act, for its preview, and in it. Nothing is written here.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, TypeVar

from django.db.models import Q
from django.utils import timezone

from portal import audit
from portal.database.rehearsal import remembered
from rights.consent import relations, snapshot
from rights.consent.allowances import Survey, lies_in
from rights.consent.evaluator import Context, Judge, Need
from rights.consent.facts import Facts, Music, Terms
from rights.consent.reasons import Missing
from rights.models import (
    Credit,
    Grant,
    Mandate,
    Party,
    Recording,
    RightType,
    SplitLine,
    Use,
    WithdrawalPolicy,
)
from rights.withdrawal import descendants, holds
from rights.withdrawal.descendants import Reliance

# The stricter first: what was made under several permissions keeps the most lenient policy, and
# several missing permissions take the strictest.
T = TypeVar("T")

STRICT = (WithdrawalPolicy.RECALL, WithdrawalPolicy.RETRAIN, WithdrawalPolicy.NEXT_VERSION)


class Policy(NamedTuple):
    """How an ending is to be remedied, and within how many days."""

    name: WithdrawalPolicy
    remedy_days: int

    @property
    def stays(self) -> bool:
        return self.name == WithdrawalPolicy.NEXT_VERSION


# Where no policy was ever agreed: for music of somebody who was never asked.
UNAGREED = Policy(WithdrawalPolicy.RECALL, 90)


class AffectedSet(NamedTuple):
    """A frozen set, and those of its recordings that lost a permission. With `stays` it goes on as
    agreed, and `policy` is that of the permissions that it was made under."""

    source: str
    recordings: frozenset[int]
    stays: bool
    policy: Policy


@dataclass(frozen=True)
class Loss:
    """What one ending takes away, for one use."""

    use: Use
    recordings: list[int] = field(default_factory=list)
    affected: list[AffectedSet] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.recordings or self.affected)

    @property
    def sources(self) -> list[str]:
        return list(dict.fromkeys(affected.source for affected in self.affected))

    @property
    def stays(self) -> bool:
        """Whether something was made with it, and all of that stays."""
        return bool(self.affected) and all(affected.stays for affected in self.affected)


@dataclass(frozen=True)
class Ending:
    """What ends together, for one use. `opt_outs` are: party and recording."""

    use: Use
    grants: frozenset[int] = frozenset()
    mandates: frozenset[int] = frozenset()
    opt_outs: frozenset[tuple[int, int]] = frozenset()

    def applied(self, facts: Facts, at: datetime) -> Facts:
        """Return the facts as they are once it has ended."""
        after = Facts(
            use=facts.use, known_at=at, at=at, recordings=facts.recordings, sources=facts.sources,
            source_recordings=facts.source_recordings, questioned=facts.questioned,
            works=facts.works,
            masters=facts.masters, compositions=facts.compositions, artists=facts.artists,
            groups=facts.groups, replaced=facts.replaced, suspended=facts.suspended,
        )  # fmt: skip
        for key, grants in facts.grants.items():
            after.grants[key] = [
                grant._replace(ended_at=at)
                if grant.pk in self.grants and grant.ended_at is None
                else grant
                for grant in grants
            ]
        for holder, mandates in facts.mandates.items():
            after.mandates[holder] = [
                mandate._replace(revoked_at=at) if mandate.pk in self.mandates else mandate
                for mandate in mandates
            ]
        after.opted_out.update({key: list(moments) for key, moments in facts.opted_out.items()})
        for opt_out in self.opt_outs:
            after.opted_out[opt_out].append(at)
        return after


# --- Permissions that end --------------------------------------------------------------------


class Bases:
    """What is known of some recordings at one moment: read once for all uses that ask for them."""

    def __init__(self) -> None:
        self.at = timezone.now()
        self._by_recordings: dict[frozenset[int], snapshot.Basis] = {}

    def basis_of(self, recordings: Collection[int]) -> snapshot.Basis:
        key = frozenset(recordings)
        if key not in self._by_recordings:
            # A derived recording needs the permissions that its source needs.
            ids = relations.with_derived(key)
            self._by_recordings[key] = snapshot.basis_of(ids, self.at, now=True)
        return self._by_recordings[key]


def of_grants(grants: Collection[Grant], *, ending: Collection[Grant] = ()) -> Loss:
    """Return what is lost when these grants of one use end together with all of `ending`: none of
    them covers for another."""
    return of_each([grants], ending=ending)[0]


def of_each(groups: Sequence[Collection[Grant]], *, ending: Collection[Grant] = ()) -> list[Loss]:
    """Return the same for each of several groups, and read once what does not depend on a use."""
    ids = tuple(frozenset(grant.pk for grant in group) for group in (*groups, ending))
    return _found_once(("grants", *ids), lambda: _of_each(groups, ending))


def _of_each(groups: Sequence[Collection[Grant]], ending: Collection[Grant]) -> list[Loss]:
    bases = Bases()
    losses = []
    for grants, covered in zip(groups, holds.covered_by_each(groups), strict=True):
        use = Use(next(iter(grants)).use)
        ended = {grant.pk for grant in (*grants, *ending) if grant.use == use}
        losses.append(
            of_ending(
                Ending(use, grants=frozenset(ended)),
                covered,
                only_by=[grant.pk for grant in grants],
                policy=policy_of(grants),
                bases=bases,
            )
        )
    return losses


def of_opt_out(party: Party, recording: Recording, grants: Collection[Grant]) -> Loss:
    """Return what the party's opt-out from this recording takes out of these grants of one use."""
    use, ids = Use(next(iter(grants)).use), frozenset(grant.pk for grant in grants)
    ending = Ending(use, opt_outs=frozenset({(party.pk, recording.pk)}))
    return _found_once(
        ("opt-out", ending, ids),
        lambda: of_ending(ending, [recording.pk], only_by=ids, policy=policy_of(grants)),
    )


def of_mandate(mandate: Mandate) -> list[Loss]:
    """Return for each use the loss of what is permitted through the mandate alone."""
    if mandate.approved_at is None or mandate.revoked_at is not None:
        return []
    return _found_once(("mandate", mandate.pk), lambda: list(_of_mandate(mandate)))


def _of_mandate(mandate: Mandate) -> Iterator[Loss]:
    bases = Bases()
    for use, recordings in holds.covered_through(mandate).items():
        ending = Ending(use, mandates=frozenset({mandate.pk}))
        loss = of_ending(ending, recordings, bases=bases)
        if loss:
            yield loss


def _found_once(key: tuple[Hashable, ...], find: Callable[[], T]) -> T:
    """Work a loss out once for a page and the rehearsal on it: as long as no line is recorded,
    nothing that it rests on has changed."""
    return remembered(lambda: (*key, audit.newest_hash()), find)


def policy_of(grants: Collection[Grant]) -> Policy:
    """Return the strictest policy that was agreed for any of these grants."""
    return _strictest(
        Policy(WithdrawalPolicy(grant.withdrawal_policy), grant.remedy_days) for grant in grants
    )


def of_ending(
    ending: Ending,
    recordings: Collection[int],
    *,
    only_by: Collection[int] = (),
    policy: Policy = UNAGREED,
    bases: Bases | None = None,
) -> Loss:
    """Return what these recordings lose by the ending; where `only_by` names grants, only what is
    lost by those of all that end together. `policy` is that of what ends, for what was made under
    no other."""
    bases = bases or Bases()
    at = bases.at
    before = snapshot.for_use(bases.basis_of(recordings), ending.use)
    change = _Change(before, ending.applied(before, at), at, only_by, policy)
    if not change.lost:
        return Loss(ending.use)
    affected_sets = [
        affected
        for reliance in descendants.basis().relied_on(change.lost, ending.use)
        if (affected := change.affected_set(reliance))
    ]
    return Loss(ending.use, sorted(change.lost), _merged(affected_sets))


class _Change:
    """What is known before and after an ending, and `lost`: by recording, the needs for which less
    is allowed afterwards, in whatever context."""

    def __init__(
        self, before: Facts, after: Facts, at: datetime, because: Collection[int], policy: Policy
    ) -> None:
        self.before, self.after, self.at = before, after, at
        self.because, self.policy = because, policy
        # Sets that were frozen together are judged in the same context.
        self._judges: dict[tuple[bool, Context, datetime | None], Judge] = {}
        self.lost = self._lost()

    def _lost(self) -> dict[int, list[Need]]:
        before = Survey(self.before, self.at, continuing=True)
        after = Survey(self.after, self.at, continuing=True)
        for_catalogue: dict[tuple[int, str], bool] = {}
        lost: dict[int, list[Need]] = {}
        for music in self.before.recordings:
            for need in before.needs(music, []):
                key, subject = (need.party, need.right.value), before.subject_of(need, music)
                if after.is_special(need, subject):
                    is_lost = self._loses(before, after, need, subject)
                else:
                    if key not in for_catalogue:
                        for_catalogue[key] = self._loses(before, after, need, subject)
                    is_lost = for_catalogue[key]
                if is_lost:
                    lost.setdefault(music.pk, []).append(need)
        return lost

    def _loses(self, before: Survey, after: Survey, need: Need, music: Music) -> bool:
        remaining = {box for _, box in after.boxes(need, music)}
        return any(
            box not in remaining and not any(lies_in(box, other) for other in remaining)
            for grant, box in before.boxes(need, music)
            if not self.because or grant in self.because
        )

    def _judge(self, context: Context, made_at: datetime | None, *, after: bool) -> Judge:
        key = after, context, made_at
        if key not in self._judges:
            facts = self.after if after else self.before
            self._judges[key] = Judge(facts, context, self.at, made_at=made_at, continuing=True)
        return self._judges[key]

    def affected_set(self, reliance: Reliance) -> AffectedSet | None:
        """Return the set with the recordings that lost a permission in its context; None if
        none."""
        context, made_at = reliance.context, reliance.made_at
        before = self._judge(context, made_at, after=False)
        after = self._judge(context, made_at, after=True)
        # Without what was agreed for the version that was made.
        without_agreement = self._judge(context, None, after=True)
        when_made = Judge(self.before, context, made_at)
        lost: set[int] = set()
        staying: set[int] = set()
        policies: set[Policy] = set()
        for music in self.before.recordings:
            for need in self.lost.get(music.pk, ()) if music.pk in reliance.recordings else ():
                if not before.is_permitted(need, music):
                    continue
                if not after.is_permitted(need, music):
                    lost.add(music.pk)
                    relied_on = when_made.grants_covering(need, music)
                    policies.add(
                        _relied_on(relied_on, self.policy) if reliance.made_for else self.policy
                    )
                elif not without_agreement.is_permitted(need, music):
                    staying.add(music.pk)
        if lost:
            return AffectedSet(reliance.source, frozenset(lost), False, _strictest(policies))
        if staying:
            stays = Policy(WithdrawalPolicy.NEXT_VERSION, self.policy.remedy_days)
            return AffectedSet(reliance.source, frozenset(staying), True, stays)
        return None


def _relied_on(grants: Iterable[Terms], default: Policy) -> Policy:
    """Return the policy of the permissions under which something was made. One that lets the
    version stay does not count: it was checked already, and no longer covers this."""
    policies = {Policy(WithdrawalPolicy(grant.policy), grant.remedy_days) for grant in grants}
    not_staying = [policy for policy in policies if not policy.stays]
    if not not_staying:
        return Policy(UNAGREED.name, min(policy.remedy_days for policy in (*policies, default)))
    return max(not_staying, key=lambda policy: (STRICT.index(policy.name), -policy.remedy_days))


def _strictest(policies: Iterable[Policy]) -> Policy:
    distinct = set(policies)
    name = min((policy.name for policy in distinct), key=STRICT.index)
    return Policy(name, min(policy.remedy_days for policy in distinct))


def _merged(affected_sets: Iterable[AffectedSet]) -> list[AffectedSet]:
    """Merge to one entry for each set: what is lost in one of several contexts is lost."""
    by_source: dict[str, list[AffectedSet]] = defaultdict(list)
    for affected in affected_sets:
        by_source[affected.source].append(affected)
    merged = []
    for source, entries in by_source.items():
        lost = [affected for affected in entries if not affected.stays]
        recordings = frozenset().union(*(affected.recordings for affected in lost or entries))
        policy = _strictest(affected.policy for affected in lost or entries)
        merged.append(AffectedSet(source, recordings, not lost, policy))
    return merged


# --- Findings ---------------------------------------------------------------------------------


# All problems of a split sheet count as one, whoever has not answered yet.
_SPLIT = {"no_split", "split_unconfirmed", "split_disputed", "split_incomplete"}
_Lack = tuple[str, RightType, int | None, int | None, int | None]


class Watch:
    """A comparison of what is known of some music before and after a change: a new sheet, a
    dispute, another work, artist or member, a recording that it comes from. Make it before the
    change; `losses` returns afterwards what has no permission any more."""

    def __init__(self, recordings: Iterable[Recording] | Iterable[int]) -> None:
        self._ids = sorted(relations.with_derived(recordings))
        self._at = timezone.now()
        basis = snapshot.basis_of(self._ids, self._at, now=True)
        self._before = {use: snapshot.for_use(basis, use) for use in _granted(self._ids)}
        self._reliances = {
            use: descendants.basis().relied_on(self._ids, use) for use in self._before
        }

    def losses(self) -> Iterator[Loss]:
        """Yield a loss for each use under which something that was permitted is not any more."""
        if not self._before:
            return
        at = timezone.now()
        basis = snapshot.basis_of(self._ids, at, now=True)
        for use, before in self._before.items():
            after = snapshot.for_use(basis, use)
            lost = _possible(before, self._at) - _possible(after, at)
            affected_sets = [
                affected
                for reliance in self._reliances[use]
                if (affected := self._touched(reliance, before, after, at))
            ]
            recordings = set(lost).union(*(affected.recordings for affected in affected_sets))
            if recordings:
                yield Loss(use, sorted(recordings), _merged(affected_sets))

    def _touched(
        self, reliance: Reliance, before: Facts, after: Facts, at: datetime
    ) -> AffectedSet | None:
        missing_before, missing_after = (
            lacking(facts, reliance, moment) for facts, moment in ((before, self._at), (after, at))
        )
        lost = {
            pk for pk, missing in missing_after.items() if missing - missing_before.get(pk, set())
        }
        if not lost:
            return None
        when_made = Judge(before, reliance.context, reliance.made_at)
        remedy_days = [
            grant.remedy_days
            for music in before.recordings
            if music.pk in lost
            for need in when_made.needs(music, [])
            for grant in when_made.grants_covering(need, music)
        ]
        # A party that was not asked has agreed to no policy.
        policy = Policy(UNAGREED.name, min(remedy_days, default=UNAGREED.remedy_days))
        return AffectedSet(reliance.source, frozenset(lost), False, policy)


def lacking(facts: Facts, reliance: Reliance, at: datetime) -> dict[int, set[_Lack]]:
    """Return by recording what the recordings of a frozen set lack at a moment, in the set's own
    context: split sheets say how it has always been, permissions hold from their own moments on."""
    judge = Judge(facts, reliance.context, at, made_at=reliance.made_at, continuing=True)
    return {
        music.pk: {_key(need) for need in judge.judge(music)[0]}
        for music in facts.recordings
        if music.pk in reliance.recordings
    }


def _key(missing: Missing) -> _Lack:
    if missing.code in _SPLIT:
        return "split", missing.right, None, missing.work, missing.through
    code = "" if missing.party and missing.code != "members_unknown" else missing.code
    return code, missing.right, missing.party, missing.work, missing.through


def _possible(facts: Facts, at: datetime) -> set[int]:
    """Return the recordings for which every permission is given, in some context."""
    survey = Survey(facts, at, continuing=True)
    return {
        music.pk for music in facts.recordings if all(boxes for boxes in survey.of_needs(music))
    }


def _granted(ids: Collection[int]) -> list[Use]:
    """Return the uses ever permitted by anybody with a part in this music, or in what it comes
    from, or by an agent of theirs."""
    recording_ids = {
        *ids,
        *(pk for sources in relations.sources_of(ids).values() for pk in sources),
    }
    works = Q(sheet__work__recordings__in=recording_ids)
    lines = SplitLine.objects.filter(Q(sheet__recording__in=recording_ids) | works)
    credit_rows = Credit.objects.filter(recording__in=recording_ids).order_by()
    holders = {
        *lines.order_by().values_list("party", flat=True),
        *credit_rows.values_list("party", flat=True),
        *credit_rows.exclude(party__members=None).values_list("party__members__member", flat=True),
    }
    agents = Mandate.objects.filter(holder__in=holders).values_list("agent", flat=True)
    grants = Grant.objects.filter(grantor__in=holders | set(agents)).exclude(activated_at=None)
    uses = set(grants.order_by().values_list("use", flat=True).distinct())
    return [use for use in Use if use in uses]
