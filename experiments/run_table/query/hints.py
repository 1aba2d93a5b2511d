"""Names that can be read but that no run seems to have: `run.lrr` is no error and finds nothing."""

from collections.abc import Iterable
from dataclasses import dataclass

from experiments.run_table.fields import Offer
from experiments.run_table.fields.built_in import ResourceField, SettingField
from experiments.run_table.fields.metrics import MetricField
from experiments.run_table.query import names, writing
from experiments.run_table.query.literals import closest
from experiments.run_table.query.parser import parse
from experiments.run_table.query.syntax import Path, paths


@dataclass(frozen=True)
class Hint:
    """A sentence on the characters of a name, and what was probably meant; see BadQuery."""

    sentence: str
    position: int
    length: int
    suggestion: str


def hints(text: str, offers: Iterable[Offer]) -> list[Hint]:
    """Return what a query that finds nothing may have misspelt, by a project's catalogue.

    The query has to be one that can be read. The catalogue knows a sample of the runs, so this is
    a hint and no error.
    """
    known = [offer.field for offer in offers]
    settings = {f.name: f.key for f in known if isinstance(f, SettingField)}
    metrics = {f.name: f.key for f in known if isinstance(f, MetricField)}
    found = {hint: None for path in paths(parse(text)) if (hint := _hint(path, settings, metrics))}
    return list(found)


def _hint(path: Path, settings: dict[str, str], metrics: dict[str, str]) -> Hint | None:
    if names.flag_of(path) is not None:
        return None
    field = names.field_of(path)
    if isinstance(field, MetricField):
        kind, wanted, known = "metric", field.metric, metrics
        if field.name in known:
            return None
    elif isinstance(field, SettingField) and not isinstance(field, ResourceField):
        kind, wanted, known = "setting", field.name, settings
    else:
        return None
    if wanted in known:
        return None
    meant = closest(wanted, known)
    suggestion = writing.name(known[meant]) if meant else ""
    words = f" Did you mean {suggestion}?" if meant else ""
    sentence = f"None of the runs looked at has a {kind} “{wanted[:60]}”.{words}"
    return Hint(sentence, path.span.position, path.span.length, suggestion)
