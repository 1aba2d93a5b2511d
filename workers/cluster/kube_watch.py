"""What the server has of one kind of object: listed once, then kept true by a watch.

A watch goes on from the version at which the list was made, so nothing is missed in between. The
server forgets old versions (410 Gone); then, and when nothing was heard for FRESH_SECONDS, the
list is asked for again. Whoever reads gets what is true, or Unavailable.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping

from workers.cluster import Unavailable
from workers.cluster.kube_api import Answer, Door, Raw

log = logging.getLogger(__name__)

# Without a sign of the server for so long, what we have may be old.
FRESH_SECONDS = 10.0
# The server ends a quiet watch after this and we open the next: a sign of life, at no cost.
WATCH_SECONDS = 6
LONGEST_PAUSE = 5.0
# After a change others follow at once: who is woken finds them together.
GATHER_SECONDS = 0.05
AT_MOST_EVERY = 0.25
# Not the module's own numbers: a thread that draws from those disturbs whoever has seeded them.
_chance = random.SystemRandom()


class Gone(RuntimeError):
    """The server does not know that version any more."""


class Mirror:
    def __init__(
        self,
        door: Door,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        changed: Callable[[], None] = lambda: None,
        missed: Callable[[Raw], bool] = lambda _: False,
    ) -> None:
        self._door = door
        self._path = path
        self._query = dict(query or {})
        self._changed = changed
        # Whether it is worth remembering that this one is there no longer.
        self._missed = missed
        self._lock = threading.RLock()
        self._objects: dict[str, Raw] = {}
        self._vanished: dict[str, Raw] = {}
        self._version = ""
        # Counts lists. A watch that began before the last one carries old news.
        self._lists = 0
        self._heard = -FRESH_SECONDS
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        # Grows with every change: who derives something from the objects need not do it twice.
        self.revision = 0

    def objects(self) -> list[Raw]:
        """All of them, as they were at most FRESH_SECONDS ago."""
        if time.monotonic() - self._heard >= FRESH_SECONDS:
            self._list()
        with self._lock:
            return list(self._objects.values())

    def get(self, name: str) -> Raw | None:
        with self._lock:
            return self._objects.get(name)

    def vanished(self) -> dict[str, Raw]:
        """Those that are missed: they were there and are not, though nobody here dropped them."""
        with self._lock:
            return dict(self._vanished)

    def put(self, thing: Raw) -> None:
        """The server's answer to a change of ours: no need to wait until the watch tells it."""
        with self._lock:
            self._apply("MODIFIED", thing)

    def drop(self, name: str) -> None:
        with self._lock:
            self._objects.pop(name, None)
            self._vanished.pop(name, None)
            self.revision += 1

    def follow(self) -> None:
        """Keep it true from now on, in a thread of its own."""
        with self._lock:
            if self._thread is None:
                name = f"watch {self._path.rpartition('/')[2]}"
                self._thread = threading.Thread(target=self._follow, name=name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _list(self) -> None:
        found = self._door.get(self._path, self._query)
        with self._lock:
            if _number(found["metadata"]["resourceVersion"]) < _number(self._version):
                # Somebody else asked later and was answered sooner.
                return
            objects = {thing["metadata"]["name"]: thing for thing in found["items"]}
            for name in self._objects.keys() - objects.keys():
                self._vanish(self._objects[name])
            for name in objects:
                self._vanished.pop(name, None)
            self._objects = objects
            self._version = found["metadata"]["resourceVersion"]
            self._lists += 1
            self.revision += 1
            self._heard = time.monotonic()

    def _follow(self) -> None:
        failures = 0
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                if not self._version:
                    self._list()
                    self._changed()
                self._watch()
            except Gone:
                self._version = ""
            except (Unavailable, Answer) as error:
                if not failures:
                    log.info("Watching %s: %s", self._path, error)
            except Exception:
                log.exception("Watching %s failed.", self._path)
                self._version = ""
            # A watch that lasts is no failure, however it ended.
            failures = 0 if time.monotonic() - began > 1 else failures + 1
            self._closed.wait(_pause(failures))

    def _watch(self) -> None:
        with self._lock:
            mine, version = self._lists, self._version
        query = self._query | {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
            "allowWatchBookmarks": "true",
        }
        with self._door.lines(self._path, query, read=WATCH_SECONDS + 3) as news:
            self._heard = time.monotonic()
            for event in news:
                if self._closed.is_set() or not self._take(event, mine):
                    return
        self._heard = time.monotonic()

    def _take(self, event: Raw, mine: int) -> bool:
        """One line of the watch; False when a list has overtaken it."""
        kind, thing = event["type"], event["object"]
        if kind == "ERROR":
            if thing.get("code") == 410:
                raise Gone
            raise Answer(int(thing.get("code", 500)), thing.get("message", ""))
        with self._lock:
            if mine != self._lists:
                return False
            self._heard = time.monotonic()
            self._version = thing["metadata"]["resourceVersion"]
            if kind == "BOOKMARK":
                return True
            self._apply(kind, thing)
        self._changed()
        return True

    def _apply(self, kind: str, thing: Raw) -> None:
        name = thing["metadata"]["name"]
        known = self._objects.get(name)
        if known is not None and _version(known) > _version(thing):
            return
        if kind == "DELETED":
            # A deletion of ours was dropped before; then nothing is known here.
            if self._objects.pop(name, None) is not None:
                self._vanish(thing)
        else:
            thing["metadata"].pop("managedFields", None)
            self._objects[name] = thing
            self._vanished.pop(name, None)
        self.revision += 1

    def _vanish(self, thing: Raw) -> None:
        if self._missed(thing):
            self._vanished[thing["metadata"]["name"]] = thing


class Bell:
    """Calls `ring` soon after `changed`, once for many changes that come together."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def changed(self) -> None:
        self._wanted.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._wait, name="bell", daemon=True)
                    self._thread.start()

    def _wait(self) -> None:
        while True:
            self._wanted.wait()
            time.sleep(GATHER_SECONDS)
            self._wanted.clear()
            try:
                self._ring()
            except Exception:
                log.exception("Could not tell of a change in the cluster; the clock will.")
            time.sleep(AT_MOST_EVERY)


def _pause(failures: int) -> float:
    """Longer each time, and of no fixed length: many clients must not come back at once."""
    return min(LONGEST_PAUSE, 0.02 * 2.0 ** min(failures, 10)) * _chance.uniform(0.5, 1.5)


def _version(thing: Raw) -> int:
    """Versions of one kind of object grow; the API promises it since 1.35, etcd always did."""
    return _number(thing["metadata"].get("resourceVersion", ""))


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0
