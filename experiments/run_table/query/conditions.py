"""What a query is to the database.

Every comparison is true or false and never unknown: what a run does not have makes it false, and
what stands behind a `not` true. Negations are therefore moved to the comparisons, and each of those
is asked whether it holds, not whether its opposite does.
"""

from collections.abc import Iterable

from django.db.models import Q

from experiments.run_table.fields.built_in import SettingField
from experiments.run_table.fields.metrics import MetricField
from experiments.run_table.query import names, on_facts, on_metrics, on_settings
from experiments.run_table.query.logic import opposite, refused
from experiments.run_table.query.syntax import All, Any, Compare, Node, Not


def condition(node: Node, *, negated: bool = False) -> Q:
    """Return the condition that a node holds, or that it does not."""
    match node:
        case Not(inner):
            return condition(inner, negated=not negated)
        case All(items):
            return _joined(items, negated=negated, every=not negated)
        case Any(items):
            return _joined(items, negated=negated, every=negated)
    found = _compare(node)
    return opposite(found) if negated else found


def _joined(items: Iterable[Node], *, negated: bool, every: bool) -> Q:
    whole = Q()
    for item in items:
        one = condition(item, negated=negated)
        whole = whole & one if every else whole | one
    return whole


def _compare(term: Compare) -> Q:
    if (states := names.flag_of(term.path)) is not None:
        return _flag(term, Q(state__in=sorted(states)))
    field = names.field_of(term.path)
    if isinstance(field, MetricField):
        return on_metrics.compare(term, field)
    if isinstance(field, SettingField):
        return on_settings.compare(term, field)
    return on_facts.compare(term, field)


def _flag(term: Compare, holds: Q) -> Q:
    """Return the condition of `run.failed`, alone or compared with true or false."""
    wanted = term.literals[0].constant if term.literals else True
    if term.operator not in {"true", "==", "!=", "is"} or not isinstance(wanted, bool):
        raise refused(
            term, f"nothing (or true and false); config.{term.path.parts[1]} is a setting"
        )
    return holds if wanted is (term.operator != "!=") else ~holds
