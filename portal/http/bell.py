"""How much waits unread for a person. The app that has an inbox registers who counts it."""

from collections.abc import Callable

from portal.models import User

Count = Callable[[User], int]
_counts: list[Count] = []


def register(count: Count) -> None:
    if count not in _counts:
        _counts.append(count)


def unread(user: User) -> int:
    return sum(count(user) for count in _counts)
