"""Moments and days, by one rule: a day of a term is a day of UTC, whatever offset a moment has.

Terms say "from 1 March", not where, and their readers are in many places. So the day is the day of
UTC everywhere: a moment with an offset is converted to UTC on input, and one without an offset is
taken as UTC.
"""

from datetime import UTC, date, datetime

_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)


def utc(moment: datetime) -> datetime:
    """Return the moment in UTC; outside of the calendar it is the first or last moment there is."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _FIRST if moment.year == _FIRST.year else _LAST


def day_of(moment: datetime) -> date:
    """Return the day of a term in which the moment lies."""
    return utc(moment).date()
