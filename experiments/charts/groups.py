"""Runs by values that they share: `config.lr`, `dataset`, `state`, any field of the run table."""

from collections.abc import Sequence

from experiments.models import Run
from experiments.run_table import fields
from experiments.templatetags.figures import NOTHING, setting

# Groups beyond these are one line each that nobody can tell apart.
MOST_KEYS = 4


def by(runs: Sequence[Run], keys: Sequence[str]) -> dict[str, list[Run]]:
    """Return the runs by the words of their group, groups in the order of their values."""
    keys = [key for key in dict.fromkeys(keys) if fields.find(key) is not None][:MOST_KEYS]
    values = fields.values(runs, keys)
    grouped: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: [_order(value) for value in values[run.pk]]):
        words = ", ".join(
            f"{_title(key)} {words_of(value)}"
            for key, value in zip(keys, values[run.pk], strict=True)
        )
        grouped.setdefault(words or "all runs", []).append(run)
    return grouped


def words_of(value: object) -> str:
    """Return a value as it stands in a label."""
    return NOTHING if value in (None, "", []) else setting(value)[:60]


def _title(key: str) -> str:
    field = fields.find(key)
    return field.title if field else key


def _order(value: object) -> tuple[int, float, str]:
    """Order numbers as numbers, then words, then what has no value."""
    if value is None:
        return (2, 0.0, "")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (0, float(value), "")
    return (1, 0.0, str(value))
