"""Moments as a reader's own clock shows them."""

from datetime import UTC, datetime, tzinfo

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from portal.templatetags.words import ago

register = template.Library()


@register.filter
def when_in(moment: datetime | None, zone: tzinfo | str | None) -> SafeString | str:
    """A <time> element: how long ago, and on hover the moment in the reader's time zone."""
    if moment is None:
        return "never"
    here = moment.astimezone(zone if isinstance(zone, tzinfo) else UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        f"{here:%a %d %b %Y, %H:%M:%S %Z}",
        ago(moment),
    )


@register.filter
def clock(moment: datetime, zone: tzinfo | str | None) -> str:
    """The moment in the reader's time zone: 1 Dec 14:05."""
    here = moment.astimezone(zone if isinstance(zone, tzinfo) else UTC)
    return f"{here.day} {here:%b %H:%M}"
