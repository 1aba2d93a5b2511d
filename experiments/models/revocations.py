"""Query expressions for whether a permission ended for something that a run learned from.

A run has learned from its own dataset, and from whatever the runs learned whose weights it started
from (`start_from`), and so on back. Weights are identified by their bytes: behind a file that
several runs delivered is whatever any of them learned. The database walks the line of weights;
each run on it costs one lookup in DatasetHold, whatever the size of its dataset.
"""

from typing import Any

from django.db.models import BooleanField, CharField, F, Func, IntegerField

from rights.models import Use

# From the runs of `line` to those that delivered the bytes they started from
# (ancestry.py uses it too).
STEP_BACK = """
  JOIN experiments_run begins ON begins.id = line.run_id
  JOIN experiments_checkpoint begun ON begun.id = begins.start_from_id
  JOIN experiments_checkpoint same ON same.digest = begun.digest"""
# A line of weights has one run per fine-tuning of a fine-tuned model: a few rows.
_LINE = """
WITH RECURSIVE line(run_id) AS (
  {first}
  UNION
  SELECT same.run_id FROM line STEP_BACK
)
SELECT {what} FROM line
JOIN experiments_run learned ON learned.id = line.run_id
JOIN experiments_datasethold held
  ON held.dataset_id = learned.dataset_id AND held.use = learned.use
JOIN rights_hold mark ON mark.id = held.hold_id
{order}
""".replace("STEP_BACK", STEP_BACK)
_RUN = "SELECT %(expressions)s"
# An alias of its own: the expression is a column of the outer query's checkpoint.
_WEIGHTS = """
SELECT delivered.run_id FROM experiments_checkpoint delivered
WHERE delivered.digest = %(expressions)s
"""
_FIRST = "ORDER BY mark.at, mark.id LIMIT 1"


class RunRevoked(Func):
    """True for a run that learned from something whose permission for its use ended later."""

    template = f"EXISTS ({_LINE.format(first=_RUN, what='1', order='')})"
    output_field: Any = BooleanField()


class RunRevokedFor(Func):
    """The same for one given use, whatever use the runs themselves declared."""

    template = RunRevoked.template.replace("held.use = learned.use", "held.use = '%(use)s'")
    output_field: Any = BooleanField()


class WeightsRevoked(Func):
    """True for a digest of weights if any run that delivered it is revoked."""

    template = f"EXISTS ({_LINE.format(first=_WEIGHTS, what='1', order='')})"
    output_field: Any = BooleanField()


class _WeightsReason(Func):
    template = f"({_LINE.format(first=_WEIGHTS, what='mark.reason', order=_FIRST)})"
    output_field: Any = CharField()


class _Reason(Func):
    template = f"({_LINE.format(first=_RUN, what='mark.reason', order=_FIRST)})"
    output_field: Any = CharField()


class _Mark(Func):
    template = f"({_LINE.format(first=_RUN, what='mark.id', order=_FIRST)})"
    output_field: Any = IntegerField()


def is_revoked(run: str) -> RunRevoked:
    """Whether a run is revoked; `run` is the field with its key: "pk", or "run" of what it made."""
    return RunRevoked(F(run))


def is_revoked_for(run: str, use: Use) -> RunRevokedFor:
    """Whether a permission for this use has ended for something behind the run."""
    return RunRevokedFor(F(run), use=use.value)


def weights_are_revoked(digest: str) -> WeightsRevoked:
    """Whether a permission behind these very bytes has ended, whichever run delivered them.
    `digest` is the field with their digest."""
    return WeightsRevoked(F(digest))


def weights_revocation(digest: str) -> _WeightsReason:
    """Why the first permission behind these bytes ended, None where none did."""
    return _WeightsReason(F(digest))


def revocation_reason(run: str) -> _Reason:
    """Why the first permission behind the run ended, None where none did."""
    return _Reason(F(run))


def first_hold_id(run: str) -> _Mark:
    """The id of the first hold on what the run learned from, None where there is none."""
    return _Mark(F(run))
