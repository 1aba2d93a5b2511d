"""The server's objects of one kind: listed once, then kept current by a watch.

A watch continues from the version at which the list was made, so nothing is missed in between. The
server forgets old versions (410 Gone); then, and when nothing was received for FRESH_SECONDS, the
list is requested again. A reader gets current objects, or Unavailable.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping

from workers.cluster import Unavailable
from workers.cluster.kube_api import Answer, Door, Raw

log = logging.getLogger(__name__)

# Without a response of the server for this long, our copy may be old.
FRESH_SECONDS = 10.0
# The server ends a quiet watch after this and we open the next: a sign of life, at no cost.
WATCH_SECONDS = 6
LONGEST_PAUSE = 5.0
# After a change others follow at once: this wait lets one call cover them all.
GATHER_SECONDS = 0.05
AT_MOST_EVERY = 0.25
# Not the shared generator: a thread that draws from it disturbs whoever has seeded it.
_chance = random.SystemRandom()


class Gone(RuntimeError):
    """The server does not have that version any more."""


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
        # Whether it is worth remembering that an object is gone.
        self._is_remembered = missed
        self._lock = threading.RLock()
        self._objects: dict[str, Raw] = {}
        self._vanished: dict[str, Raw] = {}
        self._version = ""
        # Counts lists. A watch that began before the last list carries old events.
        self._lists = 0
        self._last_response = -FRESH_SECONDS
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        # Grows with every change: what is derived from the objects need not be derived twice.
        self.revision = 0

    def objects(self) -> list[Raw]:
        """Return all objects, as they were at most FRESH_SECONDS ago."""
        if time.monotonic() - self._last_response >= FRESH_SECONDS:
            self._list()
        with self._lock:
            return list(self._objects.values())

    def get(self, name: str) -> Raw | None:
        with self._lock:
            return self._objects.get(name)

    def vanished(self) -> dict[str, Raw]:
        """Return the objects that are missed: they are gone, though nobody here dropped them."""
        with self._lock:
            return dict(self._vanished)

    def put(self, item: Raw) -> None:
        """Store the server's response to a change of ours, without waiting for the watch."""
        with self._lock:
            self._apply("MODIFIED", item)

    def drop(self, name: str) -> None:
        with self._lock:
            self._objects.pop(name, None)
            self._vanished.pop(name, None)
            self.revision += 1

    def follow(self) -> None:
        """Keep the objects current from now on, in a thread of its own."""
        with self._lock:
            if self._thread is None:
                name = f"watch {self._path.rpartition('/')[2]}"
                self._thread = threading.Thread(target=self._follow, name=name, daemon=True)
                self._thread.start()

    def close(self) -> None:
        self._closed.set()

    def _list(self) -> None:
        response = self._door.get(self._path, self._query)
        with self._lock:
            if _number(response["metadata"]["resourceVersion"]) < _number(self._version):
                # Another thread asked later and was answered sooner.
                return
            objects = {item["metadata"]["name"]: item for item in response["items"]}
            for name in self._objects.keys() - objects.keys():
                self._vanish(self._objects[name])
            for name in objects:
                self._vanished.pop(name, None)
            self._objects = objects
            self._version = response["metadata"]["resourceVersion"]
            self._lists += 1
            self.revision += 1
            self._last_response = time.monotonic()

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
            lists, version = self._lists, self._version
        query = self._query | {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
            "allowWatchBookmarks": "true",
        }
        with self._door.lines(self._path, query, read=WATCH_SECONDS + 3) as events:
            self._last_response = time.monotonic()
            for event in events:
                if self._closed.is_set() or not self._take(event, lists):
                    return
        self._last_response = time.monotonic()

    def _take(self, event: Raw, lists: int) -> bool:
        """Apply one line of the watch; False when a newer list has replaced it."""
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            if item.get("code") == 410:
                raise Gone
            raise Answer(int(item.get("code", 500)), item.get("message", ""))
        with self._lock:
            if lists != self._lists:
                return False
            self._last_response = time.monotonic()
            self._version = item["metadata"]["resourceVersion"]
            if kind == "BOOKMARK":
                return True
            self._apply(kind, item)
        self._changed()
        return True

    def _apply(self, kind: str, item: Raw) -> None:
        name = item["metadata"]["name"]
        current = self._objects.get(name)
        if current is not None and _version(current) > _version(item):
            return
        if kind == "DELETED":
            # An object that we deleted was dropped before, and is not known here.
            if self._objects.pop(name, None) is not None:
                self._vanish(item)
        else:
            item["metadata"].pop("managedFields", None)
            self._objects[name] = item
            self._vanished.pop(name, None)
        self.revision += 1

    def _vanish(self, item: Raw) -> None:
        if self._is_remembered(item):
            self._vanished[item["metadata"]["name"]] = item


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
    """Return a longer pause each time, with jitter: many clients must not come back at once."""
    return min(LONGEST_PAUSE, 0.02 * 2.0 ** min(failures, 10)) * _chance.uniform(0.5, 1.5)


def _version(item: Raw) -> int:
    """Versions of one kind of object grow; the API promises it since 1.35, etcd always did."""
    return _number(item["metadata"].get("resourceVersion", ""))


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0
