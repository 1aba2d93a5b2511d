"""An API server that only writes down what it is asked for, in the words of a Role."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from kubernetes import client

PATH = re.compile(
    r"^/(?:api|apis/(?P<group>[^/]+))/v[^/]+/namespaces/[^/]+/(?P<kind>[^/]+)"
    r"(?:/(?P<name>[^/]+)(?:/(?P<sub>.+))?)?$"
)
# Open to every account: what the server is and which groups it has.
DISCOVERY = re.compile(r"^/(version|api|apis(/[^/]+(/v[^/]+)?)?)$")
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
# Running, and asked to end with more patience than anybody has.
POD = {
    "metadata": {
        "name": "pod",
        "uid": "u",
        "labels": {"job-name": "run-1-1"},
        "resourceVersion": "1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "deletionTimestamp": "2026-01-01T00:10:00Z",
        "deletionGracePeriodSeconds": 600,
    },
    "spec": {"containers": [{"name": "run"}]},
    "status": {"phase": "Running"},
}
FAILED = {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}


def verb(method: str, name: str | None, query: dict[str, list[str]]) -> str:
    if method != "GET":
        return VERBS[method]
    if query.get("watch"):
        return "watch"
    return "get" if name else "list"


class Recorder:
    """`asked` are pairs of a resource and a verb; `conflict` lets every creation meet its like,
    `job_failed` shows the one Job that there is as ended."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str]] = set()
        self.conflict = self.job_failed = False
        self._job: dict[str, Any] = {}
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, body = recorder.take(self.command, self.path, json.loads(sent or b"{}"))
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815 - theirs

            def log_message(self, *_: object) -> None:
                """Nothing on the tests' console."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def client(self) -> client.ApiClient:
        configuration = client.Configuration()
        configuration.host = f"http://127.0.0.1:{self._server.server_port}"
        return client.ApiClient(configuration)

    def take(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(path)
        if DISCOVERY.match(parts.path):
            version = {"groupVersion": "group/v1beta1", "version": "v1beta1"}
            groups = {"preferredVersion": version, "versions": [version]}
            return 200, {"major": "1", "minor": "31", "resources": [], **groups}
        found = PATH.match(parts.path)
        if found is None:
            self.asked.add((parts.path, method))
            return 403, {"kind": "Status", "message": "this is outside of the namespace"}
        resource = found["kind"] + (f"/{found['sub']}" if found["sub"] else "")
        asked = verb(method, found["name"], parse_qs(parts.query))
        self.asked.add((resource, asked))
        if asked == "create" and self.conflict:
            return 409, {
                "kind": "Status",
                "message": "it already exists",
                "reason": "AlreadyExists",
            }
        if resource == "jobs":
            return 200, self._jobs(asked, sent)
        meta = {"name": found["name"], "uid": "u", "labels": {}, "resourceVersion": "1"}
        items = [POD] if resource == "pods" else []
        return 200, {"metadata": meta, "spec": {}, "status": {}, "items": items}

    def _jobs(self, asked: str, sent: dict[str, Any]) -> dict[str, Any]:
        if asked == "create":
            meta = {"annotations": {}, "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
            self._job = sent | {"metadata": meta | sent["metadata"]}
        elif asked == "patch":
            for field, value in sent.get("metadata", {}).items():
                self._job["metadata"][field] |= value
        job = self._job | {"status": FAILED if self.job_failed else {}}
        job["metadata"]["resourceVersion"] = "1"
        if asked == "list":
            return {"metadata": {"resourceVersion": "1"}, "items": [job]}
        return job

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
