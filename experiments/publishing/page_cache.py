"""What a public page says of the music, kept in this process until anything has changed.

A page of a model that learned from a hundred thousand recordings takes seconds to make, and
everybody may ask for it. Whatever such a page tells is a line of the audit log or of the ledger
when it changes: while both are as they were, so is the page, and with the next line it is not.
What somebody changed past the portal, in the database itself, shows within a minute.
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

_kept: OrderedDict[Hashable, tuple[Mark, object]] = OrderedDict()
# One at a time: a crowd at the gate does not take the portal from those who work in it.
_making = Lock()


def cached(key: Hashable, line: Iterable[Link], standing: Hashable, make: Callable[[], T]) -> T:
    """What `make` makes of the runs of `line` as they stand, or made when nothing has changed."""
    sources = {link.source for link in line}
    with _making:
        # Read first: what changes while it is being made counts as a change afterwards.
        minute = int(time.monotonic() // SECONDS)
        mark = (audit.newest_hash(), ledger.ledger_version(sources), standing, minute)
        known = _kept.pop(key, None)
        made = known[1] if known is not None and known[0] == mark else make()
        _kept[key] = (mark, made)
        while len(_kept) > PAGES:
            _kept.popitem(last=False)
    return cast("T", made)
