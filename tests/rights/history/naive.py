"""The rules of consent, told a second time: from a log of what happened, by brute force.

Written from the words of the policy alone; it shares no line with rights/consent/evaluator.py or
rights/consent/snapshot.py. Slow on purpose: every answer reads the whole log again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

WHOLE = 1_000_000
OF_A_PERSON = ("voice", "likeness.name", "style.named")


@dataclass(frozen=True)
class Happened:
    at: datetime
    what: str
    who: dict[str, Any]


@dataclass(frozen=True)
class Scope:
    """What somebody wants to do, and where."""

    use: str
    purpose: str
    territory: str
    family: str
    version: int
    product: str = ""
    channel: str = ""


@dataclass
class Log:
    """Append-only. `known` and `at` in the questions below: what was known by then, of when."""

    lines: list[Happened] = field(default_factory=list)

    def say(self, at: datetime, what: str, **who: Any) -> None:
        assert not self.lines or at > self.lines[-1].at, "Time stands still."
        self.lines.append(Happened(at, what, who))

    def until(self, known: datetime, *what: str, **who: Any) -> Iterator[Happened]:
        """What had happened by then, in order, of these kinds and with these words."""
        for line in self.lines:
            wanted = line.at <= known and line.what in what
            if wanted and all(line.who.get(key) == value for key, value in who.items()):
                yield line

    # --- The music ----------------------------------------------------------------------------

    def has_file(self, recording: int, known: datetime) -> bool:
        return any(self.until(known, "file", recording=recording))

    def works(self, recording: int, known: datetime) -> set[int]:
        return {one.who["work"] for one in self.until(known, "work", recording=recording)}

    def credited(self, recording: int, known: datetime, *roles: str) -> set[int]:
        return {
            one.who["party"]
            for one in self.until(known, "artist", recording=recording)
            if one.who["role"] in roles
        }

    def people(self, recording: int, use: str, known: datetime) -> set[int] | None:
        """The persons in it whom this use asks: who stands on the cover, and for a voice who sings.
        A group is each of its members. None where somebody may be missing."""
        asked = self.credited(recording, known, "MainArtist", "FeaturedArtist")
        if use == "voice":
            asked |= self.credited(recording, known, "Vocalist", "Background vocals")
        if not self.credited(recording, known, "MainArtist"):
            return None
        found, lacking = self.persons(asked, known)
        return None if lacking else found

    def persons(self, parties: set[int], known: datetime) -> tuple[set[int], bool]:
        """These, with each group as its members; and whether a group may have more of them."""
        groups = {one.who["party"] for one in self.until(known, "group")} & parties
        found, lacking = parties - groups, False
        for group in groups:
            found |= {one.who["party"] for one in self.until(known, "member", group=group)}
            lacking |= not any(self.until(known, "members complete", group=group))
        return found, lacking

    def split(self, subject: tuple[str, int], known: datetime) -> Happened | None:
        """The newest sheet of a recording's master or of a work's composition."""
        sheets = list(self.until(known, "split", subject=subject))
        return sheets[-1] if sheets else None

    def settled(self, sheet: Happened | None, known: datetime) -> bool:
        """Everybody on it said yes last, and the shares are the whole."""
        if sheet is None:
            return False
        said = dict.fromkeys(sheet.who["shares"], False)
        for line in self.until(known, "answer", sheet=sheet.who["sheet"]):
            said[line.who["party"]] = line.who["yes"]
        return all(said.values()) and sum(sheet.who["shares"].values()) == WHOLE

    def sounds(self, recording: int, known: datetime) -> set[int]:
        """The recording, and all that it comes from, step by step."""
        found = {recording}
        while True:
            more = {source for one in found for source in self.origins(one, known)} - found
            if not more:
                return found
            found |= more

    def origins(self, recording: int, known: datetime) -> set[int]:
        """What it was said to come from in one step, and not taken back."""
        found = set()
        for said in self.until(known, "related"):
            one, other, kind = (said.who[name] for name in ("recording", "source", "kind"))
            if any(self.until(known, "unrelated", relation=said.who["relation"])):
                continue
            if one == recording:
                found.add(other)
            if other == recording and kind == "same_sound":
                found.add(one)
        return found

    def needed(
        self, recording: int, use: str, known: datetime, *, file: bool = True
    ) -> set[tuple[int, str, int]] | None:
        """Whose word, for which right, in which work (0: none), in the recording itself. None
        where nobody can say."""
        subjects = [("master", recording, 0)]
        works = self.works(recording, known)
        subjects += [("composition", work, work) for work in works]
        words = set()
        for right, subject, work in subjects:
            sheet = self.split((right, subject), known)
            if not self.settled(sheet, known):
                return None
            assert sheet
            words |= {(party, right, work) for party in sheet.who["shares"]}
        if use in OF_A_PERSON:
            people = self.people(recording, use, known)
            if people is None:
                return None
            words |= {(party, "persona", 0) for party in people}
        return words if works and (not file or self.has_file(recording, known)) else None

    # --- The papers ---------------------------------------------------------------------------

    def end_of(self, grant: int, known: datetime) -> Happened | None:
        return next(self.until(known, "ended", grant=grant), None)

    def state(self, grant: int, now: datetime) -> str:
        """offered, active, suspended or ended: by what was said, whatever the calendar says."""
        if self.end_of(grant, now):
            return "ended"
        if not any(self.until(now, "activated", grant=grant)):
            return "offered"
        return "suspended" if self.paused(grant, now, now) else "active"

    def paused(self, grant: int, at: datetime, known: datetime) -> bool:
        said = list(self.until(known, "suspended", "resumed", grant=grant))
        before = [one.what for one in said if one.at <= at]
        return bool(before) and before[-1] == "suspended"

    def replaced(self, grant: int, at: datetime, then: datetime) -> bool:
        """Whether a newer version of it has begun, written down or not."""
        return any(
            self.end_of(newer.who["grant"], then) is None
            and any(self.until(then, "activated", grant=newer.who["grant"]))
            and newer.who["starts"] <= at.date()
            for newer in self.until(then, "drafted", replaces=grant)
        )

    def opted_out(self, grant: Happened, holder: int, recording: int, at: datetime) -> bool:
        """Whether a no to this recording, of the holder's or of the grantor's, keeps it out of the
        grant. Only a later grant for that recording, of who said no, brings it back."""
        terms = grant.who
        for no in self.until(at, "opted out", recording=recording, use=terms["use"]):
            own = terms["grantor"] == no.who["party"] and terms["recording"] == recording
            if no.who["party"] in (holder, terms["grantor"]) and not (own and grant.at > no.at):
                return True
        return False

    def may_say_no(self, party: int, recording: int, use: str, now: datetime) -> bool:
        """Where nothing is allowed: who has a word to give, and has not refused it yet."""
        rights = {right for right, _ in self.shares(party, recording, use, now)}
        word = rights if use in OF_A_PERSON else rights - {"persona"}
        said = self.until(now, "opted out", recording=recording, use=use, party=party)
        return bool(word) and not any(said)

    def affected(self, grant: Happened, party: int, recording: int, at: datetime) -> bool:
        """Whether the grant, not ended by then, spoke in the recording for this party's share; or,
        if it is the party's own, for the share of somebody whom the party signs for, or for this
        recording alone."""
        terms = grant.who
        if not (grant.at < at and terms["recording"] in (None, recording)):
            return False
        if self.end_of(terms["grant"], before(at)):
            return False
        own = terms["grantor"] == party
        if own and terms["recording"] == recording:
            return True
        holders = {party} if own else set()
        for mandate in self.until(at, "mandate", agent=terms["grantor"]):
            number = mandate.who["mandate"]
            if (
                terms["right"] in mandate.who["rights"]
                and (own or mandate.who["holder"] == party)
                and any(self.until(at, "mandate approved", mandate=number))
                and not any(self.until(at, "mandate revoked", mandate=number))
            ):
                holders.add(mandate.who["holder"])
        return any(
            right == terms["right"] and terms["work"] in (None, work)
            for holder in holders
            for right, work in self.shares(holder, recording, terms["use"], at)
            if not self.opted_out(grant, holder, recording, at)
        )

    def shares(self, party: int, recording: int, use: str, at: datetime) -> list[tuple[str, int]]:
        """The rights in a recording that a party has a part in for a use, agreed or not."""
        roles = ["MainArtist", "FeaturedArtist"]
        if use not in OF_A_PERSON or use == "voice":
            roles += ["Vocalist", "Background vocals"]
        people, _ = self.persons(self.credited(recording, at, *roles), at)
        found = [("persona", 0)] if party in people else []
        subjects = [("master", recording, 0)]
        subjects += [("composition", work, work) for work in self.works(recording, at)]
        for right, subject, work in subjects:
            sheet = self.split((right, subject), at)
            if sheet and party in sheet.who["shares"]:
                found.append((right, work))
        return found

    def speaks_for(
        self, grantor: int, party: int, right: str, territory: str, at: datetime
    ) -> bool:
        """The party itself, or its agent under an approved paper; a person speaks alone."""
        if grantor == party:
            return True
        return right != "persona" and any(
            mandate.who["agent"] == grantor
            and right in mandate.who["rights"]
            and reaches(mandate.who["territories"], territory)
            and in_term(mandate.who, at.date())
            and any(self.until(at, "mandate approved", mandate=mandate.who["mandate"]))
            and not any(self.until(at, "mandate revoked", mandate=mandate.who["mandate"]))
            for mandate in self.until(at, "mandate", holder=party)
        )

    def covers(
        self,
        grant: Happened,
        word: tuple[int, str, int],
        recording: int,
        scope: Scope,
        *,
        at: datetime,
        known: datetime,
    ) -> bool:
        """Whether this grant gives this word."""
        terms, then = grant.who, min(at, known)
        return (
            self.about(terms, word, recording, scope)
            and any(self.until(then, "activated", grant=terms["grant"]))
            and self.end_of(terms["grant"], then) is None
            and not self.replaced(terms["grant"], at, then)
            and not self.paused(terms["grant"], at, known)
            and in_term(terms, at.date())
            and not self.opted_out(grant, word[0], recording, then)
            and self.speaks_for(terms["grantor"], word[0], word[1], scope.territory, at)
        )

    def carries(
        self,
        grant: Happened,
        word: tuple[int, str, int],
        recording: int,
        scope: Scope,
        *,
        made: datetime,
        now: datetime,
    ) -> bool:
        """Whether what was made at `made` may go on under this grant. A pause ends nothing; nor
        does the calendar, until somebody says so; nor does a change of mind where the thing was
        made under this grant, and it was agreed that it stays."""
        terms = grant.who
        started = next(self.until(now, "activated", grant=terms["grant"]), None)
        if started is None or not self.about(terms, word, recording, scope):
            return False
        ended = self.end_of(terms["grant"], now)
        over = self.end_of(terms["grant"], made)
        stays = (
            terms["policy"] == "next_version"
            and started.at <= made
            and over is None
            and in_term(terms, made.date())
        )
        return (
            (ended is None or stays)
            and terms["starts"] <= now.date()
            and not self.opted_out(grant, word[0], recording, made if stays else now)
            and self.stood_for(
                terms["grantor"], word[0], word[1], scope.territory,
                before(ended.at) if ended else now,
            )
        )  # fmt: skip

    def about(
        self, terms: dict[str, Any], word: tuple[int, str, int], recording: int, scope: Scope
    ) -> bool:
        """Whether the grant is of this use, right and music, and reaches the scope."""
        return (
            terms["use"] == scope.use
            and terms["right"] == word[1]
            and terms["recording"] in (None, recording)
            and terms["work"] in (None, word[2])
            and scope.purpose in terms["purposes"]
            and reaches(terms["territories"], scope.territory)
            and terms["family"] in ("", scope.family)
            and (terms["first"] or 1) <= scope.version <= (terms["last"] or 10**9)
            and (not terms["products"] or scope.product in terms["products"])
            and (scope.use != "distribute" or scope.channel in terms["channels"])
            and not terms["condition"]
        )

    def stood_for(self, grantor: int, party: int, right: str, territory: str, at: datetime) -> bool:
        """As `speaks_for`, until the paper was ended by somebody's word: the calendar alone is
        followed by such a word within seconds."""
        return grantor == party or any(
            mandate.who["agent"] == grantor
            and right in mandate.who["rights"]
            and reaches(mandate.who["territories"], territory)
            and any(self.until(at, "mandate approved", mandate=mandate.who["mandate"]))
            and not any(self.until(at, "mandate revoked", mandate=mandate.who["mandate"]))
            for mandate in self.until(at, "mandate", holder=party)
        )

    # --- The answers --------------------------------------------------------------------------

    def allows(
        self, recording: int, scope: Scope, at: datetime, known: datetime | None = None
    ) -> bool:
        """Every word that is needed is given by somebody's grant."""
        known = known or at
        for sound in self.sounds(recording, known):
            words = self.needed(sound, scope.use, known, file=sound == recording)
            if words is None or not all(
                any(
                    self.covers(grant, word, sound, scope, at=at, known=known)
                    for grant in self.until(known, "drafted")
                )
                for word in words
            ):
                return False
        return True

    def claimed(
        self, recording: int, use: str, at: datetime
    ) -> set[tuple[int, tuple[int, str, int]]]:
        """In which recording whose word is needed by the newest sheets, agreed on or not: this one
        and all that it comes from."""
        words = set()
        for sound in self.sounds(recording, at):
            subjects = [("master", sound, 0)]
            subjects += [("composition", work, work) for work in self.works(sound, at)]
            for right, subject, work in subjects:
                if sheet := self.split((right, subject), at):
                    words |= {(sound, (party, right, work)) for party in sheet.who["shares"]}
            if use in OF_A_PERSON:
                words |= {(sound, (who, "persona", 0)) for who in self.asked(sound, use, at)}
        return words

    def asked(self, recording: int, use: str, known: datetime) -> set[int]:
        """The persons of `people`, as far as they are known."""
        roles = ["MainArtist", "FeaturedArtist"]
        roles += ["Vocalist", "Background vocals"] if use == "voice" else []
        return self.persons(self.credited(recording, known, *roles), known)[0]

    def lacking(
        self, recording: int, scope: Scope, *, made: datetime, now: datetime
    ) -> set[tuple[int, tuple[int, str, int]]]:
        """The words that nobody gives, by now, for what was made in this scope."""
        return {
            (sound, word)
            for sound, word in self.claimed(recording, scope.use, now)
            if not any(
                self.carries(grant, word, sound, scope, made=made, now=now)
                for grant in self.until(now, "drafted")
            )
        }

    def in_question(self, recording: int, use: str, now: datetime) -> bool:
        """Whether it cannot be said whose word is needed."""
        return any(
            self.needed(sound, use, now, file=sound == recording) is None
            for sound in self.sounds(recording, now)
        )


@dataclass
class Fate:
    """What has become of one recording in one frozen set: followed from line to line of the log,
    for what was lost once is lost for good."""

    recording: int
    scope: Scope
    made: datetime
    read: int = 0
    # Words that were lacking at some moment, and are still needed.
    lost: set[tuple[int, tuple[int, str, int]]] = field(default_factory=set)
    # Whether ever a word was lacking that anybody claimed.
    whole: bool = True

    def follow(self, log: Log) -> None:
        for line in log.lines[self.read :]:
            if line.at <= self.made:
                continue
            needed = log.claimed(self.recording, self.scope.use, line.at)
            lacking = log.lacking(self.recording, self.scope, made=self.made, now=line.at)
            self.lost = (self.lost & needed) | lacking
            self.whole = self.whole and not lacking
        self.read = len(log.lines)

    def silent(self, log: Log, now: datetime) -> bool:
        """Whether nothing that was made of it may be used or heard: a word was lost, or it is in
        question whose word it is."""
        return bool(self.lost) or log.in_question(self.recording, self.scope.use, now)

    def heard(self, log: Log, now: datetime) -> bool:
        """Whether nobody has any reason to silence it."""
        return self.whole and not self.silent(log, now)


def before(moment: datetime) -> datetime:
    return moment - moment.resolution


def reaches(territories: list[str], asked: str) -> bool:
    return "world" in territories or asked in territories


def in_term(terms: dict[str, Any], day: date) -> bool:
    return terms["starts"] <= day and (terms["ends"] is None or day <= terms["ends"])
