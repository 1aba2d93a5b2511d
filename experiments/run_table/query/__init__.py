"""The query line of the run table, in the manner of Python and in a short form.

    run.lr < 1e-3 and "jazz" in run.tags and metrics["loss"].last < 0.4
    state:failed metric.loss<0.1 -owner:ada "first try"

It is read by a parser of our own and never evaluated (docs/tracker.md has the whole language).
`run.x` is a fact of the run (state, owner, name, queued, duration, tags ...) or else its setting x;
`config.x` and `metrics.x` are a setting and a metric for sure. What stands side by side has to hold
together, as with `and`. Signs and Python's words compare to the letter; a colon ignores the case,
and asks of names for a part. A word alone is a part of the name.
"""

from django.db.models import QuerySet

from experiments.models import Run
from experiments.run_table.query import conditions
from experiments.run_table.query.errors import BadQuery
from experiments.run_table.query.parser import MAX_LENGTH, MAX_TERMS, parse

__all__ = ["MAX_LENGTH", "MAX_TERMS", "BadQuery", "apply", "parse"]


def apply(rows: QuerySet[Run], text: str) -> QuerySet[Run]:
    """Return the runs for which the query holds; raise BadQuery if it cannot be read."""
    for node in parse(text):
        rows = rows.filter(conditions.condition(node))
    return rows
