"""Which field a name in the query line stands for."""

from experiments.run_table import setting_paths
from experiments.run_table.fields import Field, lookup
from experiments.run_table.fields.built_in import ALIASES, BUILT_IN, SettingField
from experiments.run_table.fields.metrics import SUMMARY, MetricField
from experiments.run_table.query.errors import BadQuery
from experiments.run_table.query.literals import STATES, closest
from experiments.run_table.query.syntax import Path

METRIC = ("metric", "metrics")
# Words of their own, in the order in which they are listed for who wrote another.
KNOWN = ("state", "recipe", "dataset", "tag", "owner", "name", "run", "queued", "started", "ended")
FACTS = tuple(dict.fromkeys([*KNOWN, *BUILT_IN, *ALIASES]))
# `run.failed` and its like; `run.queued` is when it was queued, and `run.ended` when it ended.
FLAGS = {name for name in STATES if name not in BUILT_IN}


def field_of(path: Path) -> Field:
    """Return the field; raise BadQuery for a name that stands for none."""
    field = _field(path, path.parts, path.bracketed)
    if field is None:
        raise _unknown(path)
    if isinstance(field, SettingField) and not setting_paths.readings(field.name):
        raise _bad(path, f"“{path.written[:60]}” names no setting.")
    return field


def flag_of(path: Path) -> set[str] | None:
    """Return the states that `run.failed` and its like stand for; None for every other name."""
    if len(path.parts) == 2 and path.parts[0] == "run" and path.parts[1] in FLAGS:
        return STATES[path.parts[1]]
    return None


def _field(path: Path, parts: tuple[str, ...], bracketed: int | None) -> Field | None:
    head, rest = parts[0], parts[1:]
    if head in METRIC and rest:
        return _metric(path, rest, None if bracketed is None else bracketed - 1)
    if head == "run" and rest:
        inner = None if bracketed is None else bracketed - 1
        if inner != 0 and (
            rest[0] in {*METRIC, "config", "resources"} or rest[0] in lookup.SOURCES
        ):
            return _field(path, rest, inner)
        if inner != 0 and len(rest) == 1 and rest[0] in FACTS:
            return lookup.find(rest[0])
        return SettingField(".".join(rest))
    if not all(parts) and head == "config":
        return SettingField(".".join(rest))
    return lookup.find(".".join(parts))


def _metric(path: Path, rest: tuple[str, ...], bracketed: int | None) -> Field:
    name = ".".join(rest)
    if bracketed != 0:
        if not name.strip("."):
            raise _bad(path, f"“{path.written[:60]}” names no metric.")
        return MetricField(name)
    # In brackets stands the name as it is, and after it at most what of its summary.
    if rest[1:] and (len(rest) > 2 or rest[1] not in SUMMARY):
        meant = closest(rest[1], SUMMARY)
        hint = f" Did you mean “{meant}”?" if meant else ""
        raise BadQuery(
            f"A metric has no “{'.'.join(rest[1:])[:40]}”.{hint} It has {', '.join(SUMMARY)}.",
            path.span.position,
            path.span.length,
            meant,
        )
    return MetricField(rest[0], rest[1] if rest[1:] else "last")


def _unknown(path: Path) -> BadQuery:
    meant = closest(path.parts[0] if path.parts[0] != "run" else path.parts[-1], FACTS)
    hint = f" Did you mean “{meant}”?" if meant else ""
    return BadQuery(
        f"Runs have no “{path.written[:40]}”.{hint} "
        f"Known are {', '.join(KNOWN)}, run.setting, config.name and metric.name.",
        path.span.position,
        path.span.length,
        meant,
    )


def _bad(path: Path, sentence: str) -> BadQuery:
    return BadQuery(sentence, path.span.position, path.span.length)
