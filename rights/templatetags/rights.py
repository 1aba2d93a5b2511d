"""Small reads that the lists of this room need in their rows."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from django import template

from rights import territories
from rights.grants import terms
from rights.models import Credit, Grant, Recording

T = TypeVar("T")
register = template.Library()


@register.filter
def at(found: Mapping[int, T], pk: int) -> T | None:
    """What stands under this number."""
    return found.get(pk)


@register.filter
def artists(recording: Recording) -> str:
    """Main artists by their credited names; uses prefetched credits."""
    main = Credit.RoleCode.MAIN_ARTIST
    return ", ".join(c.party.credit_name for c in recording.credits.all() if c.role == main)


@register.filter
def scope(grant: Grant) -> str:
    """The terms that say something, in one cell."""
    return terms.in_short(grant)


@register.filter
def places(codes: Sequence[str]) -> str:
    """Territories by their names."""
    names = territories.names()
    return ", ".join(names.get(code, code) for code in codes)


@register.filter
def deed(verb: str) -> str:
    """What an audit line tells: "recording.work_attached" is "recording work attached"."""
    return verb.replace(".", " ").replace("_", " ")
