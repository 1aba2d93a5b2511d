"""Small reads that the lists of this room need in their rows."""

from collections.abc import Mapping, Sequence

from django import template

from rights import terms, territories
from rights.consent import Line
from rights.models import Credit, Grant, Recording

register = template.Library()


@register.filter
def at(lines: Mapping[int, Line], pk: int) -> Line | None:
    """The line of this recording."""
    return lines.get(pk)


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
