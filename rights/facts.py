"""All rows that an answer on consent rests on, as they were known at one moment.

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

from portal.bulk import numbers
from rights.models import Grant, RightType, RoleCode, Use

PERSONA_USES = frozenset({Use.VOICE, Use.LIKENESS_NAME, Use.STYLE_NAMED})
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


class Music(NamedTuple):
    pk: int
    title: str
    audio: str | None


@dataclass
class Facts:
    """What is known of some recordings for one use. Shares are by recording and by work."""

    use: Use
    known_at: datetime
    recordings: list[Music] = field(default_factory=list)
    works: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    masters: dict[int, list[Share]] = field(default_factory=lambda: defaultdict(list))
    compositions: dict[int, list[Share]] = field(default_factory=lambda: defaultdict(list))
    artists: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    # By grantor, right and subject: ("", 0) is the whole catalogue.
    grants: dict[tuple[int, str, str, int], list[Terms]] = field(
        default_factory=lambda: defaultdict(list)
    )
    signs: dict[int, list[Sign]] = field(default_factory=lambda: defaultdict(list))
    # From when to when; None is still.
    suspended: dict[int, list[tuple[datetime, datetime | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    # By party and recording, the moments of its noes, oldest first.
    opted_out: dict[tuple[int, int], list[datetime]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def parties(self) -> set[int]:
        """Whose word is needed, and who signs for them."""
        shares = (*self.masters.values(), *self.compositions.values())
        found = {share.party for shared in shares for share in shared}
        found.update(party for parties in self.artists.values() for party in parties)
        return found

    def canonical(self) -> Iterator[bytes]:
        """The facts as canonical JSON in lines; the same facts are the same bytes."""
        yield _json([
            [music.pk, music.audio, self.works.get(music.pk, []), self.masters.get(music.pk, []),
             self.artists.get(music.pk, [])]
            for music in self.recordings
        ])  # fmt: skip
        yield _json(sorted(self.compositions.items()))
        yield _json(sorted((one for some in self.grants.values() for one in some), key=_first))
        yield _json(sorted((one for some in self.signs.values() for one in some), key=_first))
        yield _json(sorted(self.suspended.items()))
        yield _json(sorted((*key, moments) for key, moments in self.opted_out.items()))


def gather(ids: Iterable[int], use: Use, known_at: datetime, *, now: bool) -> Facts:
    """What was known of these recordings at `known_at`; `now` says that this is the present,
    where the answers on splits stand in their lines."""
    facts = Facts(use, known_at)
    wanted = sorted(set(ids))
    _recordings(facts, wanted)
    works = {work for found in facts.works.values() for work in found}
    _shares(facts.masters, "recording_id", wanted, None if now else known_at)
    _shares(facts.compositions, "work_id", sorted(works), None if now else known_at)
    if use in PERSONA_USES:
        _artists(facts, wanted)
    parties = facts.parties()
    _mandates(facts, sorted(parties))
    agents = {sign.agent for signs in facts.signs.values() for sign in signs}
    known = _grants(facts, "recording_id IS NULL AND grantor_id", sorted(agents | parties))
    known |= _grants(facts, "recording_id", wanted)
    _opt_outs(facts, wanted)
    if not now or Grant.Status.SUSPENDED in known.values():
        _suspensions(facts, known)
    return facts


# The statements are written out: the ORM takes ten times as long to make them as the database
# takes to answer for one recording, and for many it is its conversion of rows that is slow.


def _rows(sql: str, ids: Sequence[int], *params: Any) -> Iterator[tuple[Any, ...]]:
    """Rows of a statement with `{ids}` in it, which comes before its other parameters."""
    among, first = numbers(ids)
    adapted = [
        connection.ops.adapt_datetimefield_value(one) if isinstance(one, datetime) else one
        for one in params
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql.replace("{ids}", among), [*first, *adapted])
        while rows := cursor.fetchmany(FETCHED):
            yield from rows


def _recordings(facts: Facts, ids: Sequence[int]) -> None:
    known = facts.known_at
    recordings = """
        SELECT id, title, audio_id, audio_at FROM rights_recording
        WHERE id IN ({ids}) AND created_at <= %s ORDER BY id"""
    for pk, title, audio, audio_at in _rows(recordings, ids, known):
        here = audio_at is not None and _moment(audio_at) <= known
        facts.recordings.append(Music(pk, title, audio if here else None))
    links = """
        SELECT recording_id, work_id FROM rights_recordingwork
        WHERE recording_id IN ({ids}) AND created_at <= %s ORDER BY work_id"""
    for recording, work in _rows(links, ids, known):
        facts.works[recording].append(work)


def _shares(
    found: dict[int, list[Share]], subject: str, ids: Sequence[int], known_at: datetime | None
) -> None:
    """Lines of the sheets in force, now (None) or as was known at a moment."""
    lines = f"""
        SELECT sheet.{subject}, line.sheet_id, line.party_id, line.ppm,
               line.confirmed_at IS NOT NULL, line.disputed_at IS NOT NULL, line.id
        FROM rights_splitline line JOIN rights_splitsheet sheet ON sheet.id = line.sheet_id
        WHERE sheet.{subject} IN ({{ids}}) AND """  # noqa: S608 - one of two columns.
    if known_at is None:
        rows = _rows(lines + "sheet.superseded_at IS NULL ORDER BY line.id", ids)
        for about, sheet, party, ppm, yes, no, _ in rows:
            found[about].append(Share(sheet, party, ppm, bool(yes), bool(no)))
        return
    then = """sheet.created_at <= %s
        AND (sheet.superseded_at IS NULL OR sheet.superseded_at > %s) ORDER BY line.id"""
    told = list(_rows(lines + then, ids, known_at, known_at))
    said = """
        SELECT line_id, confirmed FROM rights_splitanswer
        WHERE line_id IN ({ids}) AND at <= %s ORDER BY at, id"""
    # Of several answers the last one counts.
    answers = {line: bool(yes) for line, yes in _rows(said, [row[6] for row in told], known_at)}
    for about, sheet, party, ppm, _, _, line in told:
        answer = answers.get(line)
        found[about].append(Share(sheet, party, ppm, answer is True, answer is False))


def _artists(facts: Facts, ids: Sequence[int]) -> None:
    main_artists = """
        SELECT DISTINCT recording_id, party_id FROM rights_credit
        WHERE recording_id IN ({ids}) AND created_at <= %s AND role = %s
        ORDER BY recording_id, party_id"""
    for recording, party in _rows(main_artists, ids, facts.known_at, RoleCode.MAIN_ARTIST.value):
        facts.artists[recording].append(party)


def _mandates(facts: Facts, parties: Sequence[int]) -> None:
    mandates = """
        SELECT id, holder_id, agent_id, CAST(right_types AS text), CAST(territories AS text),
               starts_on, ends_on, approved_at, revoked_at
        FROM rights_mandate WHERE holder_id IN ({ids}) AND approved_at <= %s ORDER BY id"""
    known = facts.known_at
    for pk, holder, agent, rights, places, *days, approved, revoked in _rows(
        mandates, parties, known
    ):
        ended = _moment(revoked) if revoked else None
        terms = (pk, holder, agent, _list(rights), _list(places), *days, _moment(approved))
        facts.signs[holder].append(
            Sign._make((*terms, ended if ended and ended <= known else None))
        )


def _grants(facts: Facts, which: str, ids: Sequence[int]) -> dict[int, str]:
    """Grants whose `which` is among these; the status of each as it is today, by its number."""
    known = facts.known_at
    grants = f"""
        SELECT id, grantor_id, right_type, recording_id, work_id, CAST(purposes AS text),
               CAST(territories AS text), CAST(products AS text), CAST(channels AS text),
               model_family, first_version, last_version, condition, starts_on, ends_on,
               activated_at, ended_at, status
        FROM rights_grant WHERE {which} IN ({{ids}}) AND created_at <= %s AND use = %s
        ORDER BY id"""  # noqa: S608 - written above.
    statuses: dict[int, str] = {}
    for row in _rows(grants, ids, known, facts.use.value):
        pk, grantor, right, recording, work = row[:5]
        activated, ended = (_moment(one) if one else None for one in row[15:17])
        over = ended is not None and ended <= known
        times = (
            activated if activated and activated <= known else None,
            ended if over else None,
            over and row[17] == Grant.Status.EXPIRED,
        )
        terms = Terms._make((*row[:5], *map(_list, row[5:9]), *row[9:15], *times))
        about = ("r", recording) if recording else ("w", work or 0)
        facts.grants[grantor, right, *about].append(terms)
        statuses[pk] = row[17]
    return statuses


def _opt_outs(facts: Facts, ids: Sequence[int]) -> None:
    opt_outs = """
        SELECT party_id, recording_id, at FROM rights_optout
        WHERE recording_id IN ({ids}) AND at <= %s AND use = %s ORDER BY at"""
    for party, recording, at in _rows(opt_outs, ids, facts.known_at, facts.use.value):
        facts.opted_out[party, recording].append(_moment(at))


def _suspensions(facts: Facts, grants: Mapping[int, str]) -> None:
    suspensions = """
        SELECT grant_id, since, until FROM rights_grantsuspension
        WHERE grant_id IN ({ids}) AND since <= %s ORDER BY since"""
    for grant, since, until in _rows(suspensions, list(grants), facts.known_at):
        over = _moment(until) if until else None
        known = over if over and over <= facts.known_at else None
        facts.suspended[grant].append((_moment(since), known))


@lru_cache(maxsize=4096)
def _list(text: str) -> tuple[str, ...]:
    """A list that thousands of grants share is read once, not once for each."""
    return tuple(json.loads(text))


def _moment(value: datetime) -> datetime:
    """SQLite's have no zone and are UTC."""
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
