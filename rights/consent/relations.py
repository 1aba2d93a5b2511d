"""Which recordings come from which: one recursive question each way, on both databases.

A recording that contains another, was made from it or is the same sound needs the word of whoever
has one on that other, and so on to the last source: `sources_of` is what the judge asks
(snapshot.py). What ends a permission for a source ends it for all that was made of it:
`derived_from` is what holds, cases and previews ask. Same sound goes both ways; circles end where
they began.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime

from django.db import connection

from portal.database.bulk import one_of
from rights.models import Recording

# As it stands now, or as was known at a moment.
_NOW = "ended_at IS NULL"
_THEN = "created_at <= %s AND (ended_at IS NULL OR ended_at > %s)"
# From what was made to its source.
_EDGES = """
    (SELECT recording_id AS made, source_id AS source FROM rights_recordingrelation WHERE {stands}
     UNION ALL
     SELECT source_id, recording_id FROM rights_recordingrelation
     WHERE kind = 'same_sound' AND {stands})"""
_REACH = """
    WITH RECURSIVE reach(root, pk) AS (
      SELECT edge.{near}, edge.{far} FROM {edges} edge WHERE edge.{near} {ids}
      UNION
      SELECT reach.root, edge.{far} FROM reach JOIN {edges} edge ON edge.{near} = reach.pk
    )
    SELECT root, pk FROM reach WHERE root <> pk ORDER BY root, pk"""


def sources_of(
    recordings: Collection[int], *, known_at: datetime | None = None
) -> dict[int, list[int]]:
    """Of each of these that has some: all recordings that it comes from, over any number of
    steps. As it stands now, or as was known at a moment."""
    return _reached(recordings, near="made", far="source", known_at=known_at)


def derived_from(recordings: Iterable[Recording] | Iterable[int]) -> set[int]:
    """All recordings that come from any of these now, over any number of steps; some of these may
    be among them."""
    ids = {recording if isinstance(recording, int) else recording.pk for recording in recordings}
    found = _reached(ids, near="source", far="made", known_at=None)
    return {pk for some in found.values() for pk in some}


def with_derived(recordings: Iterable[Recording] | Iterable[int]) -> set[int]:
    """These and all that come from them: what an end of permission for these reaches."""
    ids = {recording if isinstance(recording, int) else recording.pk for recording in recordings}
    return ids | derived_from(ids)


def _reached(
    recordings: Collection[int], *, near: str, far: str, known_at: datetime | None
) -> dict[int, list[int]]:
    if not recordings:
        return {}
    edges = _EDGES.replace("{stands}", _NOW if known_at is None else _THEN)
    sql = _REACH.format(near=near, far=far, edges=edges, ids="{ids}")
    among_these, values = one_of(sorted(recordings))
    sql = sql.replace("{ids}", among_these)
    moments = []
    if known_at is not None:
        moments = [connection.ops.adapt_datetimefield_value(known_at)] * 4
    found: dict[int, list[int]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(sql, [*moments, *values, *moments])
        for root, pk in cursor.fetchall():
            found[root].append(pk)
    return dict(found)
