"""The snapshot: all rows that an answer on consent rests on, as they were known at one moment.

Plain tuples instead of model objects: a hundred thousand recordings are three hundred thousand
shares. The number of queries is the same for one recording and for all.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection

from portal.database.bulk import among, one_of
from rights.consent import persons, relations
from rights.consent.persons import PERSONA_USES
from rights.models import Credit, Grant, Party, RightType, RoleCode, Use, WithdrawalPolicy

# Rows from the database at a time.
FETCHED = 10_000


class Share(NamedTuple):
    sheet: int
    party: int
    ppm: int
    confirmed: bool
    disputed: bool


class Terms(NamedTuple):
    """A grant: what it permits, and from when to when it was in force as far as was known."""

    pk: int
    grantor: int
    right: str
    recording: int | None
    work: int | None
    purposes: Sequence[str]
    territories: Sequence[str]
    products: Sequence[str]
    channels: Sequence[str]
    family: str
    first_version: int | None
    last_version: int | None
    condition: str
    starts_on: date
    ends_on: date | None
    activated_at: datetime | None
    ended_at: datetime | None
    expired: bool
    # What follows from its end, and which version it replaces: no part of the answer's digest.
    policy: str = WithdrawalPolicy.RECALL
    remedy_days: int = 90
    replaces: int | None = None


# How many of the terms an answer rests on.
JUDGED = Terms._fields.index("policy")


class Sign(NamedTuple):
    """A mandate: whose shares the agent's grants cover too."""

    pk: int
    holder: int
    agent: int
    rights: Sequence[str]
    territories: Sequence[str]
    starts_on: date
    ends_on: date | None
    approved_at: datetime
    revoked_at: datetime | None


class Artist(NamedTuple):
    """Who is credited so that a use of a person asks them; `main` is who the recording is by."""

    party: int
    main: bool


class Group(NamedTuple):
    """A party that is no person: who speaks for it, and whether these are all."""

    complete: bool
    members: Sequence[int]


class Music(NamedTuple):
    pk: int
    title: str
    audio: str | None


@dataclass
class Facts:
    """What is known of some recordings for one use. Shares are by recording and by work."""

    use: Use
    known_at: datetime
    # The moment of the use, where it is another one.
    at: datetime | None = None
    recordings: list[Music] = field(default_factory=list)
    # Of those that come from other recordings: which, over any number of steps; and these, as far
    # as they are not asked about themselves.
    sources: dict[int, list[int]] = field(default_factory=dict)
    others: dict[int, Music] = field(default_factory=dict)
    # Those among all of them whose sound is in question.
    questioned: set[int] = field(default_factory=set)
    works: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    masters: dict[int, list[Share]] = field(default_factory=lambda: defaultdict(list))
    compositions: dict[int, list[Share]] = field(default_factory=lambda: defaultdict(list))
    # Asked for uses of a person only. Of the parties in it those that are no persons are in
    # `groups`.
    artists: dict[int, list[Artist]] = field(default_factory=lambda: defaultdict(list))
    groups: dict[int, Group] = field(default_factory=dict)
    # By grantor, right and subject: ("", 0) is the whole catalogue.
    grants: dict[tuple[int, str, str, int], list[Terms]] = field(
        default_factory=lambda: defaultdict(list)
    )
    # By a grant's number the version that takes its place, approved and not ended.
    replaced: dict[int, Terms] = field(default_factory=dict)
    signs: dict[int, list[Sign]] = field(default_factory=lambda: defaultdict(list))
    # From when to when; None is still.
    suspended: dict[int, list[tuple[datetime, datetime | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    # By party and recording, the moments of its noes, oldest first. Those of party 0 are what the
    # recording itself was read to say (signals.py): everybody's.
    opted_out: dict[tuple[int, int], list[datetime]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def parties(self) -> set[int]:
        """Whose word is needed, and who signs for them."""
        shares = (*self.masters.values(), *self.compositions.values())
        found = {share.party for shared in shares for share in shared}
        found.update(artist.party for artists in self.artists.values() for artist in artists)
        found.update(member for group in self.groups.values() for member in group.members)
        return found

    def canonical(self) -> Iterator[bytes]:
        """The facts as canonical JSON in lines; the same facts are the same bytes."""
        for some in (self.recordings, [self.others[pk] for pk in sorted(self.others)]):
            yield _json([
                [music.pk, music.audio, self.works.get(music.pk, []),
                 self.masters.get(music.pk, []), self.artists.get(music.pk, [])]
                for music in some
            ])  # fmt: skip
        yield _json(sorted(self.sources.items()))
        yield _json(sorted(self.questioned))
        yield _json(sorted(self.compositions.items()))
        yield _json(sorted(self.groups.items()))
        grants = (grant[:JUDGED] for some in self.grants.values() for grant in some)
        yield _json(sorted(grants, key=_first))
        yield _json(
            sorted((mandate for some in self.signs.values() for mandate in some), key=_first)
        )
        yield _json(sorted(self.suspended.items()))
        yield _json(sorted((*key, moments) for key, moments in self.opted_out.items()))


def gather(
    ids: Iterable[int], use: Use, known_at: datetime, *, at: datetime | None = None, now: bool
) -> Facts:
    """What was known of these recordings at `known_at` of a use at `at` (left out: the same
    moment); `now` says that this is the present, where the answers on splits stand in their lines.

    Only what can count at that moment is in it: the digest of a decision rests on these facts, and
    what comes later, or was over before, must not change it."""
    facts = Facts(use, known_at, at or known_at)
    asked = set(ids)
    facts.sources = relations.sources_of(asked, known_at=known_at)
    wanted = sorted(asked.union(*facts.sources.values()))
    _recordings(facts, wanted, asked)
    _questions(facts, wanted)
    works = {work for found in facts.works.values() for work in found}
    _shares(facts, wanted, sorted(works), None if now else known_at)
    if use in PERSONA_USES:
        _artists(facts, wanted)
        _groups(facts)
    parties = facts.parties()
    _mandates(facts, sorted(parties))
    agents = {sign.agent for signs in facts.signs.values() for sign in signs}
    known = _grants(facts, sorted(agents | parties), wanted)
    _opt_outs(facts, wanted)
    if not now or Grant.Status.SUSPENDED in known.values():
        _suspensions(facts, known)
    return facts


# The statements are written out: the ORM takes ten times as long to make them as the database
# takes to answer for one recording, and for many it is its conversion of rows that is slow. What
# can be asked at once is asked in one statement: for one recording the ways to the server and back
# are most of the time. Times come as texts, which are read faster than the driver reads them.


def _rows(sql: str, *params: Any) -> Iterator[tuple[Any, ...]]:
    """Rows of a statement. `params` stand in its order; a list is for the next `{ids}`."""
    given: list[Any] = []
    for param in params:
        if isinstance(param, list):
            among, values = one_of(param)
            sql = sql.replace("{ids}", among, 1)
            given += values
        elif isinstance(param, datetime):
            given.append(connection.ops.adapt_datetimefield_value(param))
        else:
            given.append(param)
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        while rows := cursor.fetchmany(FETCHED):
            yield from rows


def _recordings(facts: Facts, ids: list[int], asked: set[int]) -> None:
    known = facts.known_at
    recordings = """
        SELECT recording.id, title, audio_id, CAST(audio_at AS text), link.work_id
        FROM rights_recording recording LEFT JOIN rights_recordingwork link
          ON link.recording_id = recording.id AND link.created_at <= %s
        WHERE recording.id {ids} AND recording.created_at <= %s
        ORDER BY recording.id, link.work_id"""
    last = None
    for pk, title, audio, audio_at, work in _rows(recordings, known, ids, known):
        if pk != last:
            here = audio_at is not None and _moment(audio_at) <= known
            music = Music(pk, title, audio if here else None)
            if pk in asked:
                facts.recordings.append(music)
            else:
                facts.others[pk] = music
            last = pk
        if work is not None:
            facts.works[pk].append(work)


def _questions(facts: Facts, ids: list[int]) -> None:
    """Those of which nobody had said yet whether they are what they sound like."""
    known = facts.known_at
    questions = """
        SELECT DISTINCT recording_id FROM rights_soundquestion
        WHERE recording_id {ids} AND created_at <= %s
          AND (answered_at IS NULL OR answered_at > %s)"""
    facts.questioned = {pk for (pk,) in _rows(questions, ids, known, known)}


def _shares(facts: Facts, ids: list[int], works: list[int], known_at: datetime | None) -> None:
    """Lines of the sheets in force, now (None) or as was known at a moment: of the recordings'
    masters and of the works' compositions."""
    lines = """
        SELECT sheet.recording_id, sheet.work_id, line.sheet_id, line.party_id, line.ppm,
               line.confirmed_at IS NOT NULL, line.disputed_at IS NOT NULL, line.id
        FROM rights_splitline line JOIN rights_splitsheet sheet ON sheet.id = line.sheet_id
        WHERE sheet.{subject} {ids} AND {then}"""
    then = "sheet.superseded_at IS NULL"
    moments: list[datetime] = []
    if known_at is not None:
        then = "sheet.created_at <= %s AND (superseded_at IS NULL OR superseded_at > %s)"
        moments = [known_at, known_at]
    lines = lines.replace("{then}", then)
    both = " UNION ALL ".join(
        lines.replace("{subject}", subject) for subject in ("recording_id", "work_id")
    )
    told: Iterable[tuple[Any, ...]] = _rows(
        both + " ORDER BY 8", ids, *moments, works, *moments
    )  # fmt: skip
    if known_at is not None:
        told = _as_answered(list(told), known_at)
    for recording, work, sheet, party, ppm, yes, no, _ in told:
        share = Share(sheet, party, ppm, bool(yes), bool(no))
        if work is None:
            facts.masters[recording].append(share)
        else:
            facts.compositions[work].append(share)


def _as_answered(told: Sequence[tuple[Any, ...]], known_at: datetime) -> Iterator[tuple[Any, ...]]:
    """The lines with the answers that had come by then: of several the last one counts."""
    said = """
        SELECT line_id, confirmed FROM rights_splitanswer
        WHERE line_id {ids} AND at <= %s ORDER BY at, id"""
    answers = {line: bool(yes) for line, yes in _rows(said, [row[7] for row in told], known_at)}
    for *row, _, _, line in told:
        answer = answers.get(line)
        yield (*row, answer is True, answer is False, line)


def _artists(facts: Facts, ids: list[int]) -> None:
    """Who is asked, by the one table of it (persons.py), once each."""
    rows = Credit.objects.filter(
        persons.asked_for(facts.use), recording__in=among(ids), created_at__lte=facts.known_at
    ).order_by("recording_id", "party_id")
    credited: dict[tuple[int, int], bool] = {}
    for recording, party, role in rows.values_list("recording_id", "party_id", "role"):
        main = role == RoleCode.MAIN_ARTIST
        credited[recording or 0, party] = main or credited.get((recording or 0, party), False)
    for (recording, party), main in credited.items():
        facts.artists[recording].append(Artist(party, main))


def _groups(facts: Facts) -> None:
    """Those of the artists that were no persons, as was known then, and their members."""
    credited = {artist.party for artists in facts.artists.values() for artist in artists}
    kinds = """
        SELECT party.id, CASE WHEN members_complete_at <= %s THEN 1 ELSE 0 END,
          COALESCE((
            SELECT was FROM rights_kindchange later
            WHERE later.party_id = party.id AND later.at > %s ORDER BY later.at, later.id LIMIT 1
          ), kind)
        FROM rights_party party WHERE party.id {ids} ORDER BY party.id"""
    members = """
        SELECT group_id, member_id FROM rights_groupmember
        WHERE group_id {ids} AND created_at <= %s ORDER BY group_id, member_id"""
    known, person = facts.known_at, Party.Kind.PERSON
    told = list(_rows(kinds, known, known, sorted(credited)))
    complete = {pk: bool(whole) for pk, whole, kind in told if kind != person}
    belonging: dict[int, list[int]] = {pk: [] for pk in complete}
    for group, member in _rows(members, sorted(complete), known):
        belonging[group].append(member)
    facts.groups = {pk: Group(complete[pk], belonging[pk]) for pk in sorted(complete)}


def _mandates(facts: Facts, parties: list[int]) -> None:
    mandates = """
        SELECT id, holder_id, agent_id, CAST(right_types AS text), CAST(territories AS text),
               CAST(starts_on AS text), CAST(ends_on AS text), CAST(approved_at AS text),
               CAST(revoked_at AS text)
        FROM rights_mandate WHERE holder_id {ids} AND approved_at <= %s ORDER BY id"""
    known = facts.known_at
    for row in _rows(mandates, parties, known):
        starts, ends, approved, revoked = map(_time, row[5:])
        ended = revoked if revoked and revoked <= known else None
        lists = map(_list, row[3:5])
        facts.signs[row[1]].append(Sign._make((*row[:3], *lists, starts, ends, approved, ended)))


def _grants(facts: Facts, grantors: list[int], recordings: list[int]) -> dict[int, str]:
    """The grants of these parties for catalogues and works, and everybody's for these recordings;
    the status of each as it is today, by its number."""
    known = facts.known_at
    grants = """
        SELECT id, grantor_id, right_type, recording_id, work_id, CAST(purposes AS text),
               CAST(territories AS text), CAST(products AS text), CAST(channels AS text),
               model_family, first_version, last_version, condition, CAST(starts_on AS text),
               CAST(ends_on AS text), CAST(activated_at AS text), CAST(ended_at AS text), status,
               withdrawal_policy, remedy_days, replaces_id
        FROM rights_grant WHERE {which} {ids} AND created_at <= %s AND use = %s"""
    both = " UNION ALL ".join(
        grants.replace("{which}", which)
        for which in ("recording_id IS NULL AND grantor_id", "recording_id")
    )
    asked = known, facts.use.value
    statuses: dict[int, str] = {}
    for row in _rows(both + " ORDER BY 1", grantors, *asked, recordings, *asked):
        pk, grantor, right, recording, work = row[:5]
        starts, ends, activated, ended = map(_time, row[13:17])
        over = ended is not None and ended <= known
        times = (
            starts,
            ends,
            activated if activated and activated <= known else None,
            ended if over else None,
            over and row[17] == Grant.Status.EXPIRED,
        )
        terms = Terms._make((*row[:5], *map(_list, row[5:9]), *row[9:13], *times, *row[18:]))
        about = ("r", recording) if recording else ("w", work or 0)
        facts.grants[grantor, right, *about].append(terms)
        if terms.replaces and terms.activated_at and not terms.ended_at:
            facts.replaced[terms.replaces] = terms
        statuses[pk] = row[17]
    return statuses


def _opt_outs(facts: Facts, ids: list[int]) -> None:
    opt_outs = """
        SELECT party_id, recording_id, CAST(at AS text), NULL FROM rights_optout
        WHERE recording_id {ids} AND at <= %s AND use = %s
        UNION ALL
        SELECT 0, recording_id, CAST(seen_at AS text), CAST(denied AS text) FROM rights_signal
        WHERE recording_id {ids} AND seen_at <= %s AND denies ORDER BY 3"""
    known, use = facts.known_at, facts.use.value
    for party, recording, at, denied in _rows(opt_outs, ids, known, use, ids, known):
        if denied is None or use in _list(denied):
            facts.opted_out[party, recording].append(_moment(at))


def _suspensions(facts: Facts, grants: Mapping[int, str]) -> None:
    """The pauses that had begun at the moment of the use and were not over, as far as was known.

    In the present only a grant that is suspended has one; so a grant that was paused before a
    decision, or is later, leaves that decision's facts as they were."""
    suspensions = """
        SELECT grant_id, CAST(since AS text), CAST(until AS text) FROM rights_grantsuspension
        WHERE grant_id {ids} AND since <= %s ORDER BY grant_id, since"""
    at = facts.at or facts.known_at
    for grant, since, until in _rows(suspensions, list(grants), min(at, facts.known_at)):
        over = _moment(until) if until else None
        known = over if over and over <= facts.known_at else None
        if known is None or known > at:
            facts.suspended[grant].append((_moment(since), known))


@lru_cache(maxsize=4096)
def _list(text: str) -> tuple[str, ...]:
    """A list that thousands of grants share is read once, not once for each."""
    return tuple(json.loads(text))


def _time(text: str | None) -> Any:
    """A day or a moment, as the text is one or the other."""
    if text is None:
        return None
    return _moment(text) if len(text) > len("2026-01-01") else _day(text)


@lru_cache(maxsize=4096)
def _day(text: str) -> date:
    return date.fromisoformat(text)


@lru_cache(maxsize=4096)
def _moment(text: str) -> datetime:
    """SQLite's have no zone and are UTC."""
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def speaking(
    facts: Facts, party: int, right: RightType, recording: int, work: int | None
) -> Iterator[Terms]:
    """The party's grants that could speak for this right in this recording, nearest first."""
    yield from facts.grants.get((party, right, "r", recording), ())
    if work is not None:
        yield from facts.grants.get((party, right, "w", work), ())
    yield from facts.grants.get((party, right, "w", 0), ())


def _first(row: Sequence[Any]) -> Any:
    return row[0]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), default=_text, ensure_ascii=False).encode()


def _text(value: object) -> str:
    assert isinstance(value, date | Mapping)  # noqa: S101 - dates and times are all there is
    return value.isoformat() if isinstance(value, date) else str(value)
