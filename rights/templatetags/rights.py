"""Filters for the rows of this app's lists."""

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
    """Return the value for this id."""
    return found.get(pk)


@register.filter
def artists(recording: Recording) -> str:
    """Return the main artists by their credited names; uses prefetched credits."""
    main = Credit.RoleCode.MAIN_ARTIST
    return ", ".join(c.party.credit_name for c in recording.credits.all() if c.role == main)


@register.filter
def scope(grant: Grant) -> str:
    """Return the grant's terms in short, for one cell."""
    return terms.in_short(grant)


@register.filter
def places(codes: Sequence[str]) -> str:
    """Return the territories by name."""
    names = territories.names()
    return ", ".join(names.get(code, code) for code in codes)


@register.filter
def deed(verb: str) -> str:
    """Return an audit verb in words: "recording.work_attached" is "recording work attached"."""
    return verb.replace(".", " ").replace("_", " ")
