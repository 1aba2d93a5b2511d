"""Which recordings come from which: one recursive query in each direction, on both databases.

A recording that contains another, was made from it or is the same sound needs the permissions that
the other one needs, and so on to the last source: the snapshot asks `sources_of` (snapshot.py).
What ends a permission for a source ends it for everything made from it: holds, cases and previews
ask `derived_from`. Same sound goes both ways; cycles end where they began.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime

from django.db import connection

from portal.database.bulk import in_clause
from rights.models import Recording

# The relations as they are now, or as known at a moment.
_NOW = "ended_at IS NULL"
_THEN = "created_at <= %s AND (ended_at IS NULL OR ended_at > %s)"
# From a derived recording to its source.
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
    """Return, for each of these that has any, all recordings that it comes from, over any number of
    steps; as they are now, or as known at a moment."""
    return _reached(recordings, near="made", far="source", known_at=known_at)


def derived_from(recordings: Iterable[Recording] | Iterable[int]) -> set[int]:
    """Return all recordings that come from any of these now, over any number of steps; some of
    these may be among them."""
    ids = {recording if isinstance(recording, int) else recording.pk for recording in recordings}
    by_source = _reached(ids, near="source", far="made", known_at=None)
    return {pk for derived in by_source.values() for pk in derived}


def with_derived(recordings: Iterable[Recording] | Iterable[int]) -> set[int]:
    """Return these and all that come from them: what the end of a permission for these affects."""
    ids = {recording if isinstance(recording, int) else recording.pk for recording in recordings}
    return ids | derived_from(ids)


def _reached(
    recordings: Collection[int], *, near: str, far: str, known_at: datetime | None
) -> dict[int, list[int]]:
    if not recordings:
        return {}
    edges = _EDGES.replace("{stands}", _NOW if known_at is None else _THEN)
    sql = _REACH.format(near=near, far=far, edges=edges, ids="{ids}")
    id_condition, values = in_clause(sorted(recordings))
    sql = sql.replace("{ids}", id_condition)
    moments = []
    if known_at is not None:
        moments = [connection.ops.adapt_datetimefield_value(known_at)] * 4
    reached: dict[int, list[int]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(sql, [*moments, *values, *moments])
        for root, pk in cursor.fetchall():
            reached[root].append(pk)
    return dict(reached)
