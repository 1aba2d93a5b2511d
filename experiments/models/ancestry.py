"""Whose weights are behind a run, and which runs started from its weights: the only walk over
`start_from`.

Weights are identified by their bytes: behind a run that started from a file is every run that
delivered that very file, under any name. Each direction is one recursive query of any length.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from django.db import connection, models

from experiments.models.checkpoints import Checkpoint
from experiments.models.revocations import STEP_BACK
from experiments.models.runs import Run
from portal.database.bulk import parts

_BEHIND = """
WITH RECURSIVE line(head, run_id) AS (
  SELECT id, id FROM experiments_run WHERE id IN ({heads})
  UNION
  SELECT line.head, same.run_id FROM line STEP_BACK
)
SELECT head, run_id FROM line
""".replace("STEP_BACK", STEP_BACK)
_AFTER = """
WITH RECURSIVE line(run_id) AS (
  SELECT id FROM experiments_run WHERE id IN ({heads})
  UNION
  SELECT later.id FROM line
  JOIN experiments_checkpoint made ON made.run_id = line.run_id
  JOIN experiments_checkpoint same ON same.digest = made.digest
  JOIN experiments_run later ON later.start_from_id = same.id
)
SELECT run_id FROM line
"""
Key = TypeVar("Key", bound=Hashable)
# Values per query, which SQLite limits.
BATCH_SIZE = 500


def runs_behind(runs: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """Map each run to itself and all runs whose weights are behind it."""
    by_head: dict[UUID, set[UUID]] = defaultdict(set)
    for batch in parts(list(runs), BATCH_SIZE):
        for head, run in _rows(_BEHIND, batch):
            by_head[head].add(run)
    return by_head


def descendants_of(runs: Collection[UUID]) -> set[UUID]:
    """Return these runs and all that started from their weights, directly or through others."""
    descendants: set[UUID] = set()
    for batch in parts(list(runs), BATCH_SIZE):
        descendants.update(run for (run,) in _rows(_AFTER, batch))
    return descendants


def deliveries_behind(weights: Checkpoint) -> dict[str, list[Checkpoint]]:
    """For these weights, and for those that any run behind them started from: every delivery of the
    same bytes, earliest first, by digest. As many queries for a long line as for a short one."""
    same = Checkpoint.every.filter(digest=weights.digest)
    runs = set().union(*runs_behind(set(same.values_list("run", flat=True))).values())
    digests = {weights.digest}
    for some in parts(list(runs), BATCH_SIZE):
        started = Run.objects.filter(pk__in=some).exclude(start_from=None)
        digests.update(started.values_list("start_from__digest", flat=True))
    by_digest: dict[str, list[Checkpoint]] = defaultdict(list)
    for part in parts(sorted(digests), BATCH_SIZE):
        rows = Checkpoint.every.filter(digest__in=part)
        for row in rows.select_related("run__start_from", "run__dataset").order_by(
            "created_at", "pk"
        ):
            by_digest[row.digest].append(row)
    return by_digest


class Link(NamedTuple):
    """One run of a line of weights, and its last step that counts (None: all of it)."""

    run: Run
    up_to: int | None

    @property
    def source(self) -> str:
        """The run's name in the ledger."""
        return f"run:{self.run.pk}"


def line(run: Run, up_to: int | None) -> list[Link]:
    """Return the run and, back to the first, those whose weights it started from. If several
    delivered the same bytes the first counts: a copy under another name owes what the original
    owes."""
    return lines({0: (run, up_to)})[0]


def lines(heads: Mapping[Key, tuple[Run, int | None]]) -> dict[Key, list[Link]]:
    """Return `line` for several runs, in as many queries as the longest line has runs."""
    by_key = {key: [Link(run, up_to)] for key, (run, up_to) in heads.items()}
    unfinished = [links for links in by_key.values() if links[-1].run.start_from_id is not None]
    while unfinished:
        origins = _origins({links[-1].run.start_from_id or 0 for links in unfinished})
        extended = []
        for links in unfinished:
            origin = origins[links[-1].run.start_from_id or 0]
            if origin.run_id not in {link.run.pk for link in links}:
                links.append(Link(origin.run, origin.step))
                extended.append(links)
        unfinished = [links for links in extended if links[-1].run.start_from_id is not None]
    return by_key


def _origins(checkpoints: Collection[int]) -> dict[int, Checkpoint]:
    """Map each checkpoint to the first one with its bytes."""
    same = Checkpoint.every.filter(pk__in=checkpoints)
    rows = Checkpoint.every.filter(digest__in=same.values("digest")).select_related(
        "run__dataset", "run__decision", "run__project"
    )
    by_digest: dict[str, list[Checkpoint]] = defaultdict(list)
    for row in rows.order_by("created_at", "pk"):
        by_digest[row.digest].append(row)
    return {row.pk: copies[0] for copies in by_digest.values() for row in copies}


def _rows(query: str, runs: Collection[UUID]) -> Iterator[tuple[UUID, ...]]:
    key: models.Field[Any, Any] = Run._meta.pk
    heads = [key.get_db_prep_value(run, connection) for run in runs]
    with connection.cursor() as cursor:
        cursor.execute(query.format(heads=", ".join(["%s"] * len(heads))), heads)
        for row in cursor.fetchall():
            yield tuple(value if isinstance(value, UUID) else UUID(value) for value in row)
