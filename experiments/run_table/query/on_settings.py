"""Conditions on settings, which may be of another type in each run."""

from django.db.models import Q, Value
from django.db.models.lookups import Exact, IContains, IsNull

from experiments.run_table.expressions import Compares, Equals, HasElement, Setting, TextOf, TypeOf
from experiments.run_table.fields.built_in import SettingField
from experiments.run_table.query import literals
from experiments.run_table.query.logic import LOOKUPS, any_of, opposite, part, refused
from experiments.run_table.query.syntax import Compare, Literal
from portal.inputs.text import spellings

# What is false in Python.
EMPTY: tuple[object, ...] = (None, False, 0, "", [], {})


def compare(term: Compare, field: SettingField) -> Q:
    """Return the condition on a setting; a value of another type is not equal, less or more."""
    setting = field.json()
    there = Q(IsNull(setting, False))
    if term.operator == "true":
        return there & opposite(any_of(Q(Equals(setting, value)) for value in EMPTY))
    if term.operator in LOOKUPS:
        value = literals.number(term.literals[0], term.path.written)
        return Q(Compares(setting, term.operator, value))
    if term.operator in {"==", "!=", "in"}:
        values = term.literals if term.operator == "in" else (_whole(term),)
        equal = any_of(Q(Equals(setting, literals.setting(literal))) for literal in values)
        return there & opposite(equal) if term.operator == "!=" else equal
    if term.operator == ":":
        text = TextOf(setting)
        return any_of(Q(IContains(text, s)) for lit in term.literals for s in spellings(lit.text))
    return _is(term, setting) if term.operator == "is" else _part(term, setting)


def _is(term: Compare, setting: Setting) -> Q:
    constant = term.literals[0].constant
    if constant is None:
        return Q(IsNull(setting, True)) | Q(Equals(setting, None))
    if not isinstance(constant, bool):
        raise refused(term, "None, True or False by is")
    return Q(Equals(setting, constant))


def _part(term: Compare, setting: Setting) -> Q:
    is_text = Q(Exact(TypeOf(setting), Value("text")))
    found = part(term, TextOf(setting)) or Q()
    if term.operator != "contains":
        return is_text & found
    element = literals.setting(term.literals[0])
    listed = Q(HasElement(setting, element)) if element is not None else Q(pk__in=[])
    return (is_text & found) | listed


def _whole(term: Compare) -> Literal:
    """Return what stands after `=` as it is written: only in lists and after a colon do commas
    stand between values of a setting."""
    if len(term.literals) == 1:
        return term.literals[0]
    return Literal(",".join(literal.text for literal in term.literals), True, term.span)
