"""A door in front of the API server that a test can shut, cut, or let lose an answer.

It speaks TLS on both sides: with the test authority's certificate to the portal's worker, and with
the worker's own identity to the API server behind it.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from tests.cluster.control_plane import ControlPlane

HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "host", "content-encoding"}


class ApiDoor:
    """`seen` lists method and path of each request; the rest is what may go wrong."""

    def __init__(self, plane: ControlPlane, user: str) -> None:
        self.seen: list[str] = []
        # Requests whose answer is lost although the API server has acted: (method, end of path).
        self.lose: tuple[str, str] | None = None
        # Requests that hang here and never arrive.
        self.hold: tuple[str, str] | None = None
        self.held = threading.Event()
        self.watching: set[socket.socket] = set()
        self._over = threading.Event()
        identity = plane.authority.client_context(plane.authority.issue(user))
        self.upstream = httpx.Client(base_url=plane.url, verify=identity, timeout=60)

        class Handler(_Handler):
            door = self

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        server = plane.authority.server_context(plane.authority.issue("api-door"))
        self.server.socket = server.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"

    def calls(self, method: str, ending: str) -> int:
        return sum(
            one.startswith(f"{method} ") and one.split("?")[0].endswith(ending) for one in self.seen
        )

    def cut_all(self) -> None:
        """Every connection that carries a watch breaks off, in the middle of its answer."""
        for connection in list(self.watching):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def wait_here(self) -> None:
        self.held.set()
        self._over.wait(60)

    def close(self) -> None:
        self._over.set()
        self.cut_all()
        self.server.shutdown()
        self.server.server_close()
        self.upstream.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    door: ApiDoor

    def do_GET(self) -> None:
        self.pass_on()

    def do_POST(self) -> None:
        self.pass_on()

    def do_PATCH(self) -> None:
        self.pass_on()

    def do_DELETE(self) -> None:
        self.pass_on()

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.door.seen.append(f"{self.command} {self.path}")
        if self._is(self.door.hold):
            self.door.wait_here()
            self.close_connection = True
            return
        headers = {
            key: value for key, value in self.headers.items() if key.lower() not in HOP_BY_HOP
        }
        try:
            with self.door.upstream.stream(
                self.command, self.path, content=body, headers=headers
            ) as answer:
                if self._is(self.door.lose):
                    self.door.lose = None
                    self.close_connection = True
                elif "watch=" in self.path:
                    self._stream(answer)
                else:
                    self._whole(answer)
        except (httpx.HTTPError, OSError, RuntimeError):
            # Whatever breaks behind the door is a broken connection before it.
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass

    def _is(self, wanted: tuple[str, str] | None) -> bool:
        path = self.path.split("?")[0]
        return wanted is not None and self.command == wanted[0] and path.endswith(wanted[1])

    def _start(self, answer: httpx.Response) -> None:
        self.send_response(answer.status_code)
        for key, value in answer.headers.items():
            if key.lower() not in HOP_BY_HOP | {"date", "server"}:
                self.send_header(key, value)

    def _whole(self, answer: httpx.Response) -> None:
        content = answer.read()
        self._start(answer)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, answer: httpx.Response) -> None:
        """A watch, line by line."""
        self._start(answer)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        self.door.watching.add(self.connection)
        try:
            for line in answer.iter_lines():
                piece = f"{line}\n".encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        finally:
            self.door.watching.discard(self.connection)


@contextmanager
def opened(plane: ControlPlane, user: str) -> Iterator[ApiDoor]:
    door = ApiDoor(plane, user)
    thread = threading.Thread(target=door.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield door
    finally:
        door.close()
        thread.join(5)
