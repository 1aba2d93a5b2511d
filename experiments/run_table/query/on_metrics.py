"""Conditions on what a run has measured."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from experiments.models import Series
from experiments.run_table.fields.metrics import MetricField
from experiments.run_table.query import literals
from experiments.run_table.query.logic import EQUALITIES, is_none, refused
from experiments.run_table.query.syntax import Compare

SUFFIXES = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def compare(term: Compare, metric: MetricField) -> Q:
    """Return the condition on a metric; one that was never logged makes every comparison false."""
    own = Series.objects.filter(run=OuterRef("pk"), name=metric.name)
    if not metric.is_ambiguous:
        return _summary(term, own, metric.column)
    # `loss.min` is the least loss, unless the run has a metric of that very name.
    stem = Series.objects.filter(run=OuterRef("pk"), name=metric.metric)
    named, least = _summary(term, own, "last"), _summary(term, stem, metric.column)
    if is_none(term, Q()) is not None and term.operator != "!=":
        return named & least
    return named | (~Q(Exists(own)) & least)


def _summary(term: Compare, series: QuerySet[Series], column: str) -> Q:
    """Return the condition on a column of a summary, which is null where it is not finite."""
    none = is_none(term, ~Q(Exists(series)))
    if none is not None:
        return Q(Exists(series)) if term.operator == "!=" else none
    if term.operator == "true":
        return Q(Exists(series.exclude(**{column: 0})))
    if term.operator not in {*SUFFIXES, *EQUALITIES}:
        raise refused(term, "a number by == != < <= > >= or in")
    equal = Q()
    for literal in term.literals:
        if term.operator in EQUALITIES and literals.is_not_finite(literal):
            equal |= Q(**{column: None})
        else:
            value = literals.number(literal, term.path.written, also=" (nan too, by =)")
            equal |= Q(**{f"{column}__{SUFFIXES.get(term.operator, 'exact')}": value})
    if term.operator != "!=":
        return Q(Exists(series.filter(equal)))
    # What is not finite is not equal to a number, and not unequal to one either.
    return Q(Exists(series.exclude(equal).exclude(**{column: None})))
