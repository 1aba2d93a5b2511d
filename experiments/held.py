"""Whether a permission ended for something that a run learned from, in one expression for queries.

A run has learned what its own dataset held, and whatever those runs had learned with whose weights
it began (`start_from`), and so on back. The line of weights is walked inside the database; each
run on it costs one look at DatasetHold, whatever the size of its dataset.
"""

from typing import Any

from django.db.models import BooleanField, CharField, F, Func, IntegerField

from rights.models import Use

# A line of weights is as long as somebody fine-tuned what was fine-tuned: a few rows.
_LINE = """
WITH RECURSIVE line(run_id) AS (
  SELECT %(expressions)s
  UNION
  SELECT experiments_checkpoint.run_id FROM line
  JOIN experiments_run ON experiments_run.id = line.run_id
  JOIN experiments_checkpoint ON experiments_checkpoint.id = experiments_run.start_from_id
)
SELECT {what} FROM line
JOIN experiments_run learned ON learned.id = line.run_id
JOIN experiments_datasethold held
  ON held.dataset_id = learned.dataset_id AND held.use = learned.use
JOIN rights_hold mark ON mark.id = held.hold_id
{order}
"""
_FIRST = "ORDER BY mark.at, mark.id LIMIT 1"


class Held(Func):
    """True for a run that learned from something whose permission for its use ended later."""

    template = f"EXISTS ({_LINE.format(what='1', order='')})"
    output_field: Any = BooleanField()


class HeldFor(Func):
    """The same for one use that follows from what was learned, whatever it was learned for."""

    template = Held.template.replace("held.use = learned.use", "held.use = '%(use)s'")
    output_field: Any = BooleanField()


class _Reason(Func):
    template = f"({_LINE.format(what='mark.reason', order=_FIRST)})"
    output_field: Any = CharField()


class _Mark(Func):
    template = f"({_LINE.format(what='mark.id', order=_FIRST)})"
    output_field: Any = IntegerField()


def held(run: str) -> Held:
    """`run` is the field that has the run's key: "pk" of runs, "run" of what they made."""
    return Held(F(run))


def held_for(run: str, use: Use) -> HeldFor:
    """Whether a permission for this use has ended for something behind the run."""
    return HeldFor(F(run), use=use.value)


def reason(run: str) -> _Reason:
    """Why the first of those permissions ended, None where none did."""
    return _Reason(F(run))


def first_hold(run: str) -> _Mark:
    """The number of the first hold, None where there is none."""
    return _Mark(F(run))
