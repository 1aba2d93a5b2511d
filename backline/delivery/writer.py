"""The background thread of the client: from the program's memory to the spool on disk."""

import json
import threading
import time
from array import array
from collections import defaultdict
from collections.abc import Callable

import numpy as np

from backline import wire
from backline.console import Source
from backline.delivery.spool import Spool
from backline.ranks import ProcessPlace
from backline.system_metrics import SystemMetrics

# With this and the time that writing takes, a killed program loses less than the last second.
FLUSH_SECONDS = 0.5
METRICS_SECONDS = 5.0
# Points per batch.
BATCH_POINTS = 200_000
# Characters of the names in a batch, with room for the JSON around them.
HEADER_CHARACTERS = wire.MAX_HEADER_BYTES - 1_000
# Rows in memory that wake the thread early.
WAKE_ROWS = 20_000

Names = tuple[str, ...]
Row = tuple[int, float, Names, "array[float]"]


class Pace:
    """Seconds per training step, from the times at which steps were logged."""

    def __init__(self) -> None:
        self._mark: tuple[int, float] | None = None
        self._newest: tuple[int, float] | None = None

    def see(self, rows: list[Row]) -> None:
        if rows:
            self._mark = self._mark or rows[0][:2]
            self._newest = rows[-1][:2]

    def take(self) -> tuple[int, float] | None:
        """Return the newest step, and the mean seconds per step since the last call."""
        if self._mark is None or self._newest is None or self._newest[0] <= self._mark[0]:
            return None
        (first, began), (last, ended) = self._mark, self._newest
        self._mark = self._newest
        return last, (ended - began) / (last - first)


class Writer:
    """Writes rows from `rows`, console text and system metrics to the spool."""

    def __init__(
        self,
        spool: Spool,
        *,
        console: Source | None,
        figures: SystemMetrics | None,
        place: ProcessPlace,
        warn: Callable[[str], None],
    ) -> None:
        self.rows: list[Row] = []
        self.stop_reason: str | None = None
        self.wake = threading.Event()
        self._spool = spool
        self._console = console
        self._figures = figures
        self._place = place
        self._pace = Pace()
        self._warn = warn
        self._over = False
        self._good: dict[Names, bool] = {}
        self._warned: set[str] = set()
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
        if row := self._step_time():
            self._store([row])

    def flush(self) -> None:
        """Write everything that was logged so far to the spool."""
        with self._writing:
            # One slice and one deletion: each is atomic, and rows that come between them stay.
            count = len(self.rows)
            taken = self.rows[:count]
            del self.rows[:count]
            self._pace.see(taken)
            self._store(taken)
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
                # A full disk must not end training; what cannot be written is lost, with a warning.
                self._warn_once(f"The spool cannot be written: {error}")

    def _store(self, rows: list[Row]) -> None:
        for tables in self._batches(rows):
            self._spool.put("batch", wire.encode(tables))

    def _read_figures(self) -> None:
        now = time.monotonic()
        if now < self._next_figures:
            return
        self._next_figures = now + METRICS_SECONDS
        rows = [self._step_time()]
        if self._figures:
            metrics = self._figures.read()
            # System metrics have no training step: theirs is the seconds since the start.
            values = array("d", metrics.values())
            rows.append((int(now - self._started), time.time(), tuple(metrics), values))
        self._store([row for row in rows if row])

    def _step_time(self) -> Row | None:
        """Return this rank's seconds per step if there are several: a slow one can then be seen."""
        pace = self._pace.take() if self._place.count > 1 else None
        if pace is None:
            return None
        step, seconds = pace
        # Here rank 0 has its number in the name too, because ranks are compared.
        name = "system/rank/0/step_seconds" if not self._place.rank else "system/step_seconds"
        return step, time.time(), (name,), array("d", [seconds])

    def _listen(self) -> None:
        """Read requests to stop, refusals and failures that the sender has left in the folder."""
        if self.stop_reason is None:
            self.stop_reason = self._spool.stop_asked()
        for name, sentence in self._spool.refusals().items():
            self._warn_once(f"The portal refused {name}: {sentence}")
        for name, failure in self._spool.failures().items():
            if failure.aside:
                self._warn_once(
                    f"The portal cannot take {name}, which is set aside in {self._spool.folder}."
                )

    def _warn_once(self, sentence: str) -> None:
        if sentence not in self._warned:
            self._warned.add(sentence)
            self._warn(sentence)

    def _batches(self, rows: list[Row]) -> list[list[wire.Table]]:
        """Return tables of rows with the same names, in batches of at most about BATCH_POINTS."""
        groups: dict[Names, list[Row]] = defaultdict(list)
        for row in rows:
            groups[row[2]].append(row)
        batches: list[list[wire.Table]] = [[]]
        room, header_room = BATCH_POINTS, HEADER_CHARACTERS
        for logged_names, members in groups.items():
            names = tuple(map(self._place.metric, logged_names))
            # A row without names only marks the time of a step.
            if not names or not self._is_good(names):
                continue
            max_rows = max(1, BATCH_POINTS // len(names))
            header = len(json.dumps(names)) + 30
            for start in range(0, len(members), max_rows):
                part = members[start : start + max_rows]
                if (len(part) * len(names) > room or header > header_room) and batches[-1]:
                    batches.append([])
                    room, header_room = BATCH_POINTS, HEADER_CHARACTERS
                batches[-1].append(_table(names, part))
                room -= len(part) * len(names)
                header_room -= header
        return [batch for batch in batches if batch]

    def _is_good(self, names: Names) -> bool:
        good = self._good.get(names)
        if good is None:
            bad = [name for name in names if not wire.good_name(name)]
            fits = len(names) <= wire.MAX_NAMES and len(json.dumps(names)) < HEADER_CHARACTERS
            good = self._good[names] = not bad and fits
            if not fits:
                self._warn_once(f"{len(names):,} metrics in one call are too many; not logged.")
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
