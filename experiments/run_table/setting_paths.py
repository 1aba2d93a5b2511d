"""Names of settings: `model.lr` is a key with a dot in it, or the key `lr` inside `model`.

Programs write both, also in one project. A name means whichever a run has: the key with the most
dots first.
"""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

# More parts than this are too many ways to read a name.
MAX_PARTS = 6
MISSING = object()


def readings(name: str) -> list[tuple[str, ...]]:
    """Return the ways to read a name as keys, those with the longest keys first.

    Of `a.b.c`: `a.b.c`, then `a.b` > `c`, `a` > `b.c`, then `a` > `b` > `c`. There is none if a
    part is empty, or if there are too many.
    """
    parts = name.split(".")
    if len(parts) > MAX_PARTS or not all(parts):
        return []
    return list(_readings(parts))


def _readings(parts: list[str]) -> Iterator[tuple[str, ...]]:
    for count in range(len(parts)):
        # From the right, so that the first key is as long as can be.
        for cuts in reversed(list(combinations(range(1, len(parts)), count))):
            ends = [*cuts, len(parts)]
            starts = [0, *cuts]
            yield tuple(".".join(parts[a:b]) for a, b in zip(starts, ends, strict=True))


def look_up(config: object, name: str) -> Any:
    """Return the setting of that name; MISSING if there is none."""
    for keys in readings(name):
        value = config
        for key in keys:
            value = value.get(key, MISSING) if isinstance(value, dict) else MISSING
        if value is not MISSING:
            return value
    return MISSING
