"""From facts to answers: which permissions a use needs, and which of them there are.

Pure: no query, no clock. What is missing is given as codes and details; reasons.py makes sentences
of them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from rights import days, territories
from rights.consent import opt_outs, reasons
from rights.consent.facts import Facts, MandateTerms, Music, Share, Terms
from rights.consent.persons import PERSONA_USES
from rights.consent.reasons import NO_DETAILS, Details, Missing, Reason
from rights.models import PPM, Purpose, RightType, Use, WithdrawalPolicy


@dataclass(frozen=True)
class Context:
    """The scope that is asked for; a project carries one."""

    purpose: Purpose
    territory: str
    model_family: str
    model_version: int = 1
    product: str = ""
    # Where outputs go, for the use `distribute`.
    channel: str = ""


@dataclass(frozen=True, slots=True)
class RecordingAnswer:
    """One recording's answer. `grant_ids` are the grants that cover it, even where others lack."""

    allowed: bool
    reasons: list[Reason]
    grant_ids: list[int]


class Problem(NamedTuple):
    """Why a grant does not cover. The lowest rank is the nearest to covering; 0 covers."""

    rank: int
    code: str
    details: Details = NO_DETAILS


class Need(NamedTuple):
    """A permission that is needed, of a party for a right. `through` is the source recording that
    the right is in, where the recording asked about is derived from it (relations.py)."""

    party: int
    right: RightType
    work: int | None
    ppm: int | None
    through: int | None = None


@dataclass
class _MissingFrom:
    """Collects what is missing from a recording itself or from the source `through`."""

    missing: list[Missing]
    through: int | None

    def add(
        self, code: str, right: RightType, party: int | None = None, work: int | None = None
    ) -> None:
        self.missing.append(Missing(code, right, party, work, through=self.through))


COVERS = Problem(0, "")
NO_GRANT = Problem(99, "no_grant")


class Judge:
    """One use in one context at one moment, over any number of recordings.

    With `made_at` the question is about something that was made then: a grant that was in force at
    that moment, under an agreement that lets the version stay, still counts after its end. With
    `continuing` the question is whether a permission has *ended*: a suspension ends nothing, and
    neither does the last day of a grant until the portal has recorded it (lifecycle.expire_due).
    """

    def __init__(
        self,
        facts: Facts,
        context: Context,
        at: datetime,
        *,
        made_at: datetime | None = None,
        continuing: bool = False,
    ) -> None:
        self.facts = facts
        self.context = context
        self.at = at
        self.day = days.day_of(at)
        self.made_at = made_at
        self.continuing = continuing
        self._problems: dict[int, Problem] = {}
        self._mandates_in_force: dict[int, bool] = {}
        self._sounds = {music.pk: music for music in facts.recordings} | facts.source_recordings
        # Few recordings have an opt-out; the others skip that question.
        self._with_opt_outs = {recording for _, recording in facts.opted_out}

    def judge(self, music: Music) -> tuple[list[Missing], list[int]]:
        """Return what is missing, and the grants that cover what is permitted, by number."""
        missing: list[Missing] = []
        covering: set[int] = set()
        if music.audio is None:
            missing.append(Missing("no_audio", RightType.MASTER))
        for need in self.needs(music, missing):
            grant, problem = self._best(need, self.subject_of(need, music))
            if grant is not None and not problem.rank:
                covering.add(grant.pk)
                continue
            missing.append(
                Missing(problem.code, need.right, need.party, need.work,
                        grant.pk if grant else None, need.ppm, need.through, problem.details)
            )  # fmt: skip
        return missing, sorted(covering)

    def subject_of(self, need: Need, music: Music) -> Music:
        """Return the recording that the right is in: `music`, or the source it is derived from."""
        return music if need.through is None else self._sounds[need.through]

    def needs(self, music: Music, missing: list[Missing]) -> Iterator[Need]:
        """Yield each permission that the recording and its sources need; append what is wrong with
        splits, works and credits to `missing`."""
        yield from self._needs_of(music, None, missing)
        for pk in self.facts.sources.get(music.pk, ()):
            if (source := self._sounds.get(pk)) is not None:
                yield from self._needs_of(source, pk, missing)

    def _needs_of(
        self, music: Music, through: int | None, missing: list[Missing]
    ) -> Iterator[Need]:
        facts, lacks = self.facts, _MissingFrom(missing, through)
        if music.pk in facts.questioned:
            lacks.add("sound_question", RightType.MASTER)
        shares = facts.masters.get(music.pk, [])
        _check_split(shares, RightType.MASTER, None, lacks)
        for share in shares:
            yield Need(share.party, RightType.MASTER, None, share.ppm, through)
        works = facts.works.get(music.pk, [])
        if not works:
            lacks.add("no_work", RightType.COMPOSITION)
        for work in works:
            shares = facts.compositions.get(work, [])
            _check_split(shares, RightType.COMPOSITION, work, lacks)
            for share in shares:
                yield Need(share.party, RightType.COMPOSITION, work, share.ppm, through)
        if facts.use in PERSONA_USES:
            for party in self._people(music, lacks):
                yield Need(party, RightType.PERSONA, None, None, through)

    def _people(self, music: Music, lacks: _MissingFrom) -> Iterator[int]:
        """Yield once each person who has to permit a use of a person (persons.py)."""
        artists = self.facts.artists.get(music.pk, [])
        if not any(artist.main for artist in artists):
            lacks.add("no_artist", RightType.PERSONA)
        people: dict[int, None] = {}
        for artist in artists:
            group = self.facts.groups.get(artist.party)
            if group is None:
                people[artist.party] = None
                continue
            if not (group.complete and group.members):
                lacks.add("members_unknown", RightType.PERSONA, artist.party)
            people |= dict.fromkeys(group.members)
        yield from people

    def _best(self, need: Need, music: Music) -> tuple[Terms | None, Problem]:
        """Return the grant that covers, or the one that comes nearest and why it does not."""
        best: tuple[Terms | None, Problem] = (None, NO_GRANT)
        for grant in self._candidates(need, music):
            problem = self._problem_of(grant)
            if not problem.rank:
                opted_out = self.opted_out(grant, need, music)
                if opted_out is None:
                    return grant, COVERS
                problem = self.opt_out_problem(opted_out, music)
            if problem.rank < best[1].rank:
                best = grant, problem
        return best

    def _problem_of(self, grant: Terms) -> Problem:
        known = self._problems.get(grant.pk)
        if known is None:
            known = self._problems[grant.pk] = self._problem(grant)
        return known

    def is_permitted(self, need: Need, music: Music) -> bool:
        """Whether some grant covers this need."""
        return not self._best(need, self.subject_of(need, music))[1].rank

    def grants_covering(self, need: Need, music: Music) -> Iterator[Terms]:
        """Yield every grant that covers this need."""
        subject = self.subject_of(need, music)
        for grant in self._candidates(need, subject):
            if not self._problem_of(grant).rank and self.opted_out(grant, need, subject) is None:
                yield grant

    def opt_out_problem(self, since: datetime, music: Music) -> Problem:
        """Return the problem of an opt-out made at `since`: the party's own, or a reservation that
        was read from the recording's file or site."""
        by_signal = since in self.facts.opted_out.get((0, music.pk), ())
        return Problem(1, "signal" if by_signal else "opted_out", {"day": _day(since)})

    def _candidates(self, need: Need, music: Music) -> Iterator[Terms]:
        yield from self.facts.candidate_grants(need.party, need.right, music.pk, need.work)
        for mandate in self.facts.mandates.get(need.party, ()):
            if need.right in mandate.rights:
                yield from self._signed(mandate, need, music)

    def _signed(self, mandate: MandateTerms, need: Need, music: Music) -> Iterator[Terms]:
        in_force, territory = self._in_force(mandate), self.context.territory
        if not in_force and self.made_at is None:
            return
        for grant in self.facts.candidate_grants(mandate.agent, need.right, music.pk, need.work):
            if in_force or (
                self.signed_until_its_end(mandate, grant)
                and territories.covers(mandate.territories, territory)
            ):
                yield grant

    def opted_out(self, grant: Terms, need: Need, music: Music) -> datetime | None:
        """Return since when an opt-out of this recording overrides the grant (opt_outs.py)."""
        if music.pk not in self._with_opt_outs:
            return None

        until = self.made_at if self.made_at and self.stays(grant) else self.at

        def last_opt_out(party: int) -> datetime | None:
            by_holder = self.facts.opted_out
            moments = (
                *by_holder.get((party, music.pk), ()), *by_holder.get((0, music.pk), ())
            )  # fmt: skip
            return max((at for at in moments if at <= until), default=None)

        return opt_outs.against(
            last_opt_out,
            holder=need.party,
            grantor=grant.grantor,
            named=grant.recording == music.pk,
            activated_at=grant.activated_at,
        )

    def _in_force(self, mandate: MandateTerms) -> bool:
        in_force = self._mandates_in_force.get(mandate.pk)
        if in_force is None:
            covered = territories.covers(mandate.territories, self.context.territory)
            in_force = self._mandates_in_force[mandate.pk] = covered and self.stands(mandate)
        return in_force

    def stands(self, mandate: MandateTerms) -> bool:
        """Whether the mandate is in force, in whatever territory."""
        return (
            mandate.approved_at <= self.at
            and (mandate.revoked_at is None or mandate.revoked_at > self.at)
            and mandate.starts_on <= self.day
            and (self.continuing or mandate.ends_on is None or self.day <= mandate.ends_on)
        )

    def stays(self, grant: Terms) -> bool:
        """Whether what was made at `made_at` was made under the grant and may outlast it."""
        made = self.made_at
        return (
            made is not None
            and grant.policy == WithdrawalPolicy.NEXT_VERSION
            and grant.activated_at is not None
            and grant.activated_at <= made
            and (grant.ended_at is None or grant.ended_at > made)
            and grant.starts_on <= made.date()
            and (grant.ends_on is None or made.date() <= grant.ends_on)
        )

    def signed_until_its_end(self, mandate: MandateTerms, grant: Terms) -> bool:
        """Whether the mandate was in force from `made_at` until the agent's grant ended. The holder
        ends a mandate, and the agent's agreement does not apply to that end."""
        made, ended = self.made_at, grant.ended_at
        return (
            made is not None
            and ended is not None
            and self.stays(grant)
            and mandate.approved_at <= made
            and (mandate.revoked_at is None or mandate.revoked_at >= ended)
            and mandate.starts_on <= made.date()
        )

    def _problem(self, grant: Terms) -> Problem:
        """Test the grant without regard to the recording, from the test that is farthest from
        covering to the nearest."""
        for place, (code, test) in enumerate(TESTS):
            if (details := test(self, grant)) is not None:
                return Problem(len(TESTS) - place + 1, code, details)
        return COVERS

    # Each test returns None where the grant passes, else the details of its code (reasons.py).

    def not_active(self, grant: Terms) -> Details | None:
        active = grant.activated_at is not None and grant.activated_at <= self.at
        return None if active else NO_DETAILS

    def _ended(self, grant: Terms) -> bool:
        return grant.ended_at is not None and grant.ended_at <= self.at and not self.stays(grant)

    def withdrawn(self, grant: Terms) -> Details | None:
        if self._ended(grant) and not grant.expired:
            return {"day": _day(grant.ended_at)}
        return None

    def expired(self, grant: Terms) -> Details | None:
        over = grant.ends_on is not None and grant.ends_on < self.day
        if self._ended(grant) or (over and not self.continuing and not self.stays(grant)):
            return {"day": str(grant.ends_on)}
        return None

    def replaced(self, grant: Terms) -> Details | None:
        newer = self.facts.replaced.get(grant.pk)
        if newer is None or self.not_active(newer) is not None or newer.starts_on > self.day:
            return None
        if self.continuing or self.stays(grant):
            return None
        return {"day": str(newer.starts_on)}

    def suspended(self, grant: Terms) -> Details | None:
        if self.continuing:
            return None
        for since, until in self.facts.suspended.get(grant.pk, ()):
            if since <= self.at and (until is None or until > self.at):
                return {"day": _day(since)}
        return None

    def not_started(self, grant: Terms) -> Details | None:
        return {"day": str(grant.starts_on)} if grant.starts_on > self.day else None

    def purpose(self, grant: Terms) -> Details | None:
        if self.context.purpose in grant.purposes:
            return None
        return {"purpose": Purpose(self.context.purpose).label.lower()}

    def territory(self, grant: Terms) -> Details | None:
        if territories.covers(grant.territories, self.context.territory):
            return None
        return {"place": territories.names().get(self.context.territory, "an unknown territory")}

    def model_family(self, grant: Terms) -> Details | None:
        if grant.family in {"", self.context.model_family}:
            return None
        return {"family": self.context.model_family}

    def model_version(self, grant: Terms) -> Details | None:
        version, last = self.context.model_version, grant.last_version
        if (grant.first_version or 0) <= version and (last is None or version <= last):
            return None
        return {"family": self.context.model_family, "version": str(version)}

    def product(self, grant: Terms) -> Details | None:
        if not grant.products or self.context.product in grant.products:
            return None
        return {"product": reasons.product_in_words(self.context.product)}

    def channel(self, grant: Terms) -> Details | None:
        fits = self.facts.use != Use.DISTRIBUTE or self.context.channel in grant.channels
        return None if fits else NO_DETAILS

    def condition(self, grant: Terms) -> Details | None:
        return NO_DETAILS if grant.condition else None


TESTS: tuple[tuple[str, Callable[[Judge, Terms], Details | None]], ...] = (
    ("grant_not_active", Judge.not_active),
    ("grant_withdrawn", Judge.withdrawn),
    ("grant_expired", Judge.expired),
    ("grant_replaced", Judge.replaced),
    ("grant_suspended", Judge.suspended),
    ("grant_not_started", Judge.not_started),
    ("purpose", Judge.purpose),
    ("territory", Judge.territory),
    ("model_family", Judge.model_family),
    ("model_version", Judge.model_version),
    ("product", Judge.product),
    ("channel", Judge.channel),
    ("condition", Judge.condition),
)


def _check_split(
    shares: Sequence[Share], right: RightType, work: int | None, lacks: _MissingFrom
) -> None:
    """Check that the split is stated, confirmed by every holder, and makes 100 %."""
    if not shares:
        lacks.add("no_split", right, work=work)
        return
    for share in shares:
        if share.disputed:
            lacks.add("split_disputed", right, share.party, work)
        elif not share.confirmed:
            lacks.add("split_unconfirmed", right, share.party, work)
    if sum(share.ppm for share in shares) != PPM:
        lacks.add("split_incomplete", right, work=work)


def _day(moment: datetime | None) -> str:
    return days.day_of(moment).isoformat() if moment else "an unknown day"
