"""The snapshot: all rows that an answer on consent rests on, as they were known at one moment.

The number of queries is the same for one recording and for all. What does not depend on a use is
read once for several of them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from django.db import connection

from portal.database.bulk import among, in_clause
from rights.consent import persons, relations
from rights.consent.facts import Artist, Facts, Group, MandateTerms, Music, Share, Terms
from rights.consent.persons import PERSONA_USES
from rights.models import Credit, Grant, Party, RoleCode, Use

# Rows fetched from the database at a time.
FETCHED = 10_000


def gather(
    ids: Iterable[int], use: Use, known_at: datetime, *, at: datetime | None = None, now: bool
) -> Facts:
    """Return what was known about these recordings at `known_at`, for a use at `at` (default: the
    same moment); `now` says that this is the present, where answers on splits are in their lines.

    It has only what can count at that moment: the digest of a decision rests on these facts, and
    what comes later, or was over before, must not change it."""
    return for_use(basis_of(ids, known_at, now=now), use, at=at)


@dataclass(frozen=True)
class Basis:
    """What is known about some recordings whatever they are used for: recordings, sources, works,
    shares and the mandates of those who hold them."""

    facts: Facts
    ids: list[int]
    now: bool
    # By the parties asked, their mandates: most uses ask the same.
    mandates: dict[frozenset[int], dict[int, list[MandateTerms]]] = field(default_factory=dict)


def basis_of(ids: Iterable[int], known_at: datetime, *, now: bool) -> Basis:
    """Return what does not depend on a use; see `gather`."""
    # The use is replaced: no fact of the basis looks at it.
    facts = Facts(Use.TRAIN_GENERATIVE, known_at)
    requested = set(ids)
    facts.sources = relations.sources_of(requested, known_at=known_at)
    recording_ids = sorted(requested.union(*facts.sources.values()))
    _recordings(facts, recording_ids, requested)
    _questions(facts, recording_ids)
    works = {work for linked in facts.works.values() for work in linked}
    _shares(facts, recording_ids, sorted(works), None if now else known_at)
    return Basis(facts, recording_ids, now)


def for_use(basis: Basis, use: Use, *, at: datetime | None = None) -> Facts:
    """Return the facts for one use: the basis, which is shared, and what concerns the use alone."""
    empty = Facts(use, basis.facts.known_at, at or basis.facts.known_at)
    facts = replace(
        basis.facts, use=use, at=empty.at, artists=empty.artists, groups=empty.groups,
        grants=empty.grants, replaced=empty.replaced, mandates=empty.mandates,
        suspended=empty.suspended, opted_out=empty.opted_out,
    )  # fmt: skip
    if use in PERSONA_USES:
        _artists(facts, basis.ids)
        _groups(facts)
    parties = frozenset(facts.parties())
    if parties not in basis.mandates:
        _mandates(facts, sorted(parties))
        basis.mandates[parties] = facts.mandates
    facts.mandates = basis.mandates[parties]
    agents = {mandate.agent for mandates in facts.mandates.values() for mandate in mandates}
    statuses = _grants(facts, sorted(agents | parties), basis.ids)
    _opt_outs(facts, basis.ids)
    if not basis.now or Grant.Status.SUSPENDED in statuses.values():
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
