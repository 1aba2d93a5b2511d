"""A small Kubernetes API server on loopback: real sockets, scripted behaviour.

It keeps objects with resource versions, lists and watches them, and plays just enough of the
controllers: a Job's pod runs at once; a Job whose deadline is moved to now fails with it. What is
in `faults` happens to the next request that fits, once.
"""

import json
import queue
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kubernetes import client

Json = dict[str, Any]
OBJECT = re.compile(r"(?:/api/v1|/apis/[^/]+/[^/]+)/namespaces/[^/]+/([^/]+)(?:/([^/]+))?(/log)?")
AT = "2026-11-21T12:00:00Z"


@dataclass
class Fault:
    """`status` answers with it and `message`; `lost` does what was asked and then hangs up."""

    method: str
    path: str
    status: int = 0
    message: str = ""
    lost: bool = False

    def fits(self, method: str, path: str) -> bool:
        return self.method == method and self.path in path


@dataclass
class Server:
    version: tuple[str, str] = ("1", "29+")
    # Versions of an API group with commas between, the one that the server prefers first.
    groups: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    # What was sent with those of them that send something.
    bodies: list[Json] = field(default_factory=list)
    kept: dict[str, dict[str, Json]] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    # What a watch that begins at an old version is told; 0 is to serve it.
    gone_before: int = 0
    runs_pods: bool = True
    date: str | None = None
    number: int = 100
    watches: list[tuple[str, Json, "queue.Queue[Json | None]"]] = field(default_factory=list)
    history: list[tuple[int, str, Json]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    url: str = ""

    def cluster_api(self) -> client.ApiClient:
        settings = client.Configuration()
        settings.host = self.url
        settings.api_key = {"authorization": "Bearer let-me-in"}
        return client.ApiClient(settings)

    # --- What a test lets happen --------------------------------------------------------

    def put(self, kind: str, thing: Json, event: str = "MODIFIED") -> Json:
        with self.lock:
            self.number += 1
            thing["metadata"] |= {"resourceVersion": str(self.number)}
            thing["metadata"].setdefault("creationTimestamp", AT)
            thing["metadata"].setdefault("uid", f"uid-{self.number}")
            thing["metadata"].setdefault("labels", {})
            self.kept.setdefault(kind, {})[thing["metadata"]["name"]] = thing
            hidden = thing.get("status", {}).get("phase") == "Succeeded"
            self._tell(kind, "DELETED" if hidden else event, thing)
            return thing

    def remove(self, kind: str, name: str) -> Json | None:
        with self.lock:
            thing = self.kept.get(kind, {}).pop(name, None)
            if thing is not None:
                self.number += 1
                thing["metadata"]["resourceVersion"] = str(self.number)
                self._tell(kind, "DELETED", thing)
            return thing

    def names(self, kind: str) -> list[str]:
        return sorted(self.kept.get(kind, {}))

    def pod_of(self, job: str) -> Json:
        with self.lock:
            return next(
                pod
                for pod in self.kept["pods"].values()
                if pod["metadata"]["labels"]["job-name"] == job
            )

    def ends(self, job: str, code: int, *, reason: str = "Error") -> None:
        """The program ends; the Job's controller sees it."""
        pod, made = self.pod_of(job), self.kept["jobs"][job]
        ended = {"exitCode": code, "reason": reason, "finishedAt": AT}
        pod["status"] = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "run", "state": {"terminated": ended}}],
        }
        self.put("pods", pod)
        kind = "Failed" if code else "Complete"
        made["status"]["conditions"] = [{"type": kind, "status": "True", "message": ""}]
        self.put("jobs", made)

    def says(self, name: str, about: str, message: str, *, count: int = 1) -> None:
        event = {
            "metadata": {"name": name, "uid": f"uid-{name}"},
            "involvedObject": {"name": about},
            "type": "Warning",
            "reason": "FailedCreate",
            "message": message,
            "count": count,
            "lastTimestamp": AT,
        }
        self.put("events", event)

    def cut_watches(self) -> None:
        with self.lock:
            for _, _, news in self.watches:
                news.put(None)

    def calls(self, text: str) -> int:
        return sum(text in call for call in self.asked)

    # --- Serving ------------------------------------------------------------------------

    def serve(self, method: str, path: str, query: dict[str, str], body: Json) -> tuple[int, Json]:
        if path == "/version":
            return 200, {"major": self.version[0], "minor": self.version[1]}
        if path.startswith("/apis/") and path.count("/") == 2:
            group = path.removeprefix("/apis/")
            if group not in self.groups:
                return _error(404, "not found")
            versions = [{"version": one} for one in self.groups[group].split(",")]
            return 200, {"preferredVersion": versions[0], "versions": versions}
        match = OBJECT.fullmatch(path)
        if match is None:
            return _error(404, f"nothing at {path}")
        kind, name, _ = match.groups()
        with self.lock:
            act = getattr(self, f"_{method.lower()}")
            answer: tuple[int, Json] = act(kind, name, query, body)
            return answer

    def _get(self, kind: str, name: str | None, query: dict[str, str], _: Json) -> tuple[int, Json]:
        if name:
            found = self.kept.get(kind, {}).get(name)
            return (200, found) if found else _error(404, f"{kind} {name!r} not found")
        items = [thing for thing in self.kept.get(kind, {}).values() if _fits(thing, query)]
        return 200, {"metadata": {"resourceVersion": str(self.number)}, "items": items}

    def _post(self, kind: str, _: str | None, _query: object, body: Json) -> tuple[int, Json]:
        name = body["metadata"]["name"]
        if name in self.kept.get(kind, {}):
            return _error(409, f'{kind} "{name}" already exists')
        made = self.put(kind, body, "ADDED")
        if kind == "jobs":
            made["status"] = {}
            if self.runs_pods and not made["spec"].get("suspend"):
                made["status"] = {"startTime": AT, "active": 1}
                self._start(made)
        return 201, made

    def _patch(self, kind: str, name: str, _: object, body: Json) -> tuple[int, Json]:
        found = self.kept.get(kind, {}).get(name)
        if found is None:
            return _error(404, "not found")
        _merge(found, body)
        self.put(kind, found, "MODIFIED" if _fits(found, SELECTORS.get(kind, {})) else "DELETED")
        if kind == "jobs" and found["spec"].get("activeDeadlineSeconds") == 1:
            self._over(found)
        return 200, found

    def _delete(self, kind: str, name: str, _: object, _body: object) -> tuple[int, Json]:
        found = self.remove(kind, name)
        return (200, found) if found else _error(404, "not found")

    def _start(self, job: Json) -> None:
        name = job["metadata"]["name"]
        pod = job["spec"]["template"]["spec"]
        labels = job["spec"]["template"]["metadata"]["labels"] | {"job-name": name}
        running = {"name": "run", "image": "lab", "state": {"running": {"startedAt": AT}}}
        self.put(
            "pods",
            {
                "metadata": {"name": f"{name}-abcde", "labels": labels},
                "spec": pod | {"nodeName": "node-a"},
                "status": {"phase": "Running", "containerStatuses": [running]},
            },
            "ADDED",
        )

    def _over(self, job: Json) -> None:
        """As the Job's controller does it: the pods are deleted, the Job keeps the reason."""
        if job["status"].get("startTime") and not job["status"].get("conditions"):
            failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}
            job["status"]["conditions"] = [failed | {"message": ""}]
            self.put("jobs", job)
            self.remove("pods", f"{job['metadata']['name']}-abcde")

    def _tell(self, kind: str, event: str, thing: Json) -> None:
        news = {"type": event, "object": json.loads(json.dumps(thing))}
        self.history.append((self.number, kind, news))
        for watched, _, line in self.watches:
            if watched == kind:
                line.put(news)


SELECTORS = {"jobs": {"labelSelector": "!backline/seen"}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Sockets"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.server.state.date or super().date_time_string(timestamp)

    def _answer(self, method: str) -> None:
        state, parts = self.server.state, urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else {}
        state.asked.append(f"{method} {self.path}")
        if body:
            state.bodies.append(body)
        assert self.headers["authorization"] == "Bearer let-me-in"
        fault = next((one for one in state.faults if one.fits(method, self.path)), None)
        if fault is not None:
            state.faults.remove(fault)
            if fault.status:
                self._reply(*_error(fault.status, fault.message))
                return
        if query.get("watch"):
            self._watch(parts.path, query)
        elif parts.path.endswith("/log"):
            pod = parts.path.split("/")[-2]
            lines = state.lines.get(pod, "").splitlines()[-int(query["tailLines"]) :]
            self._reply(200, "\n".join(lines))
        else:
            status, answer = state.serve(method, parts.path, query, body)
            if fault is not None and fault.lost:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            self._reply(status, answer)

    def _reply(self, status: int, content: Json | str) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def _watch(self, path: str, query: dict[str, str]) -> None:
        state, kind = self.server.state, path.rpartition("/")[2]
        since = int(query["resourceVersion"])
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if since < state.gone_before:
            self._line({"type": "ERROR", "object": {"code": 410, "message": "too old"}})
            self.wfile.write(b"0\r\n\r\n")
            return
        news: queue.Queue[Json | None] = queue.Queue()
        with state.lock:
            for number, known, line in state.history:
                if known == kind and number > since:
                    news.put(line)
            state.watches.append((kind, {}, news))
        while (event := news.get()) is not None:
            self._line(event)
        # Cut, not ended: the last chunk is missing.
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _line(self, event: Json) -> None:
        text = json.dumps(event).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
        self.wfile.flush()


class Sockets(ThreadingHTTPServer):
    daemon_threads = True
    state: Server

    def __init__(self, *how: Any) -> None:
        super().__init__(*how)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error of the server's."""

    def hang_up(self) -> None:
        """As a process that dies: a kept connection would go on being answered by its thread."""
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(**how: Any) -> Iterator[Server]:
    state = Server(**how)
    sockets = Sockets(("127.0.0.1", 0), Handler)
    sockets.state = state
    state.url = f"http://127.0.0.1:{sockets.server_port}"
    thread = threading.Thread(target=sockets.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.cut_watches()
        sockets.hang_up()


def _fits(thing: Json, query: dict[str, str]) -> bool:
    labels = thing["metadata"].get("labels", {})
    tests: list[Callable[[str], bool]] = [
        lambda text: text.startswith("!") and text[1:] not in labels,
        lambda text: "=" in text and labels.get(text.split("=")[0]) == text.split("=")[1],
    ]
    wanted = [text for text in query.get("labelSelector", "").split(",") if text]
    phase = thing.get("status", {}).get("phase")
    if query.get("fieldSelector") == "status.phase!=Succeeded" and phase == "Succeeded":
        return False
    return all(any(test(text) for test in tests) for text in wanted)


def _merge(thing: Json, change: Json) -> None:
    """RFC 7396, as far as it is asked for."""
    for key, value in change.items():
        if isinstance(value, dict):
            _merge(thing.setdefault(key, {}), value)
        else:
            thing[key] = value


def _error(status: int, message: str) -> tuple[int, Json]:
    return status, {"kind": "Status", "status": "Failure", "code": status, "message": message}
