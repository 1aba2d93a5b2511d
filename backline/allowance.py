"""How often something may happen: a number at once, and then one each so many seconds."""

import threading
import time
from collections.abc import Callable


class Allowance:
    """A bucket of `most` that fills by one every `seconds`. Safe in several threads, and in
    a signal handler that interrupts one of them."""

    def __init__(
        self, most: int, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._left, self._at = float(most), clock()
        self._lock = threading.RLock()

    def take(self) -> bool:
        """Take one; false if none is left."""
        with self._lock:
            now = self._clock()
            self._left = min(self._most, self._left + (now - self._at) / self._seconds)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
