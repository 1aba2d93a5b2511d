"""From facts to answers: which permissions a use needs, and which of them there are.

Pure: no query, no clock. The names in reasons come from a lookup that is asked only for what
was denied.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import NamedTuple, TypedDict

from rights import days, territories
from rights.consent import opt_outs
from rights.consent.persons import PERSONA_USES
from rights.consent.snapshot import Facts, Music, Share, Sign, Terms, speaking
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


class Reason(TypedDict):
    """Why not. Codes and numbers are the decision; the sentence tells it in today's names."""

    code: str
    sentence: str
    party: str
    right: str
    party_id: int | None
    work_id: int | None
    grant_id: int | None
    # The recording that it comes from, where the right is in that one.
    through_id: int | None


@dataclass(frozen=True, slots=True)
class RecordingAnswer:
    """One recording's answer. `grant_ids` are the grants that cover it, also where others lack."""

    allowed: bool
    reasons: list[Reason]
    grant_ids: list[int]


class Problem(NamedTuple):
    """What keeps a grant from covering: lowest rank nearest to covering; 0 where it covers."""

    rank: int
    code: str
    words: str


class Need(NamedTuple):
    """A word that is needed; `through` is the recording that it comes from, where it is another
    one's right (relations.py)."""

    party: int
    right: RightType
    work: int | None
    ppm: int | None
    through: int | None = None


@dataclass
class Names:
    """Titles and names for sentences, filled in before they are written."""

    parties: dict[int, str] = field(default_factory=dict)
    works: dict[int, str] = field(default_factory=dict)
    recordings: dict[int, str] = field(default_factory=dict)


class Missing(NamedTuple):
    """A reason before it is a sentence."""

    code: str
    words: str
    right: RightType
    party: int | None = None
    work: int | None = None
    grant: int | None = None
    ppm: int | None = None
    through: int | None = None


@dataclass
class _Lacking:
    """What is wrong with one recording, told with the one that comes from it."""

    found: list[Missing]
    through: int | None

    def append(self, missing: Missing) -> None:
        self.found.append(missing._replace(through=self.through))


COVERS = Problem(0, "", "")
NOTHING = Problem(99, "no_grant", "has not allowed {use}")


class Judge:
    """One use in one context at one moment, over any number of recordings.

    With `made_at` it is asked for what was made then: a grant that was in force at that moment and
    whose agreement lets the version stay goes on speaking after its end. With `continuing` it is
    asked whether something has *ended*: a pause ends nothing, nor does a day that has passed until
    the portal has written it down (lifecycle.expire_due).
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
        self._signs: dict[int, bool] = {}
        self._sounds = {music.pk: music for music in facts.recordings} | facts.others
        # Most recordings nobody has opted out.
        self._touched = {recording for _, recording in facts.opted_out}

    def judge(self, music: Music) -> tuple[list[Missing], list[int]]:
        """What is missing, and the grants that cover what is there."""
        found: list[Missing] = []
        covering: set[int] = set()
        if music.audio is None:
            found.append(Missing("no_audio", "“{recording}” has no file yet.", RightType.MASTER))
        for need in self.needs(music, found):
            grant, problem = self._best(need, self.heard(need, music))
            if grant is not None and not problem.rank:
                covering.add(grant.pk)
                continue
            found.append(
                Missing(problem.code, problem.words, need.right, need.party, need.work,
                       grant.pk if grant else None, need.ppm, need.through)
            )  # fmt: skip
        return found, sorted(covering)

    def heard(self, need: Need, music: Music) -> Music:
        """The recording that the right is in: this one, or the one that it comes from."""
        return music if need.through is None else self._sounds[need.through]

    def needs(self, music: Music, found: list[Missing]) -> Iterator[Need]:
        """Each party whose word is needed, for the recording and for all that it comes from; what
        is wrong with the splits goes to `found`."""
        yield from self._needs_of(music, None, found)
        for pk in self.facts.sources.get(music.pk, ()):
            if (source := self._sounds.get(pk)) is not None:
                yield from self._needs_of(source, pk, found)

    def _needs_of(self, music: Music, through: int | None, found: list[Missing]) -> Iterator[Need]:
        facts, lacking = self.facts, _Lacking(found, through)
        if music.pk in facts.questioned:
            words = (
                "A question about the sound of “{recording}” is open: a rights admin has to say "
                "what it is to the recording that it sounds like."
            )
            lacking.append(Missing("sound_question", words, RightType.MASTER))
        shares = facts.masters.get(music.pk, [])
        _check_split(shares, RightType.MASTER, None, lacking)
        for share in shares:
            yield Need(share.party, RightType.MASTER, None, share.ppm, through)
        works = facts.works.get(music.pk, [])
        if not works:
            words = "“{recording}” names no work, so nobody can allow its composition."
            lacking.append(Missing("no_work", words, RightType.COMPOSITION))
        for work in works:
            shares = facts.compositions.get(work, [])
            _check_split(shares, RightType.COMPOSITION, work, lacking)
            for share in shares:
                yield Need(share.party, RightType.COMPOSITION, work, share.ppm, through)
        if facts.use in PERSONA_USES:
            for party in self._people(music, lacking):
                yield Need(party, RightType.PERSONA, None, None, through)

    def _people(self, music: Music, found: "_Lacking") -> Iterator[int]:
        """Each person whose own word a use of a person needs, once (persons.py)."""
        artists = self.facts.artists.get(music.pk, [])
        if not any(artist.main for artist in artists):
            words = "“{recording}” credits no main artist, so nobody can allow {use}."
            found.append(Missing("no_artist", words, RightType.PERSONA))
        people: dict[int, None] = {}
        for artist in artists:
            group = self.facts.groups.get(artist.party)
            if group is None:
                people[artist.party] = None
                continue
            if not (group.complete and group.members):
                words = (
                    "{party} is no person, and nobody has said who all its members are, so nobody "
                    "can allow {use} of “{recording}”."
                )
                found.append(Missing("members_unknown", words, RightType.PERSONA, artist.party))
            people |= dict.fromkeys(group.members)
        yield from people

    def _best(self, need: Need, music: Music) -> tuple[Terms | None, Problem]:
        """The grant that covers, or the one that comes nearest."""
        best: tuple[Terms | None, Problem] = (None, NOTHING)
        for grant in self._candidates(need, music):
            problem = self._problem_of(grant)
            if not problem.rank:
                opted_out = self.opted_out(grant, need, music)
                if opted_out is None:
                    return grant, COVERS
                problem = self.left_out(opted_out, music)
            if problem.rank < best[1].rank:
                best = grant, problem
        return best

    def _problem_of(self, grant: Terms) -> Problem:
        known = self._problems.get(grant.pk)
        if known is None:
            known = self._problems[grant.pk] = self._problem(grant)
        return known

    def is_spoken_for(self, need: Need, music: Music) -> bool:
        """Whether some grant gives this word."""
        return not self._best(need, self.heard(need, music))[1].rank

    def speaking_for(self, need: Need, music: Music) -> Iterator[Terms]:
        """Every grant that gives this word."""
        heard = self.heard(need, music)
        for grant in self._candidates(need, heard):
            if not self._problem_of(grant).rank and self.opted_out(grant, need, heard) is None:
                yield grant

    def left_out(self, since: datetime, music: Music) -> Problem:
        """Whose no it is that stands since then: the party's, or what was read of the recording."""
        day = _day(since)
        if since not in self.facts.opted_out.get((0, music.pk), ()):
            return Problem(1, "opted_out", f"opted this recording out of {{use}} on {day}")
        words = f"has not allowed {{use}} for this very recording since {day}, when it said no"
        return Problem(1, "signal", words)

    def _candidates(self, need: Need, music: Music) -> Iterator[Terms]:
        yield from speaking(self.facts, need.party, need.right, music.pk, need.work)
        for sign in self.facts.signs.get(need.party, ()):
            if need.right in sign.rights:
                yield from self._signed(sign, need, music)

    def _signed(self, sign: Sign, need: Need, music: Music) -> Iterator[Terms]:
        in_force, asked = self._in_force(sign), self.context.territory
        if not in_force and self.made_at is None:
            return
        for grant in speaking(self.facts, sign.agent, need.right, music.pk, need.work):
            if in_force or (
                self.signed_until_its_end(sign, grant)
                and territories.covers(sign.territories, asked)
            ):
                yield grant

    def opted_out(self, grant: Terms, need: Need, music: Music) -> datetime | None:
        """Since when a no to this recording stands against the grant (opt_outs.py)."""
        if music.pk not in self._touched:
            return None

        until = self.made_at if self.made_at and self.stays(grant) else self.at

        def last_no(party: int) -> datetime | None:
            noes = self.facts.opted_out
            said = (*noes.get((party, music.pk), ()), *noes.get((0, music.pk), ()))
            return max((at for at in said if at <= until), default=None)

        return opt_outs.against(
            last_no,
            holder=need.party,
            grantor=grant.grantor,
            named=grant.recording == music.pk,
            given=grant.activated_at,
        )

    def _in_force(self, sign: Sign) -> bool:
        known = self._signs.get(sign.pk)
        if known is None:
            asked = self.context.territory
            known = self._signs[sign.pk] = self.stands(sign) and territories.covers(
                sign.territories, asked
            )
        return known

    def stands(self, sign: Sign) -> bool:
        """Whether the mandate is in force, wherever."""
        return (
            sign.approved_at <= self.at
            and (sign.revoked_at is None or sign.revoked_at > self.at)
            and sign.starts_on <= self.day
            and (self.continuing or sign.ends_on is None or self.day <= sign.ends_on)
        )

    def stays(self, grant: Terms) -> bool:
        """Whether what was made at `made_at` was made under the grant, and stays after its end."""
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

    def signed_until_its_end(self, sign: Sign, grant: Terms) -> bool:
        """Whether the mandate stood from when the thing was made until the agent's grant ended: the
        end of a mandate is the holder's word, to which the agent's agreement does not apply."""
        made, ended = self.made_at, grant.ended_at
        return (
            made is not None
            and ended is not None
            and self.stays(grant)
            and sign.approved_at <= made
            and (sign.revoked_at is None or sign.revoked_at >= ended)
            and sign.starts_on <= made.date()
        )

    def _problem(self, grant: Terms) -> Problem:
        """Whatever the recording. Tests run from the farthest from covering to the nearest."""
        for place, (code, test) in enumerate(TESTS):
            if words := test(self, grant):
                return Problem(len(TESTS) - place + 1, code, words)
        return COVERS

    # Each test says in words why the grant does not cover, or nothing where it passes.

    def not_active(self, grant: Terms) -> str:
        if grant.activated_at is None or grant.activated_at > self.at:
            return "was asked for {use} and the grant is not in force"
        return ""

    def _ended(self, grant: Terms) -> bool:
        return grant.ended_at is not None and grant.ended_at <= self.at and not self.stays(grant)

    def withdrawn(self, grant: Terms) -> str:
        if self._ended(grant) and not grant.expired:
            return f"withdrew the permission for {{use}} on {_day(grant.ended_at)}"
        return ""

    def expired(self, grant: Terms) -> str:
        over = grant.ends_on is not None and grant.ends_on < self.day
        if self._ended(grant) or (over and not self.continuing and not self.stays(grant)):
            return f"allowed {{use}} only until {grant.ends_on}"
        return ""

    def replaced(self, grant: Terms) -> str:
        newer = self.facts.replaced.get(grant.pk)
        if newer is None or self.not_active(newer) or newer.starts_on > self.day:
            return ""
        if self.continuing or self.stays(grant):
            return ""
        return f"allows {{use}} by other terms since {newer.starts_on}"

    def suspended(self, grant: Terms) -> str:
        if self.continuing:
            return ""
        for since, until in self.facts.suspended.get(grant.pk, ()):
            if since <= self.at and (until is None or until > self.at):
                return f"suspended the permission for {{use}} on {_day(since)}"
        return ""

    def not_started(self, grant: Terms) -> str:
        return f"allows {{use}} only from {grant.starts_on}" if grant.starts_on > self.day else ""

    def purpose(self, grant: Terms) -> str:
        if self.context.purpose not in grant.purposes:
            return f"has not allowed {{use}} for {Purpose(self.context.purpose).label.lower()}"
        return ""

    def territory(self, grant: Terms) -> str:
        if territories.covers(grant.territories, self.context.territory):
            return ""
        place = territories.names().get(self.context.territory, "an unknown territory")
        return f"has not allowed {{use}} in {place}"

    def model_family(self, grant: Terms) -> str:
        if grant.family in {"", self.context.model_family}:
            return ""
        family = _plain(self.context.model_family)
        return f"has allowed {{use}} for another model family than “{family}”"

    def model_version(self, grant: Terms) -> str:
        version, last = self.context.model_version, grant.last_version
        if (grant.first_version or 0) <= version and (last is None or version <= last):
            return ""
        family = _plain(self.context.model_family)
        return f"has not allowed {{use}} for version {version} of “{family}”"

    def product(self, grant: Terms) -> str:
        if not grant.products or self.context.product in grant.products:
            return ""
        if not self.context.product:
            return "has allowed {use} for certain products only, and none is named"
        return f"has not allowed {{use}} for the product “{_plain(self.context.product)}”"

    def channel(self, grant: Terms) -> str:
        if self.facts.use != Use.DISTRIBUTE or self.context.channel in grant.channels:
            return ""
        return "has not allowed {use} on this channel"

    def condition(self, grant: Terms) -> str:
        return "allows {use} only under a condition that nobody has settled" * bool(grant.condition)


TESTS: tuple[tuple[str, Callable[[Judge, Terms], str]], ...] = (
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
    shares: Sequence[Share], right: RightType, work: int | None, found: "_Lacking"
) -> None:
    """Confirmed and whole, or why not."""
    if not shares:
        words = "Nobody has stated who holds {what}: it has no split sheet."
        found.append(Missing("no_split", words, right, work=work))
        return
    for share in shares:
        if share.disputed:
            words = "{party} disputes the split of {what}."
            found.append(Missing("split_disputed", words, right, share.party, work))
        elif not share.confirmed:
            words = "{party} has not confirmed the split of {what}."
            found.append(Missing("split_unconfirmed", words, right, share.party, work))
    if sum(share.ppm for share in shares) != PPM:
        words = "The split of {what} does not make 100 %."
        found.append(Missing("split_incomplete", words, right, work=work))


def in_sentences(found: Sequence[Missing], music: Music, use: Use, names: Names) -> list[Reason]:
    """Reasons as they are kept and shown."""
    return [
        Reason(
            code=need.code,
            sentence=_sentence(need, music, use, names),
            party=names.parties.get(need.party or 0, ""),
            right=need.right.value,
            party_id=need.party,
            work_id=need.work,
            grant_id=need.grant,
            through_id=need.through,
        )
        for need in found
    ]


def _sentence(missing: Missing, music: Music, use: Use, names: Names) -> str:
    title = _plain(music.title if missing.through is None else names.recordings[missing.through])
    if missing.right == RightType.COMPOSITION:
        what = f"the composition “{_plain(names.works.get(missing.work or 0, ''))}”"
    elif missing.right == RightType.MASTER:
        what = f"the master “{title}”"
    else:
        what = f"whose person is in “{title}”"
    party = _plain(names.parties.get(missing.party or 0, "Somebody"))
    told = missing.words.format(use=in_words(use), recording=title, what=what, party=party)
    if not missing.words.endswith("."):
        share = f"{missing.ppm / 10_000:g} % of " if missing.ppm is not None else ""
        told = f"{party} ({share}{what}) {told}."
    if missing.through is None:
        return told
    return f"{told} “{_plain(music.title)}” comes from “{title}”."


def unknown() -> Reason:
    """Of a recording that was not in the catalogue at the moment asked about."""
    return Reason(
        code="unknown",
        sentence="The catalogue did not have it then.",
        party="",
        right=RightType.MASTER.value,
        party_id=None,
        work_id=None,
        grant_id=None,
        through_id=None,
    )


def _plain(text: str) -> str:
    """Text that goes through str.format unharmed."""
    return text.replace("{", "(").replace("}", ")")


def _day(moment: datetime | None) -> str:
    return days.day_of(moment).isoformat() if moment else "an unknown day"


@cache
def in_words(use: str) -> str:
    """The use as it stands inside a sentence."""
    label = str(Use(use).label)
    return label[0].lower() + label[1:]
