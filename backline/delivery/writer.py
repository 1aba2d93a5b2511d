"""The background thread of the client: from the program's memory to the spool on disk."""

import errno
import json
import os
import queue
import subprocess
import threading
import time
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydantic import BaseModel

from backline import batches, wire
from backline.console import Source
from backline.delivery.launcher import launch
from backline.delivery.spool import Spool
from backline.numbers import shown
from backline.ranks import ProcessPlace
from backline.system_metrics import SystemMetrics

# With this and the time that writing takes, a killed program loses less than the last second.
FLUSH_SECONDS = 0.5
METRICS_SECONDS = 5.0
# How often to look whether the sender still runs.
SENDER_SECONDS = 5.0
# Points per batch.
BATCH_POINTS = 200_000
# Characters of the names in a batch, with room for the JSON around them.
HEADER_CHARACTERS = batches.MAX_HEADER_BYTES - 1_000
# Rows in memory that wake the thread early.
WAKE_ROWS = 20_000
# What waits in memory while the disk takes nothing; beyond it the oldest of it is given up.
MAX_WAITING_BYTES = 64 * 2**20
# What may be given up. Use that is not counted would be owed to somebody.
EXPENDABLE = {"batch", "log", "media"}
# What may wait for this thread; beyond it, whoever logs waits for the disk.
MAX_LATER_BYTES = 32 * 2**20

# As the program wrote them: nothing says that they are text.
Names = tuple[Any, ...]
# Names as they are sent, and the columns of the row that they are of.
Columns = tuple[tuple[str, ...], list[int]]
Row = tuple[int, float, Names, "array[float]"]


class Warn(Protocol):
    """Prints a warning; the second one `about` the same thing, or in the same words, is not."""

    def __call__(self, sentence: str, *, about: str = "") -> None: ...


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


class Gate:
    """A lock that the thread which has it may take again, and that knows whether it has it.

    A signal handler runs in the middle of whatever its thread does. What it may not do there is
    done `later`: when that thread leaves the gate.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._owner: int | None = None
        self._later: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        self._lock.acquire()
        self._depth += 1
        self._owner = threading.get_ident()

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth:
            self._lock.release()
            return
        # From here on a handler of this thread may take the gate: nothing is half done.
        self._owner = None
        later, self._later = self._later, []
        self._lock.release()
        for act in later:
            act()

    def is_mine(self) -> bool:
        return self._owner == threading.get_ident()

    def later(self, act: Callable[[], None]) -> None:
        self._later.append(act)


class Writer:
    """Writes rows from `rows`, console text, system metrics and all else that the program delivers
    to the spool, in that order, and sees to it that a sender runs."""

    def __init__(
        self,
        spool: Spool,
        *,
        console: Source | None,
        figures: SystemMetrics | None,
        place: ProcessPlace,
        warn: Warn,
    ) -> None:
        self.rows: list[Row] = []
        self.stop_reason: str | None = None
        self.gate = Gate()
        self.spool = spool
        self.sender: subprocess.Popen[bytes] | None = None
        self._console = console
        self._figures = figures
        self._place = place
        self._pace = Pace()
        self._warn = warn
        self._over = False
        # For the spool, oldest first: the number of each delivery, its kind and its content.
        self._waiting: deque[tuple[int, str, bytes]] = deque()
        # For the same, not numbered yet: what the program does not wait for.
        self._later: list[tuple[str, bytes]] = []
        self._columns: dict[Names, list[Columns]] = {}
        self._started = self._next_figures = self._next_look = time.monotonic()
        # Unlike an Event, it may be used by a signal handler that has interrupted its use.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="backline", daemon=True)

    def start(self) -> None:
        self._look_after_sender()
        self._thread.start()

    def wake(self) -> None:
        self._bell.put(None)

    def stop(self) -> None:
        """Write what is left and end the thread."""
        self._over = True
        self.wake()
        self._thread.join()
        self.flush()
        if row := self._step_time():
            with self.gate:
                self._enqueue(self._encoded([row]))
                self._write()

    def flush(self) -> None:
        """Write everything that was logged so far to the spool.

        A full disk raises nothing: what cannot be written now is tried again at the next call.
        """
        with self.gate:
            self._collect()
            self._write()

    def put(self, kind: str, message: BaseModel) -> None:
        """Deliver a message after all that was logged so far. A full disk delays it."""
        content = message.model_dump_json().encode()
        with self.gate:
            self._collect()
            self._enqueue([(kind, content)])
            self._write()

    def put_later(self, kind: str, content: bytes) -> None:
        """Deliver content after what was logged so far, within FLUSH_SECONDS: whoever logs it does
        not wait for the disk, unless much waits already."""
        self._later.append((kind, content))
        if sum(len(waiting) for _, waiting in self._later) > MAX_LATER_BYTES:
            self.flush()
        else:
            self.wake()

    def put_file(self, kind: str, file: Path, meta: BaseModel) -> None:
        """Deliver `file`, which is in the spool, after all that was logged so far.

        Raises OSError if the disk takes neither it nor what must come before it.
        """
        with self.gate:
            self._collect()
            self._write()
            if self._waiting:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.spool.put_file(kind, file, meta)

    def waits(self) -> int:
        """Return how many deliveries wait in memory for room on the disk."""
        return len(self._waiting)

    def _work(self) -> None:
        while not self._over:
            with suppress(queue.Empty):
                self._bell.get(timeout=FLUSH_SECONDS)
            for duty in (self._read_figures, self.flush, self._listen, self._look_after_sender):
                try:
                    duty()
                except Exception as error:  # noqa: BLE001 - nothing may end this thread: a run would go on unseen.
                    self._warn(
                        f"{type(error).__name__} in the background: {shown(error)}",
                        about=f"{duty.__name__} {type(error).__name__}",
                    )

    def _collect(self) -> None:
        """Encode what was logged and printed so far. Only in the gate."""
        # One slice and one deletion: each is atomic, and rows that come between them stay.
        count = len(self.rows)
        taken = self.rows[:count]
        self._pace.see(taken)
        self._enqueue(self._encoded(taken))
        del self.rows[:count]
        later = len(self._later)
        self._enqueue(self._later[:later])
        del self._later[:later]
        if self._console:
            pieces = self._console.take(self.spool.session.session)
            self._enqueue([("log", piece.model_dump_json().encode()) for piece in pieces])

    def _enqueue(self, deliveries: list[tuple[str, bytes]]) -> None:
        # Numbered here: one that is written twice, because a signal handler broke off the first
        # time, is the same delivery.
        self._waiting += [(self.spool.next_number(), *delivery) for delivery in deliveries]

    def _write(self) -> None:
        """Write what waits to the spool, as far as the disk takes it. Only in the gate."""
        try:
            while self._waiting:
                number, kind, content = self._waiting[0]
                self.spool.put(kind, content, number=number)
                self._waiting.popleft()
        except OSError as error:
            # A full disk must not end training.
            self._warn(f"The spool cannot be written, and what is logged waits in memory: {error}")
            self._give_up_oldest()

    def _give_up_oldest(self) -> None:
        over = sum(len(content) for *_, content in self._waiting) - MAX_WAITING_BYTES
        for delivery in list(self._waiting) if over > 0 else ():
            if over > 0 and delivery[1] in EXPENDABLE:
                over -= len(delivery[2])
                self._waiting.remove(delivery)
                self._warn("The spool cannot be written for too long: the oldest is lost.")

    def _encoded(self, rows: list[Row]) -> list[tuple[str, bytes]]:
        """Return batches of the rows. A row that cannot be encoded does not take others with it."""
        try:
            return [("batch", batches.encode(tables)) for tables in self._batches(rows)]
        except Exception as error:  # noqa: BLE001 - the rows would be tried for ever.
            if len(rows) > 1:
                return [delivery for row in rows for delivery in self._encoded([row])]
            self._warn(f"{shown(rows[0][2])} cannot be logged: {shown(error)}")
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
        with self.gate:
            self._enqueue(self._encoded([row for row in rows if row]))

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
            self.stop_reason = self.spool.stop_asked()
        for name, sentence in self.spool.refusals().items():
            self._warn(f"The portal refused {name}: {sentence}")
        for name, failure in self.spool.failures().items():
            if failure.aside:
                self._warn(
                    f"The portal cannot take {name}, which is set aside in {self.spool.folder}."
                )

    def _look_after_sender(self) -> None:
        """Start the sender, or another one after it was killed."""
        now = time.monotonic()
        if now < self._next_look or (self.sender is not None and self.sender.poll() is None):
            return
        self._next_look = now + SENDER_SECONDS
        try:
            self.sender = launch(self.spool.folder)
        except OSError as error:
            self._warn(f"The sender cannot be started, and is tried again: {error}", about="sender")

    def _batches(self, rows: list[Row]) -> list[list[batches.Table]]:
        """Return tables of rows with the same names, in batches of at most about BATCH_POINTS."""
        groups: dict[Names, list[Row]] = defaultdict(list)
        for row in rows:
            groups[row[2]].append(row)
        parts: list[list[batches.Table]] = [[]]
        room, header_room = BATCH_POINTS, HEADER_CHARACTERS
        for logged_names, members in groups.items():
            for names, columns in self._columns_of(logged_names):
                max_rows = max(1, BATCH_POINTS // len(names))
                header = len(json.dumps(names)) + 30
                for start in range(0, len(members), max_rows):
                    part = members[start : start + max_rows]
                    if (len(part) * len(names) > room or header > header_room) and parts[-1]:
                        parts.append([])
                        room, header_room = BATCH_POINTS, HEADER_CHARACTERS
                    parts[-1].append(_table(names, columns, part))
                    room -= len(part) * len(names)
                    header_room -= header
        return [tables for tables in parts if tables]

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
        try:
            text = str(name).strip()
        except Exception:  # noqa: BLE001 - whatever a name does, the others are kept.
            text = ""
        if not wire.good_name(text) or not wire.good_name(self._place.metric(text)):
            self._warn(
                f"{text[:50]!r} cannot be the name of a metric (1 to {wire.MAX_NAME} printable "
                "characters); not logged."
            )
        elif self._place.metric(text) in sent:
            self._warn(f"{shown(name)} is logged twice in one call; the first counts.")
        else:
            if not isinstance(name, str) or text != name:
                self._warn(f"{shown(name)} is logged as {text!r:.60}.")
            sent[self._place.metric(text)] = column


def _in_parts(sent: dict[str, int]) -> Iterator[Columns]:
    """Yield the names and their columns in parts, each small enough for the header of a batch."""
    names: list[str] = []
    columns: list[int] = []
    room = HEADER_CHARACTERS
    for name, column in sent.items():
        size = len(json.dumps(name)) + 2
        if len(names) == batches.MAX_NAMES or size > room:
            yield tuple(names), columns
            names, columns, room = [], [], HEADER_CHARACTERS
        names.append(name)
        columns.append(column)
        room -= size
    # A row without names only marks the time of a step.
    if names:
        yield tuple(names), columns


def _table(names: tuple[str, ...], columns: list[int], rows: list[Row]) -> batches.Table:
    flat = np.frombuffer(b"".join(row[3] for row in rows), dtype=np.float64)
    values = flat.reshape(len(rows), -1).T
    return batches.Table(
        names=names,
        steps=np.array([row[0] for row in rows], dtype=np.int64),
        times=np.array([row[1] for row in rows]),
        values=np.ascontiguousarray(values[columns]),
    )
