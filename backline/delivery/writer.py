"""The background thread of the client: from the program's memory to the spool on disk."""

import json
import threading
import time
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

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
# What waits in memory while the disk takes nothing; beyond it the oldest is given up.
MAX_WAITING_BYTES = 64 * 2**20

# As the program wrote them: nothing says that they are text.
Names = tuple[Any, ...]
# Names as they are sent, and the columns of the row that they are of.
Columns = tuple[tuple[str, ...], list[int]]
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
        # For the spool, oldest first: the kind of each delivery, and its content.
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._columns: dict[Names, list[Columns]] = {}
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
            self._waiting += self._encoded([row])
            self.flush()
        if self._waiting:
            self.warn_once(f"{self._waiting_bytes():,} bytes of what was logged are lost.")

    def flush(self) -> None:
        """Write everything that was logged so far to the spool.

        A full disk raises nothing: what cannot be written now is tried again at the next call.
        """
        with self._writing:
            # One slice and one deletion: each is atomic, and rows that come between them stay.
            count = len(self.rows)
            taken = self.rows[:count]
            self._pace.see(taken)
            self._waiting += self._encoded(taken)
            del self.rows[:count]
            if self._console:
                pieces = self._console.take(self._spool.session.session)
                self._waiting += (("log", piece.model_dump_json().encode()) for piece in pieces)
            self._write()

    def warn_once(self, sentence: str, *, about: str = "") -> None:
        """Print a warning; the second one `about` the same thing, or in the same words, is not."""
        if (about or sentence) not in self._warned:
            self._warned.add(about or sentence)
            # The stream that it is printed on may be closed.
            with suppress(OSError, ValueError):
                self._warn(sentence)

    def _work(self) -> None:
        while not self._over:
            self.wake.wait(FLUSH_SECONDS)
            self.wake.clear()
            for duty in (self._read_figures, self.flush, self._listen):
                try:
                    duty()
                except Exception as error:  # noqa: BLE001 - nothing may end this thread: a run would go on unseen.
                    self.warn_once(
                        f"{type(error).__name__} in the background: {error}",
                        about=f"{duty.__name__} {type(error).__name__}",
                    )

    def _write(self) -> None:
        try:
            while self._waiting:
                self._spool.put(*self._waiting[0])
                self._waiting.popleft()
        except OSError as error:
            # A full disk must not end training.
            self.warn_once(
                f"The spool cannot be written, and what is logged waits in memory: {error}"
            )
            over = self._waiting_bytes() - MAX_WAITING_BYTES
            while over > 0:
                over -= len(self._waiting.popleft()[1])
                self.warn_once("The spool cannot be written for too long: the oldest is lost.")

    def _waiting_bytes(self) -> int:
        return sum(len(content) for _, content in self._waiting)

    def _encoded(self, rows: list[Row]) -> list[tuple[str, bytes]]:
        """Return batches of the rows. A row that cannot be encoded does not take others with it."""
        try:
            return [("batch", wire.encode(tables)) for tables in self._batches(rows)]
        except Exception as error:  # noqa: BLE001 - the rows would be tried for ever.
            if len(rows) > 1:
                return [delivery for row in rows for delivery in self._encoded([row])]
            self.warn_once(f"{rows[0][2]!r:.80} cannot be logged: {error}")
            return []

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
        with self._writing:
            self._waiting += self._encoded([row for row in rows if row])

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
            self.warn_once(f"The portal refused {name}: {sentence}")
        for name, failure in self._spool.failures().items():
            if failure.aside:
                self.warn_once(
                    f"The portal cannot take {name}, which is set aside in {self._spool.folder}."
                )

    def _batches(self, rows: list[Row]) -> list[list[wire.Table]]:
        """Return tables of rows with the same names, in batches of at most about BATCH_POINTS."""
        groups: dict[Names, list[Row]] = defaultdict(list)
        for row in rows:
            groups[row[2]].append(row)
        batches: list[list[wire.Table]] = [[]]
        room, header_room = BATCH_POINTS, HEADER_CHARACTERS
        for logged_names, members in groups.items():
            for names, columns in self._columns_of(logged_names):
                max_rows = max(1, BATCH_POINTS // len(names))
                header = len(json.dumps(names)) + 30
                for start in range(0, len(members), max_rows):
                    part = members[start : start + max_rows]
                    if (len(part) * len(names) > room or header > header_room) and batches[-1]:
                        batches.append([])
                        room, header_room = BATCH_POINTS, HEADER_CHARACTERS
                    batches[-1].append(_table(names, columns, part))
                    room -= len(part) * len(names)
                    header_room -= header
        return [batch for batch in batches if batch]

    def _columns_of(self, logged: Names) -> list[Columns]:
        """Return the names of one call as they are sent, in parts that a table has room for."""
        known = self._columns.get(logged)
        if known is None:
            sent: dict[str, int] = {}
            for column, name in enumerate(logged):
                self._name(name, column, sent)
            known = self._columns[logged] = list(_in_parts(sent))
        return known

    def _name(self, name: Any, column: int, sent: dict[str, int]) -> None:
        """Note under which name a column is sent, or why it is not."""
        text = str(name).strip()
        if not wire.good_name(text) or not wire.good_name(self._place.metric(text)):
            self.warn_once(
                f"{text[:50]!r} cannot be the name of a metric (1 to {wire.MAX_NAME} printable "
                "characters); not logged."
            )
        elif self._place.metric(text) in sent:
            self.warn_once(f"{name!r:.60} is logged twice in one call; the first counts.")
        else:
            if text != name:
                self.warn_once(f"{name!r:.60} is logged as {text!r:.60}.")
            sent[self._place.metric(text)] = column


def _in_parts(sent: dict[str, int]) -> Iterator[Columns]:
    """Yield the names and their columns in parts, each small enough for the header of a batch."""
    names: list[str] = []
    columns: list[int] = []
    room = HEADER_CHARACTERS
    for name, column in sent.items():
        size = len(json.dumps(name)) + 2
        if len(names) == wire.MAX_NAMES or size > room:
            yield tuple(names), columns
            names, columns, room = [], [], HEADER_CHARACTERS
        names.append(name)
        columns.append(column)
        room -= size
    # A row without names only marks the time of a step.
    if names:
        yield tuple(names), columns


def _table(names: tuple[str, ...], columns: list[int], rows: list[Row]) -> wire.Table:
    flat = np.frombuffer(b"".join(row[3] for row in rows), dtype=np.float64)
    values = flat.reshape(len(rows), -1).T
    return wire.Table(
        names=names,
        steps=np.array([row[0] for row in rows], dtype=np.int64),
        times=np.array([row[1] for row in rows]),
        values=np.ascontiguousarray(values[columns]),
    )
