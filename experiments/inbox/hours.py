"""A person's own clock: their time zone, their quiet hours, when their daily mail is due."""

from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from experiments.models import NoticeSettings


@cache
def zone_names() -> list[str]:
    """Return the names of time zones that a person can choose: Europe/Berlin, UTC."""
    names = available_timezones()
    return ["UTC", *sorted(name for name in names if "/" in name and not name.startswith("Etc/"))]


def zone_of(settings: NoticeSettings) -> tzinfo:
    """Return the person's time zone; UTC for one that this machine does not know any more."""
    try:
        return ZoneInfo(settings.time_zone)
    except (KeyError, ValueError, OSError):
        return UTC


def is_quiet(settings: NoticeSettings, now: datetime) -> bool:
    """Whether it is within the person's quiet hours; they may go past midnight."""
    start, end = settings.quiet_from, settings.quiet_to
    if start is None or end is None or start == end:
        return False
    here = now.astimezone(zone_of(settings)).time()
    return start <= here < end if start < end else here >= start or here < end


def last_daily(settings: NoticeSettings, now: datetime) -> datetime:
    """Return when the person's daily mail was last due, at or before `now`."""
    zone = zone_of(settings)
    here = now.astimezone(zone)
    due = _at(here, settings.daily_at, zone)
    return due if due <= now else _at(here - timedelta(days=1), settings.daily_at, zone)


def _at(day: datetime, hour: time, zone: tzinfo) -> datetime:
    # By way of UTC, which has each moment once: an hour that the clock skips, or has twice, is
    # some moment of that day all the same.
    return datetime.combine(day.date(), hour, tzinfo=zone).astimezone(UTC)
