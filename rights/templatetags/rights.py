"""Small reads that the lists of this room need in their rows."""

from collections.abc import Mapping

from django import template

from rights import terms
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
