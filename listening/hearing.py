"""What a listener has heard of a clip, and how much of it has to be heard before it is rated.

The portal notes by itself that it has sent a clip to a listener. What was played of it the page's
script measures and reports; the union over all visits and tabs is kept. An answer carries what was
known when it was given. A program that pretends to be the script can claim much, but not that it
was sent a clip which it never fetched, nor to have heard more than the time has been since.
"""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypedDict

from django.db import transaction
from django.utils import timezone

from listening.models import Hearing, Item, Rating
from portal.models import User

# A short clip is heard whole before it is rated, of a longer one as much as the excerpts of
# ITU-R BS.1534 have: about ten seconds (docs/decisions.md).
ENOUGH_MS = 10_000
# From here on a clip counts as heard whole: its last moments are often a fade, and players differ
# in where they stop.
WHOLE_SHARE = 0.95
# Two stretches that lie closer together were played as one.
GAP_MS = 250
# Time that passes without a report counts up to here; a page that plays reports every few seconds.
LONGEST_PAUSE_MS = 60_000
# What is on its way or was buffered when the clip was noted as sent.
SLACK_MS = 2_000
# A page sends what it has not sent yet, so these are far beyond what a person plays.
MOST_STRETCHES = 400
MOST_PLAYS = 1_000

Stretch = tuple[int, int]


class NotHeard(ValueError):
    """Too little of the clip was heard to rate it; the text says what to do."""


class BadStretches(ValueError):
    """What a page reports as played is not a list of stretches."""


class HeardFields(TypedDict):
    """The fields of a rating that say what was heard."""

    heard: str
    seconds_heard: float | None
    share_heard: float | None
    plays: int | None
    first_played_at: datetime | None
    muted: bool | None


def required_ms(duration: float) -> int:
    """Return how many milliseconds of a clip have to be heard before it may be rated."""
    return min(ENOUGH_MS, _whole_ms(duration))


def missing_ms(hearing: Hearing, duration: float) -> int:
    """Return how many of them this listener has not heard yet; 0 if it was enough."""
    return max(0, required_ms(duration) - heard_ms(hearing))


def to_go(missing: int) -> str:
    """Return the sentence for somebody who has not heard enough; the page's script has it too."""
    return f"Listen first; {math.ceil(missing / 1000)} s to go."


def heard_ms(hearing: Hearing) -> int:
    """Return how much of the clip was played, each millisecond counted once."""
    return _lasting(hearing.stretches)


def _whole_ms(duration: float) -> int:
    return math.floor(duration * 1000 * WHOLE_SHARE)


def note_fetched(*, item: Item, listener: User) -> None:
    """Note that the clip was sent; only its first bytes leave a row, parts and repetitions none."""
    if not Hearing.objects.filter(item=item, listener=listener).exists():
        Hearing.objects.get_or_create(item=item, listener=listener)


def note_played(
    *,
    item: Item,
    listener: User,
    stretches: Iterable[Stretch],
    plays: int = 0,
    muted: bool = False,
) -> Hearing:
    """Add what was played since the last report, and how often it was started.

    A report that comes twice, late or from another tab changes nothing but the number of plays. Of
    what nobody can have heard in the time since, the rest is left out: the page reports it again.
    Raises NotHeard where the clip was never sent to this listener.
    """
    with transaction.atomic():
        rows = Hearing.objects.select_for_update(no_key=True)
        hearing = rows.filter(item=item, listener=listener).first()
        if hearing is None:
            raise never_sent()
        length = math.ceil(item.sample.duration * 1000)
        within = [(start, min(end, length)) for start, end in stretches if start < length]
        now = timezone.now()
        passed = now - (hearing.reported_at or hearing.first_fetched_at)
        hearing.clock_ms += min(LONGEST_PAUSE_MS, max(0, passed // timedelta(milliseconds=1)))
        hearing.reported_at = now
        most = hearing.clock_ms + SLACK_MS
        hearing.stretches = _within(hearing.stretches, within, most)
        hearing.plays = min(hearing.plays + plays, MOST_PLAYS)
        hearing.muted = hearing.muted or muted
        if hearing.first_played_at is None and (plays or hearing.stretches):
            hearing.first_played_at = timezone.now()
        hearing.save()
    return hearing


def _within(before: list[Stretch], added: Iterable[Stretch], most: int) -> list[Stretch]:
    """Return all stretches together, the added ones as far as `most` milliseconds allow."""
    merged = union(before)
    for start, end in sorted(added):
        excess = max(0, _lasting(union([*merged, (start, end)])) - most)
        if end - excess > start:
            merged = union([*merged, (start, end - excess)])
    return merged


def _lasting(stretches: Iterable[Stretch]) -> int:
    return sum(end - start for start, end in stretches)


def never_sent() -> NotHeard:
    return NotHeard("Play the clip first: it was not sent to you yet, so you cannot have heard it.")


def answer_fields(*, item: Item, listener: User, measured: bool) -> HeardFields:
    """Return what an answer given now carries. Raises NotHeard if it may not be given yet.

    `measured`: the answer comes from a page whose script measures what is played. Without the
    script nobody knows how much was heard, so there it is enough that the clip was sent.
    """
    hearing = Hearing.objects.filter(item=item, listener=listener).first()
    if hearing is None:
        raise never_sent()
    duration = item.sample.duration
    missing = missing_ms(hearing, duration)
    if missing and measured:
        raise NotHeard(to_go(missing))
    if missing:
        return _fields(Rating.Heard.UNMEASURED, None, duration)
    is_whole = heard_ms(hearing) >= _whole_ms(duration)
    return _fields(Rating.Heard.WHOLE if is_whole else Rating.Heard.PART, hearing, duration)


def _fields(heard: Rating.Heard, hearing: Hearing | None, duration: float) -> HeardFields:
    if hearing is None:
        return HeardFields(
            heard=heard, seconds_heard=None, share_heard=None, plays=None,
            first_played_at=None, muted=None,
        )  # fmt: skip
    seconds = heard_ms(hearing) / 1000
    return HeardFields(
        heard=heard,
        seconds_heard=seconds,
        share_heard=min(1.0, seconds / duration) if duration else 1.0,
        plays=hearing.plays,
        first_played_at=hearing.first_played_at,
        muted=hearing.muted,
    )


def union(stretches: Iterable[Iterable[int]]) -> list[Stretch]:
    """Return the same stretches in order and apart from each other; small gaps are closed."""
    merged: list[Stretch] = []
    for start, end in sorted((start, end) for start, end in stretches):
        if merged and start - merged[-1][1] <= GAP_MS:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def parse_stretches(words: Iterable[str]) -> list[Stretch]:
    """Read "0-1500", "2000-4250": milliseconds of the clip. Raises BadStretches."""
    stretches = []
    for word in words:
        start, _, end = word.partition("-")
        if not (_is_ms(start) and _is_ms(end) and int(start) < int(end)):
            raise BadStretches("What was played is a list of milliseconds: 0-1500,2000-4250.")
        stretches.append((int(start), int(end)))
    return stretches


def _is_ms(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def listed(hearing: Hearing | None) -> str:
    """Return what was played as `parse_stretches` reads it."""
    return ",".join(f"{start}-{end}" for start, end in hearing.stretches) if hearing else ""
