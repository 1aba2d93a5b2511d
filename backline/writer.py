"""The background thread of the client: from the program's memory to the spool on disk."""

import threading
import time
from array import array
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from backline import wire
from backline.console import Console
from backline.figures import Figures
from backline.spool import Spool

# With this and the time that writing takes, a killed program loses less than the last second.
FLUSH_SECONDS = 0.5
FIGURE_SECONDS = 5.0
# Points per batch, and rows in memory that wake the thread before its time.
BATCH_POINTS = 200_000
WAKE_ROWS = 20_000

Names = tuple[str, ...]
Row = tuple[int, float, Names, "array[float]"]


class Writer:
    """Takes rows from `rows`, console text and figures, and lays them into the spool."""

    def __init__(
        self, spool: Spool, *, console: Console | None, figures: bool, warn: Callable[[str], None]
    ) -> None:
        self.rows: list[Row] = []
        self.stop_reason: str | None = None
        self.wake = threading.Event()
        self._spool = spool
        self._console = console
        self._figures = Figures() if figures else None
        self._warn = warn
        self._over = False
        self._good: dict[Names, bool] = {}
        self._told: set[str] = set()
        self._started = self._next_figures = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="backline", daemon=True)
        self._writing = threading.Lock()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and end the thread."""
        self._over = True
        self.wake.set()
        self._thread.join()
        self.flush()

    def flush(self) -> None:
        """Lay everything that was logged so far into the spool."""
        with self._writing:
            # One slice and one deletion: each is atomic, and rows that come between them stay.
            count = len(self.rows)
            taken = self.rows[:count]
            del self.rows[:count]
            for tables in self._batches(taken):
                self._spool.put("batch", wire.encode(tables))
            if self._console:
                for piece in self._console.take(self._spool.session.session):
                    self._spool.put("log", piece.model_dump_json().encode())

    def _work(self) -> None:
        while not self._over:
            self.wake.wait(FLUSH_SECONDS)
            self.wake.clear()
            try:
                self._read_figures()
                self.flush()
                self._listen()
            except OSError as error:
                # A full disk must not end training; what cannot be written is said and lost.
                self._warn_once(f"The spool cannot be written: {error}")

    def _read_figures(self) -> None:
        now = time.monotonic()
        if self._figures and now >= self._next_figures:
            self._next_figures = now + FIGURE_SECONDS
            found = self._figures.read()
            # Figures have no training step: theirs are seconds since the start.
            row = array("d", found.values())
            self.rows.append((int(now - self._started), time.time(), tuple(found), row))

    def _listen(self) -> None:
        """Requests to stop and refusals, as the sender has left them in the folder."""
        if self.stop_reason is None:
            self.stop_reason = self._spool.stop_asked()
        for name, sentence in self._spool.refusals().items():
            self._warn_once(f"The portal refused {name}: {sentence}")

    def _warn_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._warn(sentence)

    def _batches(self, rows: list[Row]) -> list[list[wire.Table]]:
        """Tables of rows with the same names, in batches of at most about BATCH_POINTS."""
        groups: dict[Names, list[Row]] = defaultdict(list)
        for row in rows:
            groups[row[2]].append(row)
        batches: list[list[wire.Table]] = [[]]
        room = BATCH_POINTS
        for names, members in groups.items():
            if not self._is_good(names):
                continue
            most = max(1, BATCH_POINTS // len(names))
            for start in range(0, len(members), most):
                part = members[start : start + most]
                if len(part) * len(names) > room and batches[-1]:
                    batches.append([])
                    room = BATCH_POINTS
                batches[-1].append(_table(names, part))
                room -= len(part) * len(names)
        return [batch for batch in batches if batch]

    def _is_good(self, names: Names) -> bool:
        good = self._good.get(names)
        if good is None:
            bad = [name for name in names if not wire.good_name(name)]
            good = self._good[names] = not bad and len(names) <= wire.MAX_NAMES
            for name in bad:
                self._warn_once(f"{name[:50]!r} cannot be the name of a metric; not logged.")
        return good


def _table(names: Names, rows: list[Row]) -> wire.Table:
    flat = np.frombuffer(b"".join(row[3] for row in rows), dtype=np.float64)
    return wire.Table(
        names=names,
        steps=np.array([row[0] for row in rows], dtype=np.int64),
        times=np.array([row[1] for row in rows]),
        values=np.ascontiguousarray(flat.reshape(len(rows), len(names)).T),
    )
