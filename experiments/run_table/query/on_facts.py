"""Conditions on what stands in the run's own row."""

from collections.abc import Callable

from django.db.models import F, Q
from django.db.models.expressions import Combinable, NegatedExpression
from django.db.models.lookups import Exact, IContains, IExact, IsNull

from experiments.run_table.expressions import HasElement
from experiments.run_table.fields import Field, Kind
from experiments.run_table.query import literals
from experiments.run_table.query.logic import (
    EQUALITIES,
    LOOKUPS,
    any_of,
    is_none,
    opposite,
    part,
    refused,
)
from experiments.run_table.query.syntax import Compare
from portal.inputs.text import spellings

# Every run has these.
REQUIRED = ("state", "number")
# In these a colon asks for a part of the text, in others for all of it; of both whatever the case.
IN_PARTS = ("name", "dataset", "code", "launch")


def compare(term: Compare, field: Field) -> Q:
    """Return the condition on a fact of the run."""
    if field.key in REQUIRED and term.operator not in LOOKUPS:
        none = is_none(term, Q(pk__in=[]))
        if none is not None or term.operator == "true":
            return Q(pk__isnull=False) if none is None else none
        return _state(term) if field.key == "state" else _run_number(term)
    return KINDS.get(field.kind, _number)(term, field)


def _state(term: Compare) -> Q:
    if term.operator not in EQUALITIES:
        raise refused(term, ": or ==, !=, in")
    wanted = {state for literal in term.literals for state in literals.states(literal)}
    found = Q(state__in=sorted(wanted))
    return ~found if term.operator == "!=" else found


def _run_number(term: Compare) -> Q:
    if term.operator not in EQUALITIES:
        raise refused(term, "a number, like run in (3, 5) or run.number > 7")
    wanted = Q(number__in=sorted({literals.run_number(literal) for literal in term.literals}))
    return ~wanted if term.operator == "!=" else wanted


def _number(term: Compare, field: Field) -> Q:
    (value,) = field.orders()
    none = is_none(term, Q(IsNull(value, True)))
    if none is not None:
        return none
    if term.operator == "true":
        return Q(NegatedExpression(Exact(value, 0)))
    reader = literals.seconds if field.kind == Kind.DURATION else literals.number
    numbers = [reader(literal, term.path.written) for literal in term.literals]
    if term.operator in LOOKUPS:
        return Q(LOOKUPS[term.operator](value, numbers[0]))
    if term.operator not in EQUALITIES:
        raise refused(term, "a number by == != < <= > >= or in")
    equal = any_of(Q(Exact(value, number)) for number in numbers)
    return Q(IsNull(value, False)) & opposite(equal) if term.operator == "!=" else equal


def _time(term: Compare, field: Field) -> Q:
    column = f"{field.key}_at"
    there = Q(**{f"{column}__isnull": False})
    none = is_none(term, Q(**{column: None}))
    if none is not None or term.operator == "true":
        return there if none is None else none
    spans = [literals.moments(literal) for literal in term.literals]
    if term.operator in EQUALITIES:
        within = any_of(_within(column, *span) for span in spans)
        return there & opposite(within) if term.operator == "!=" else within
    start, end = spans[0]
    # Of a single moment both ends are the same, and that moment is neither before nor after.
    match term.operator:
        case "<":
            return Q(**{f"{column}__lt": start})
        case "<=":
            return Q(**{f"{column}__lt": end}) | _within(column, start, end)
        case ">":
            return Q(**{f"{column}__gt" if start == end else f"{column}__gte": end})
        case ">=":
            return Q(**{f"{column}__gte": start})
    raise refused(term, "a day by == != < <= > >=")


def _within(column: str, start: object, end: object) -> Q:
    return Q(**{f"{column}__gte": start, f"{column}__{'lte' if start == end else 'lt'}": end})


def _tags(term: Compare, field: Field) -> Q:
    untagged = Q(**{field.key: []})
    none = is_none(term, untagged)
    if none is not None:
        return none
    if term.operator == "true":
        return opposite(untagged)
    if term.operator not in {*EQUALITIES, "contains"}:
        raise refused(term, 'a tag by "jazz" in run.tags, or tag:jazz')
    loosely = term.operator == ":"
    found = any_of(
        Q(HasElement(F(field.key), spelling, loosely=loosely))
        for literal in term.literals
        for spelling in (spellings(literal.text) if loosely else [literal.text])
    )
    return opposite(found) if term.operator == "!=" else found


def _text(term: Compare, field: Field) -> Q:
    (text,) = field.orders()
    there = Q(IsNull(text, False))
    none = is_none(term, opposite(there))
    if none is not None or term.operator == "true":
        return there if none is None else none
    if term.operator == ":":
        lookup = IContains if field.key in IN_PARTS else IExact
        return any_of(Q(lookup(text, s)) for lit in term.literals for s in spellings(lit.text))
    if term.operator in EQUALITIES:
        equal = any_of(_equal(field, text, literal.text) for literal in term.literals)
        return there & opposite(equal) if term.operator == "!=" else equal
    found = part(term, text)
    if found is None:
        raise refused(term, "a text by == != : in, .startswith(…), .endswith(…) or matches")
    return found


def _equal(field: Field, text: Combinable, wanted: str) -> Q:
    equal = Q(Exact(text, wanted))
    # A dataset without its version is meant in all of its versions.
    return equal | Q(dataset__name=wanted) if field.key == "dataset" else equal


KINDS: dict[Kind, Callable[[Compare, Field], Q]] = {
    Kind.TEXT: _text,
    Kind.TIME: _time,
    Kind.LIST: _tags,
}
