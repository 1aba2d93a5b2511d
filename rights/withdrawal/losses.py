"""What an ending takes away, worked out word by word.

A recording needs several words: of each holder of its master, of each holder of each work in it, of
each person for a use of the person. An ending takes some of them away; another grant, another
mandate or a wider one may still give them. So each need is looked at by itself, before and after:

- *lost* is what allows less in some context than it did. Pages list it, and a hold marks it.
- *touched* is what was made (frozen sets, descendants.Basis) and no longer rests on every word that
it needs, in the context that it was made for. What still does goes on being heard.
- *staying* is what lost a word, and stays because the permission it was made under says so.

The same functions answer before an act, for its preview, and in it. Nothing is written here.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q
from django.utils import timezone

from rights.consent import relations
from rights.consent import snapshot as known
from rights.consent.allowances import Survey, lies_in
from rights.consent.evaluator import Context, Judge, Need
from rights.consent.reasons import Missing
from rights.consent.snapshot import Facts, Music, Terms
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

# The stricter first: what was made under several permissions keeps the most lenient of them, and
# several words that are lacking the strictest.
STRICT = (WithdrawalPolicy.RECALL, WithdrawalPolicy.RETRAIN, WithdrawalPolicy.NEXT_VERSION)


class Policy(NamedTuple):
    """How an ending is to be remedied, and within how many days."""

    name: WithdrawalPolicy
    remedy_days: int

    @property
    def stays(self) -> bool:
        return self.name == WithdrawalPolicy.NEXT_VERSION


# Where nobody ever agreed on one: of the music of somebody who was never asked.
UNAGREED = Policy(WithdrawalPolicy.RECALL, 90)


class Touched(NamedTuple):
    """A frozen set, and those of its recordings that lost a word. With `stays` it goes on as
    agreed, and `policy` is the one of the permissions that it was made under."""

    source: str
    recordings: frozenset[int]
    stays: bool
    policy: Policy


@dataclass(frozen=True)
class Loss:
    """What one ending takes, for one use."""

    use: Use
    recordings: list[int] = field(default_factory=list)
    touched: list[Touched] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.recordings or self.touched)

    @property
    def sources(self) -> list[str]:
        return list(dict.fromkeys(affected.source for affected in self.touched))

    @property
    def stays(self) -> bool:
        """Whether something was made with it, and all of that stays."""
        return bool(self.touched) and all(affected.stays for affected in self.touched)


@dataclass(frozen=True)
class Ending:
    """What ends by one word, for one use. `noes` are opt-outs: who, and which recording."""

    use: Use
    grants: frozenset[int] = frozenset()
    mandates: frozenset[int] = frozenset()
    noes: frozenset[tuple[int, int]] = frozenset()

    def applied(self, facts: Facts, at: datetime) -> Facts:
        """The facts as they are once it has ended."""
        after = Facts(
            use=facts.use, known_at=at, at=at, recordings=facts.recordings, sources=facts.sources,
            others=facts.others, questioned=facts.questioned, works=facts.works,
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
        for holder, signs in facts.signs.items():
            after.signs[holder] = [
                sign._replace(revoked_at=at) if sign.pk in self.mandates else sign for sign in signs
            ]
        after.opted_out.update({key: list(said) for key, said in facts.opted_out.items()})
        for no in self.noes:
            after.opted_out[no].append(at)
        return after


# --- Of words that end -----------------------------------------------------------------------


def of_grants(grants: Collection[Grant], *, ending: Collection[Grant] = ()) -> Loss:
    """What is lost when these grants of one use end together with all of `ending`: none of them
    covers for another."""
    use = Use(next(iter(grants)).use)
    gone = {grant.pk for grant in (*grants, *ending) if grant.use == use}
    return of_ending(
        Ending(use, grants=frozenset(gone)),
        holds.covered_by_any(grants),
        because=[grant.pk for grant in grants],
        policy=policy_of(grants),
    )


def of_opt_out(party: Party, recording: Recording, grants: Collection[Grant]) -> Loss:
    """What the party's no to this recording takes out of these grants of one use."""
    use = Use(next(iter(grants)).use)
    return of_ending(
        Ending(use, noes=frozenset({(party.pk, recording.pk)})),
        [recording.pk],
        because=[grant.pk for grant in grants],
        policy=policy_of(grants),
    )


def of_mandate(mandate: Mandate) -> Iterator[Loss]:
    """For each use what is permitted through the mandate alone."""
    if mandate.approved_at is None or mandate.revoked_at is not None:
        return
    for use, recordings in holds.covered_through(mandate).items():
        loss = of_ending(Ending(use, mandates=frozenset({mandate.pk})), recordings)
        if loss:
            yield loss


def policy_of(grants: Collection[Grant]) -> Policy:
    """The strictest that was agreed on for any of them."""
    return _strictest(
        Policy(WithdrawalPolicy(grant.withdrawal_policy), grant.remedy_days) for grant in grants
    )


def of_ending(
    ending: Ending,
    recordings: Collection[int],
    *,
    because: Collection[int] = (),
    policy: Policy = UNAGREED,
) -> Loss:
    """What these recordings lose by it; of what ends together, only by the grants in `because`
    where some are named. `policy` is the one of what ends, for what was made under no other."""
    at = timezone.now()
    # What was made of a recording needs the words that it needs.
    reached = relations.with_derived(recordings)
    before = known.gather(reached, ending.use, at, now=True)
    change = _Change(before, ending.applied(before, at), at, because, policy)
    if not change.lost:
        return Loss(ending.use)
    touched = [
        affected
        for reliance in descendants.basis().relied_on(change.lost, ending.use)
        if (affected := change.touches(reliance))
    ]
    return Loss(ending.use, sorted(change.lost), _merged(touched))


class _Change:
    """What is known before and after an ending, and `lost`: by recording the needs for which less
    is allowed afterwards, in whatever context."""

    def __init__(
        self, before: Facts, after: Facts, at: datetime, because: Collection[int], policy: Policy
    ) -> None:
        self.before, self.after, self.at = before, after, at
        self.because, self.policy = because, policy
        # Sets that were frozen together are asked for in the same words.
        self._judges: dict[tuple[bool, Context, datetime | None], Judge] = {}
        self.lost = self._lost()

    def _lost(self) -> dict[int, list[Need]]:
        was = Survey(self.before, self.at, continuing=True)
        will = Survey(self.after, self.at, continuing=True)
        whole: dict[tuple[int, str], bool] = {}
        found: dict[int, list[Need]] = {}
        for music in self.before.recordings:
            for need in was.needs(music, []):
                key, heard = (need.party, need.right.value), was.subject_of(need, music)
                if will.is_special(need, heard):
                    gone = self._loses(was, will, need, heard)
                else:
                    if key not in whole:
                        whole[key] = self._loses(was, will, need, heard)
                    gone = whole[key]
                if gone:
                    found.setdefault(music.pk, []).append(need)
        return found

    def _loses(self, was: Survey, will: Survey, need: Need, music: Music) -> bool:
        left = {box for _, box in will.boxes(need, music)}
        return any(
            box not in left and not any(lies_in(box, other) for other in left)
            for grant, box in was.boxes(need, music)
            if not self.because or grant in self.because
        )

    def _judge(self, context: Context, made_at: datetime | None, *, after: bool) -> Judge:
        key = after, context, made_at
        if key not in self._judges:
            facts = self.after if after else self.before
            self._judges[key] = Judge(facts, context, self.at, made_at=made_at, continuing=True)
        return self._judges[key]

    def touches(self, reliance: Reliance) -> Touched | None:
        """What of a frozen set lost a word in its own context."""
        context, made_at = reliance.context, reliance.made_at
        was = self._judge(context, made_at, after=False)
        will = self._judge(context, made_at, after=True)
        # Without what was agreed for the version that was made.
        bare = self._judge(context, None, after=True)
        then = Judge(self.before, context, made_at)
        gone: set[int] = set()
        kept: set[int] = set()
        words: set[Policy] = set()
        for music in self.before.recordings:
            for need in self.lost.get(music.pk, ()) if music.pk in reliance.recordings else ():
                if not was.is_permitted(need, music):
                    continue
                if not will.is_permitted(need, music):
                    gone.add(music.pk)
                    relied_on = then.grants_covering(need, music)
                    words.add(
                        _relied_on(relied_on, self.policy) if reliance.made_for else self.policy
                    )
                elif not bare.is_permitted(need, music):
                    kept.add(music.pk)
        if gone:
            return Touched(reliance.source, frozenset(gone), False, _strictest(words))
        if kept:
            stays = Policy(WithdrawalPolicy.NEXT_VERSION, self.policy.remedy_days)
            return Touched(reliance.source, frozenset(kept), True, stays)
        return None


def _relied_on(speaking: Iterable[Terms], default: Policy) -> Policy:
    """The policy of the permissions under which something was made. One that lets the version stay
    is none here: it was asked, and does not speak for this any more."""
    found = {Policy(WithdrawalPolicy(grant.policy), grant.remedy_days) for grant in speaking}
    lenient = [policy for policy in found if not policy.stays]
    if not lenient:
        return Policy(UNAGREED.name, min(policy.remedy_days for policy in (*found, default)))
    return max(lenient, key=lambda one: (STRICT.index(one.name), -one.remedy_days))


def _strictest(policies: Iterable[Policy]) -> Policy:
    found = set(policies)
    name = min((policy.name for policy in found), key=STRICT.index)
    return Policy(name, min(policy.remedy_days for policy in found))


def _merged(found: Iterable[Touched]) -> list[Touched]:
    """One for each set: of several contexts, what one of them lost is lost."""
    by_source: dict[str, list[Touched]] = defaultdict(list)
    for affected in found:
        by_source[affected.source].append(affected)
    merged = []
    for source, some in by_source.items():
        gone = [affected for affected in some if not affected.stays]
        recordings = frozenset().union(*(affected.recordings for affected in gone or some))
        policy = _strictest(affected.policy for affected in gone or some)
        merged.append(Touched(source, recordings, not gone, policy))
    return merged


# --- Of what is found out ---------------------------------------------------------------------


# What a split sheet can lack is one thing, whoever has not answered yet.
_SPLIT = {"no_split", "split_unconfirmed", "split_disputed", "split_incomplete"}
_Lack = tuple[str, RightType, int | None, int | None, int | None]


class Watch:
    """Around a change in what is known of some music: a new sheet, a dispute, another work, another
    artist or member, a recording that it comes from. Made before the change; `losses` tells
    afterwards what stands on nothing any more."""

    def __init__(self, recordings: Iterable[Recording] | Iterable[int]) -> None:
        self._ids = sorted(relations.with_derived(recordings))
        self._at = timezone.now()
        self._before = {
            use: known.gather(self._ids, use, self._at, now=True) for use in _granted(self._ids)
        }
        self._reliances = {
            use: descendants.basis().relied_on(self._ids, use) for use in self._before
        }

    def losses(self) -> Iterator[Loss]:
        """For each use under which something is not permitted any more that was."""
        at = timezone.now()
        for use, before in self._before.items():
            after = known.gather(self._ids, use, at, now=True)
            lost = _possible(before, self._at) - _possible(after, at)
            touched = [
                affected
                for reliance in self._reliances[use]
                if (affected := self._touched(reliance, before, after, at))
            ]
            recordings = set(lost).union(*(affected.recordings for affected in touched))
            if recordings:
                yield Loss(use, sorted(recordings), _merged(touched))

    def _touched(
        self, reliance: Reliance, before: Facts, after: Facts, at: datetime
    ) -> Touched | None:
        was, will = (
            lacking(facts, reliance, moment) for facts, moment in ((before, self._at), (after, at))
        )
        gone = {pk for pk, lacks in will.items() if lacks - was.get(pk, set())}
        if not gone:
            return None
        then = Judge(before, reliance.context, reliance.made_at)
        days = [
            grant.remedy_days
            for music in before.recordings
            if music.pk in gone
            for need in then.needs(music, [])
            for grant in then.grants_covering(need, music)
        ]
        # Whoever was not asked has agreed to no policy.
        policy = Policy(UNAGREED.name, min(days, default=UNAGREED.remedy_days))
        return Touched(reliance.source, frozenset(gone), False, policy)


def lacking(facts: Facts, reliance: Reliance, at: datetime) -> dict[int, set[_Lack]]:
    """What the recordings of a frozen set lack at a moment of what it was made with, by recording:
    split sheets say how it has always been, permissions hold from their own moments on."""
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
    """The recordings for which every word is given, in some context."""
    survey = Survey(facts, at, continuing=True)
    return {
        music.pk for music in facts.recordings if all(boxes for boxes in survey.of_needs(music))
    }


def _granted(ids: Collection[int]) -> list[Use]:
    """The uses that anybody with a part in this music, or in what it comes from, ever permitted, or
    an agent of theirs."""
    music = {*ids, *(pk for some in relations.sources_of(ids).values() for pk in some)}
    works = Q(sheet__work__recordings__in=music)
    lines = SplitLine.objects.filter(Q(sheet__recording__in=music) | works)
    people = Credit.objects.filter(recording__in=music).order_by()
    holders = {
        *lines.order_by().values_list("party", flat=True),
        *people.values_list("party", flat=True),
        *people.exclude(party__members=None).values_list("party__members__member", flat=True),
    }
    agents = Mandate.objects.filter(holder__in=holders).values_list("agent", flat=True)
    grants = Grant.objects.filter(grantor__in=holders | set(agents)).exclude(activated_at=None)
    found = set(grants.order_by().values_list("use", flat=True).distinct())
    return [use for use in Use if use in found]
