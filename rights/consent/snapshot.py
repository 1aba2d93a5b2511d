"""The snapshot: all rows that an answer on consent rests on, as they were known at one moment.

Plain tuples instead of model objects: a hundred thousand recordings have three hundred thousand
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

from portal.database.bulk import among, in_clause
from rights.consent import persons, relations
from rights.consent.persons import PERSONA_USES
from rights.models import Credit, Grant, Party, RightType, RoleCode, Use, WithdrawalPolicy

# Rows fetched from the database at a time.
FETCHED = 10_000


class Share(NamedTuple):
    sheet: int
    party: int
    ppm: int
    confirmed: bool
    disputed: bool


class Terms(NamedTuple):
    """A grant: what it permits, and the time in which it was in force, as far as was known."""

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
    # What follows when it ends, and which version it replaces: not part of the answer's digest.
    policy: str = WithdrawalPolicy.RECALL
    remedy_days: int = 90
    replaces: int | None = None


# How many fields of Terms an answer rests on.
DIGESTED_FIELDS = Terms._fields.index("policy")


class MandateTerms(NamedTuple):
    """A mandate: the agent's grants also cover the shares of the holder."""

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
    """A credited party whom a use of a person asks; `main` marks a main artist of the recording."""

    party: int
    main: bool


class Group(NamedTuple):
    """A party that is not a person: the members who speak for it, and whether these are all."""

    complete: bool
    members: Sequence[int]


class Music(NamedTuple):
    pk: int
    title: str
    audio: str | None


@dataclass
class Facts:
    """What is known about some recordings for one use. Shares are by recording and by work."""

    use: Use
    known_at: datetime
    # The moment of the use, where it differs from `known_at`.
    at: datetime | None = None
    recordings: list[Music] = field(default_factory=list)
    # The recordings that each derived one comes from, over any number of steps; and those of them
    # that are not asked about themselves.
    sources: dict[int, list[int]] = field(default_factory=dict)
    source_recordings: dict[int, Music] = field(default_factory=dict)
    # The recordings, sources included, with an open question about their sound.
    questioned: set[int] = field(default_factory=set)
    works: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    masters: dict[int, list[Share]] = field(default_factory=lambda: defaultdict(list))
    compositions: dict[int, list[Share]] = field(default_factory=lambda: defaultdict(list))
    # Only for uses of a person. Those of its parties that are not persons are in `groups`.
    artists: dict[int, list[Artist]] = field(default_factory=lambda: defaultdict(list))
    groups: dict[int, Group] = field(default_factory=dict)
    # By grantor, right and subject: ("w", 0) is the whole catalogue.
    grants: dict[tuple[int, str, str, int], list[Terms]] = field(
        default_factory=lambda: defaultdict(list)
    )
    # By a grant's id, the version that replaces it, approved and not ended.
    replaced: dict[int, Terms] = field(default_factory=dict)
    mandates: dict[int, list[MandateTerms]] = field(default_factory=lambda: defaultdict(list))
    # By grant: since and until; None means still suspended.
    suspended: dict[int, list[tuple[datetime, datetime | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    # By party and recording, the moments of its opt-outs, oldest first. Those of party 0 are
    # signals read from the recording itself (signals.py): they count for everybody.
    opted_out: dict[tuple[int, int], list[datetime]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def parties(self) -> set[int]:
        """Return the parties whose permission is needed: holders, artists and members of groups."""
        share_lists = (*self.masters.values(), *self.compositions.values())
        parties = {share.party for shares in share_lists for share in shares}
        parties.update(artist.party for artists in self.artists.values() for artist in artists)
        parties.update(member for group in self.groups.values() for member in group.members)
        return parties

    def canonical(self) -> Iterator[bytes]:
        """Yield the facts as canonical JSON in lines; the same facts give the same bytes."""
        for rows in (
            self.recordings,
            [self.source_recordings[pk] for pk in sorted(self.source_recordings)],
        ):
            yield _json([
                [music.pk, music.audio, self.works.get(music.pk, []),
                 self.masters.get(music.pk, []), self.artists.get(music.pk, [])]
                for music in rows
            ])  # fmt: skip
        yield _json(sorted(self.sources.items()))
        yield _json(sorted(self.questioned))
        yield _json(sorted(self.compositions.items()))
        yield _json(sorted(self.groups.items()))
        grants = (grant[:DIGESTED_FIELDS] for rows in self.grants.values() for grant in rows)
        yield _json(sorted(grants, key=_first))
        yield _json(
            sorted((mandate for rows in self.mandates.values() for mandate in rows), key=_first)
        )
        yield _json(sorted(self.suspended.items()))
        yield _json(sorted((*key, moments) for key, moments in self.opted_out.items()))


def gather(
    ids: Iterable[int], use: Use, known_at: datetime, *, at: datetime | None = None, now: bool
) -> Facts:
    """Return what was known about these recordings at `known_at`, for a use at `at` (default: the
    same moment); `now` says that this is the present, where answers on splits are in their lines.

    It has only what can count at that moment: the digest of a decision rests on these facts, and
    what comes later, or was over before, must not change it."""
    facts = Facts(use, known_at, at or known_at)
    requested = set(ids)
    facts.sources = relations.sources_of(requested, known_at=known_at)
    recording_ids = sorted(requested.union(*facts.sources.values()))
    _recordings(facts, recording_ids, requested)
    _questions(facts, recording_ids)
    works = {work for linked in facts.works.values() for work in linked}
    _shares(facts, recording_ids, sorted(works), None if now else known_at)
    if use in PERSONA_USES:
        _artists(facts, recording_ids)
        _groups(facts)
    parties = facts.parties()
    _mandates(facts, sorted(parties))
    agents = {mandate.agent for mandates in facts.mandates.values() for mandate in mandates}
    statuses = _grants(facts, sorted(agents | parties), recording_ids)
    _opt_outs(facts, recording_ids)
    if not now or Grant.Status.SUSPENDED in statuses.values():
        _suspensions(facts, statuses)
    return facts


# The SQL is written out: for one recording the ORM takes ten times as long to build a statement as
# the database takes to answer it, and for many recordings its conversion of rows is slow. What can
# be asked at once is one statement: for one recording, round trips to the server are most of the
# time. Times are fetched as text, which is parsed faster here than by the driver.


def _rows(sql: str, *params: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement. `params` are in its order; a list is for the next `{ids}`."""
    bound: list[Any] = []
    for param in params:
        if isinstance(param, list):
            condition, values = in_clause(param)
            sql = sql.replace("{ids}", condition, 1)
            bound += values
        elif isinstance(param, datetime):
            bound.append(connection.ops.adapt_datetimefield_value(param))
        else:
            bound.append(param)
    with connection.cursor() as cursor:
        cursor.execute(sql, bound)
        while rows := cursor.fetchmany(FETCHED):
            yield from rows


def _recordings(facts: Facts, ids: list[int], requested: set[int]) -> None:
    known_at = facts.known_at
    sql = """
        SELECT recording.id, title, audio_id, CAST(audio_at AS text), link.work_id
        FROM rights_recording recording LEFT JOIN rights_recordingwork link
          ON link.recording_id = recording.id AND link.created_at <= %s
        WHERE recording.id {ids} AND recording.created_at <= %s
        ORDER BY recording.id, link.work_id"""
    last_pk = None
    for pk, title, audio, audio_at, work in _rows(sql, known_at, ids, known_at):
        if pk != last_pk:
            has_audio = audio_at is not None and _moment(audio_at) <= known_at
            music = Music(pk, title, audio if has_audio else None)
            if pk in requested:
                facts.recordings.append(music)
            else:
                facts.source_recordings[pk] = music
            last_pk = pk
        if work is not None:
            facts.works[pk].append(work)


def _questions(facts: Facts, ids: list[int]) -> None:
    """Add the recordings with a question about their sound that nobody had answered yet."""
    known_at = facts.known_at
    sql = """
        SELECT DISTINCT recording_id FROM rights_soundquestion
        WHERE recording_id {ids} AND created_at <= %s
          AND (answered_at IS NULL OR answered_at > %s)"""
    facts.questioned = {pk for (pk,) in _rows(sql, ids, known_at, known_at)}


def _shares(facts: Facts, ids: list[int], works: list[int], known_at: datetime | None) -> None:
    """Add the lines of the sheets in force, now (None) or as known at a moment: of the recordings'
    masters and of the works' compositions."""
    sql = """
        SELECT sheet.recording_id, sheet.work_id, line.sheet_id, line.party_id, line.ppm,
               line.confirmed_at IS NOT NULL, line.disputed_at IS NOT NULL, line.id
        FROM rights_splitline line JOIN rights_splitsheet sheet ON sheet.id = line.sheet_id
        WHERE sheet.{subject} {ids} AND {then}"""
    then = "sheet.superseded_at IS NULL"
    moments: list[datetime] = []
    if known_at is not None:
        then = "sheet.created_at <= %s AND (superseded_at IS NULL OR superseded_at > %s)"
        moments = [known_at, known_at]
    sql = sql.replace("{then}", then)
    union_sql = " UNION ALL ".join(
        sql.replace("{subject}", subject) for subject in ("recording_id", "work_id")
    )
    rows: Iterable[tuple[Any, ...]] = _rows(
        union_sql + " ORDER BY 8", ids, *moments, works, *moments
    )  # fmt: skip
    if known_at is not None:
        rows = _as_answered(list(rows), known_at)
    for recording, work, sheet, party, ppm, confirmed, disputed, _ in rows:
        share = Share(sheet, party, ppm, bool(confirmed), bool(disputed))
        if work is None:
            facts.masters[recording].append(share)
        else:
            facts.compositions[work].append(share)


def _as_answered(rows: Sequence[tuple[Any, ...]], known_at: datetime) -> Iterator[tuple[Any, ...]]:
    """Yield the lines with the answers given by then: the last of several counts."""
    sql = """
        SELECT line_id, confirmed FROM rights_splitanswer
        WHERE line_id {ids} AND at <= %s ORDER BY at, id"""
    answers = {
        line: bool(confirmed) for line, confirmed in _rows(sql, [row[7] for row in rows], known_at)
    }
    for *row, _, _, line in rows:
        answer = answers.get(line)
        yield (*row, answer is True, answer is False, line)


def _artists(facts: Facts, ids: list[int]) -> None:
    """Add the artists who are asked, by the one table of it (persons.py), once each."""
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
    """Add those artists that were not persons, as known then, with their members."""
    credited = {artist.party for artists in facts.artists.values() for artist in artists}
    kinds_sql = """
        SELECT party.id, CASE WHEN members_complete_at <= %s THEN 1 ELSE 0 END,
          COALESCE((
            SELECT was FROM rights_kindchange later
            WHERE later.party_id = party.id AND later.at > %s ORDER BY later.at, later.id LIMIT 1
          ), kind)
        FROM rights_party party WHERE party.id {ids} ORDER BY party.id"""
    members_sql = """
        SELECT group_id, member_id FROM rights_groupmember
        WHERE group_id {ids} AND created_at <= %s ORDER BY group_id, member_id"""
    known_at, person = facts.known_at, Party.Kind.PERSON
    rows = list(_rows(kinds_sql, known_at, known_at, sorted(credited)))
    complete = {pk: bool(is_complete) for pk, is_complete, kind in rows if kind != person}
    members_of: dict[int, list[int]] = {pk: [] for pk in complete}
    for group, member in _rows(members_sql, sorted(complete), known_at):
        members_of[group].append(member)
    facts.groups = {pk: Group(complete[pk], members_of[pk]) for pk in sorted(complete)}


def _mandates(facts: Facts, parties: list[int]) -> None:
    sql = """
        SELECT id, holder_id, agent_id, CAST(right_types AS text), CAST(territories AS text),
               CAST(starts_on AS text), CAST(ends_on AS text), CAST(approved_at AS text),
               CAST(revoked_at AS text)
        FROM rights_mandate WHERE holder_id {ids} AND approved_at <= %s ORDER BY id"""
    known_at = facts.known_at
    for row in _rows(sql, parties, known_at):
        starts, ends, approved, revoked = map(_time, row[5:])
        ended = revoked if revoked and revoked <= known_at else None
        lists = map(_list, row[3:5])
        facts.mandates[row[1]].append(
            MandateTerms._make((*row[:3], *lists, starts, ends, approved, ended))
        )


def _grants(facts: Facts, grantors: list[int], recordings: list[int]) -> dict[int, str]:
    """Add these parties' grants for catalogues and works, and everybody's for these recordings;
    return the status of each as it is today, by its id."""
    known_at = facts.known_at
    sql = """
        SELECT id, grantor_id, right_type, recording_id, work_id, CAST(purposes AS text),
               CAST(territories AS text), CAST(products AS text), CAST(channels AS text),
               model_family, first_version, last_version, condition, CAST(starts_on AS text),
               CAST(ends_on AS text), CAST(activated_at AS text), CAST(ended_at AS text), status,
               withdrawal_policy, remedy_days, replaces_id
        FROM rights_grant WHERE {which} {ids} AND created_at <= %s AND use = %s"""
    union_sql = " UNION ALL ".join(
        sql.replace("{which}", which)
        for which in ("recording_id IS NULL AND grantor_id", "recording_id")
    )
    conditions = known_at, facts.use.value
    statuses: dict[int, str] = {}
    for row in _rows(union_sql + " ORDER BY 1", grantors, *conditions, recordings, *conditions):
        pk, grantor, right, recording, work = row[:5]
        starts, ends, activated, ended = map(_time, row[13:17])
        over = ended is not None and ended <= known_at
        times = (
            starts,
            ends,
            activated if activated and activated <= known_at else None,
            ended if over else None,
            over and row[17] == Grant.Status.EXPIRED,
        )
        terms = Terms._make((*row[:5], *map(_list, row[5:9]), *row[9:13], *times, *row[18:]))
        subject = ("r", recording) if recording else ("w", work or 0)
        facts.grants[grantor, right, *subject].append(terms)
        if terms.replaces and terms.activated_at and not terms.ended_at:
            facts.replaced[terms.replaces] = terms
        statuses[pk] = row[17]
    return statuses


def _opt_outs(facts: Facts, ids: list[int]) -> None:
    sql = """
        SELECT party_id, recording_id, CAST(at AS text), NULL FROM rights_optout
        WHERE recording_id {ids} AND at <= %s AND use = %s
        UNION ALL
        SELECT 0, recording_id, CAST(seen_at AS text), CAST(denied AS text) FROM rights_signal
        WHERE recording_id {ids} AND seen_at <= %s AND denies ORDER BY 3"""
    known_at, use = facts.known_at, facts.use.value
    for party, recording, at, denied in _rows(sql, ids, known_at, use, ids, known_at):
        if denied is None or use in _list(denied):
            facts.opted_out[party, recording].append(_moment(at))


def _suspensions(facts: Facts, grants: Mapping[int, str]) -> None:
    """Add the suspensions that had begun at the moment of the use and were not known to be over.

    In the present only a suspended grant has one; so a grant that was suspended before a decision,
    or is suspended later, leaves that decision's facts as they were."""
    sql = """
        SELECT grant_id, CAST(since AS text), CAST(until AS text) FROM rights_grantsuspension
        WHERE grant_id {ids} AND since <= %s ORDER BY grant_id, since"""
    at = facts.at or facts.known_at
    for grant, since, until in _rows(sql, list(grants), min(at, facts.known_at)):
        ended = _moment(until) if until else None
        known_end = ended if ended and ended <= facts.known_at else None
        if known_end is None or known_end > at:
            facts.suspended[grant].append((_moment(since), known_end))


@lru_cache(maxsize=4096)
def _list(text: str) -> tuple[str, ...]:
    """Parse a JSON list; one that thousands of grants share is parsed once."""
    return tuple(json.loads(text))


def _time(text: str | None) -> Any:
    """Parse a day or a moment, whichever the text is."""
    if text is None:
        return None
    return _moment(text) if len(text) > len("2026-01-01") else _day(text)


@lru_cache(maxsize=4096)
def _day(text: str) -> date:
    return date.fromisoformat(text)


@lru_cache(maxsize=4096)
def _moment(text: str) -> datetime:
    """Parse a moment; SQLite's have no time zone and are UTC."""
    value = datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=UTC)


def candidate_grants(
    facts: Facts, party: int, right: RightType, recording: int, work: int | None
) -> Iterator[Terms]:
    """Yield the party's grants that could cover this right in this recording, nearest first."""
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
