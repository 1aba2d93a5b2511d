"""Whose weights are behind a run, and which runs started from its weights: the only walk over
`start_from`.

Weights are their bytes: a run that started from a file has behind it every run that delivered that
very file, under whatever name. Both directions are one recursive query, whatever their length.
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
# SQLite takes no more values at once.
AT_ONCE = 500


def behind(runs: Collection[UUID]) -> dict[UUID, set[UUID]]:
    """Each run with itself and all runs whose weights are behind it."""
    found: dict[UUID, set[UUID]] = defaultdict(set)
    for some in parts(list(runs), AT_ONCE):
        for head, run in _rows(_BEHIND, some):
            found[head].add(run)
    return found


def after(runs: Collection[UUID]) -> set[UUID]:
    """These runs and all that started from their weights, or with what was made of those."""
    found: set[UUID] = set()
    for some in parts(list(runs), AT_ONCE):
        found.update(run for (run,) in _rows(_AFTER, some))
    return found


def deliveries_behind(weights: Checkpoint) -> dict[str, list[Checkpoint]]:
    """For these weights, and for those that any run behind them started from: every delivery of the
    same bytes, earliest first, by digest. As many queries for a long line as for a short one."""
    same = Checkpoint.every.filter(digest=weights.digest)
    runs = set().union(*behind(set(same.values_list("run", flat=True))).values())
    digests = {weights.digest}
    for some in parts(list(runs), AT_ONCE):
        started = Run.objects.filter(pk__in=some).exclude(start_from=None)
        digests.update(started.values_list("start_from__digest", flat=True))
    by_digest: dict[str, list[Checkpoint]] = defaultdict(list)
    for part in parts(sorted(digests), AT_ONCE):
        rows = Checkpoint.every.filter(digest__in=part)
        for row in rows.select_related("run__start_from", "run__dataset").order_by(
            "created_at", "pk"
        ):
            by_digest[row.digest].append(row)
    return by_digest


class Link(NamedTuple):
    """One run of a line of weights, and the last step of it that counts (None: all of it)."""

    run: Run
    up_to: int | None

    @property
    def source(self) -> str:
        """As the ledger names it."""
        return f"run:{self.run.pk}"


def line(run: Run, up_to: int | None) -> list[Link]:
    """The run, and back to the first whose weights it started from. Of several that delivered the
    same bytes the first counts: a copy under another name owes what the original owes."""
    return lines({0: (run, up_to)})[0]


def lines(heads: Mapping[Key, tuple[Run, int | None]]) -> dict[Key, list[Link]]:
    """`line` for several at once; as many queries as the longest of them has runs."""
    found = {key: [Link(run, up_to)] for key, (run, up_to) in heads.items()}
    going_on = [some for some in found.values() if some[-1].run.start_from_id is not None]
    while going_on:
        origins = _origins({some[-1].run.start_from_id or 0 for some in going_on})
        following = []
        for some in going_on:
            first = origins[some[-1].run.start_from_id or 0]
            if first.run_id not in {link.run.pk for link in some}:
                some.append(Link(first.run, first.step))
                following.append(some)
        going_on = [some for some in following if some[-1].run.start_from_id is not None]
    return found


def _origins(checkpoints: Collection[int]) -> dict[int, Checkpoint]:
    """By checkpoint the first that had its bytes."""
    same = Checkpoint.every.filter(pk__in=checkpoints)
    rows = Checkpoint.every.filter(digest__in=same.values("digest")).select_related(
        "run__dataset", "run__decision", "run__project"
    )
    by_digest: dict[str, list[Checkpoint]] = defaultdict(list)
    for row in rows.order_by("created_at", "pk"):
        by_digest[row.digest].append(row)
    return {row.pk: some[0] for some in by_digest.values() for row in some}


def _rows(query: str, runs: Collection[UUID]) -> Iterator[tuple[UUID, ...]]:
    key: models.Field[Any, Any] = Run._meta.pk
    heads = [key.get_db_prep_value(run, connection) for run in runs]
    with connection.cursor() as cursor:
        cursor.execute(query.format(heads=", ".join(["%s"] * len(heads))), heads)
        for row in cursor.fetchall():
            yield tuple(value if isinstance(value, UUID) else UUID(value) for value in row)
