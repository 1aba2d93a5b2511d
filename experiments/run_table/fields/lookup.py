"""The field of a key, and the verbs on several fields at once."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet

from experiments.models import Run
from experiments.run_table.fields.built_in import (
    ALIASES,
    BUILT_IN,
    ResourceField,
    RunField,
    SettingField,
)
from experiments.run_table.fields.curves import CurveField
from experiments.run_table.fields.kinds import Field, Source
from experiments.run_table.fields.metrics import MetricField, read_metrics
from experiments.runs.resources import Resources

LONGEST_KEY = 220

# What an app above registered, by prefix.
SOURCES: dict[str, Source] = {}
MAKERS: dict[str, Callable[[str], Field | None]] = {
    "metric": MetricField,
    "config": SettingField,
    "curve": CurveField,
    "resources": lambda name: ResourceField(name) if name in Resources.model_fields else None,
}


def register(prefix: str, source: Source) -> None:
    """Add fields whose keys begin with `prefix.`."""
    SOURCES[prefix] = source


def find(key: str) -> Field | None:
    """Return the field of a key; None if no field is called that."""
    key = ALIASES.get(key, key)
    if len(key) >= LONGEST_KEY:
        return None
    if key in BUILT_IN:
        return RunField(key)
    prefix, _, name = key.partition(".")
    if not name:
        return None
    maker = MAKERS.get(prefix) or (SOURCES[prefix].find if prefix in SOURCES else None)
    return maker(name) if maker else None


def values(runs: Sequence[Run], keys: Sequence[str]) -> dict[UUID, list[Any]]:
    """Return each run's values in the order of the keys, None where it has none.

    The number of queries depends on the kinds of fields alone, not on runs or keys. Reads what is
    in the runs' rows from there: fetch them with `submitted_by` and `dataset`.
    """
    known = {key: field for key in keys if (field := find(key))}
    metrics = [field for field in known.values() if isinstance(field, MetricField)]
    measured = read_metrics(metrics, runs) if metrics and runs else {}
    found = {
        key: measured[field.key] if field.key in measured else field.read(runs)
        for key, field in known.items()
    }
    return {run.pk: [found.get(key, {}).get(run.pk) for key in keys] for run in runs}


def ordered(runs: QuerySet[Run], sort: str) -> QuerySet[Run]:
    """Order by a key, downwards after a minus; runs without a value come last both ways."""
    field = find(sort.removeprefix("-"))
    if field is None:
        return runs.order_by("-queued_at", "-number")
    # Annotated, not only ordered by: what is computed for a row is computed once.
    runs, orders = field.joined(runs, "joined")
    aliases = {f"order_{number}": order for number, order in enumerate(orders)}
    runs = runs.annotate(**aliases)
    downwards = sort.startswith("-")
    terms = [
        F(alias).desc(nulls_last=True) if downwards else F(alias).asc(nulls_last=True)
        for alias in aliases
    ]
    return runs.order_by(*terms, "-number")
