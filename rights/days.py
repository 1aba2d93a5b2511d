"""Moments and days, by one rule: a day of a term is a day of UTC, whatever offset a moment has.

Terms say "from 1 March", not where; people who read them sit in many places. So the day is that
of UTC on every road: a moment that comes with an offset is brought to UTC where it comes in, and
one without an offset is UTC.
"""

from datetime import UTC, date, datetime

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def utc(moment: datetime) -> datetime:
    """The same moment in UTC. What would lie outside of the calendar is its first or last."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _FIRST if moment.year == _FIRST.year else _LAST


def day_of(moment: datetime) -> date:
    """The day of a term in which the moment lies."""
    return utc(moment).date()
