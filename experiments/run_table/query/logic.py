"""What all conditions have in common: opposites, alternatives, what is missing, parts of texts."""

from collections.abc import Iterable

from django.db.models import BooleanField, Case, Q, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Left, Right, StrIndex
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    IsNull,
    LessThan,
    LessThanOrEqual,
)

from experiments.run_table.expressions import Like
from experiments.run_table.query.errors import BadQuery
from experiments.run_table.query.syntax import Compare

LOOKUPS = {"<": LessThan, "<=": LessThanOrEqual, ">": GreaterThan, ">=": GreaterThanOrEqual}
EQUALITIES = {":", "==", "!=", "in"}
WORDS = {
    "true": "nothing",
    "startswith": ".startswith(…)",
    "endswith": ".endswith(…)",
    "contains": "in",
}


def opposite(found: Q) -> Q:
    """Return the condition that the other does not hold: true also where that is unknown."""
    return Q(Case(When(found, then=False), default=True, output_field=BooleanField()))


def any_of(conditions: Iterable[Q]) -> Q:
    """Return the condition that one of these holds; of none, none does."""
    whole: Q | None = None
    for one in conditions:
        whole = one if whole is None else whole | one
    return Q(pk__in=[]) if whole is None else whole


def refused(term: Compare, hint: str) -> BadQuery:
    """Return the sentence about an operator that a field does not have."""
    return BadQuery(
        f"“{term.path.written[:60]}” is compared with {hint}, not with "
        f"{WORDS.get(term.operator, term.operator)}.",
        term.span.position,
        term.span.length,
    )


def is_none(term: Compare, missing: Q) -> Q | None:
    """Return the condition of `is None`, and of `==` and `!=` with it where nothing is null."""
    constant = term.literals[0].constant if term.literals else term
    if term.operator == "is" and constant is not None:
        raise refused(term, "None by is or is not")
    if constant is None and term.operator in {"is", "=="}:
        return missing
    return opposite(missing) if constant is None and term.operator == "!=" else None


def part(term: Compare, text: Combinable) -> Q | None:
    """Return the condition on a part of a text, to the letter; None for another operator."""
    wanted = term.value
    match term.operator:
        case "contains":
            return Q(GreaterThan(StrIndex(text, Value(wanted)), 0))
        case "startswith" | "endswith" if not wanted:
            return Q(IsNull(text, False))
        case "startswith":
            return Q(Exact(Left(text, len(wanted)), wanted))
        case "endswith":
            return Q(Exact(Right(text, len(wanted)), wanted))
        case "matches":
            return Q(Like(text, wanted))
    return None
