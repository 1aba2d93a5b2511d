"""What a public page says about the music, cached in this process until anything changes.

A page of a model that learned from a hundred thousand recordings takes seconds to make, and
everybody may request it. Each change of what a page shows adds a line to the audit log or to the
ledger: while neither has a new line, the cached page is right; with the next line it is made anew.
A change past the portal, in the database itself, shows within a minute.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from threading import Lock
from typing import TypeVar, cast

from experiments.models.ancestry import Link
from portal import audit
from rights.usage import ledger

# Some megabytes each, for a large model.
PAGES = 16
SECONDS = 60
T = TypeVar("T")
Mark = tuple[str, str, Hashable, int]

_cache: OrderedDict[Hashable, tuple[Mark, object]] = OrderedDict()
# One page is made at a time: many visitors do not take the portal from those who work in it.
_making = Lock()


def cached(key: Hashable, line: Iterable[Link], status: Hashable, make: Callable[[], T]) -> T:
    """Return what `make` makes of the runs of `line`, from the cache if nothing has changed."""
    sources = {link.source for link in line}
    with _making:
        # Read first: a change while the page is being made counts as a change afterwards.
        minute = int(time.monotonic() // SECONDS)
        mark = (audit.newest_hash(), ledger.ledger_version(sources), status, minute)
        entry = _cache.pop(key, None)
        value = entry[1] if entry is not None and entry[0] == mark else make()
        _cache[key] = (mark, value)
        while len(_cache) > PAGES:
            _cache.popitem(last=False)
    return cast("T", value)
