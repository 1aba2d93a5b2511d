"""A portal for the client's tests: the real server, behind a door that can be shut or broken."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx


class Door:
    """Passes requests on to the server, or answers 500: while `broken`, and to what is `poison`."""

    def __init__(self, upstream: str) -> None:
        self.broken = False
        # What breaks the portal over a request that has it in its body, and over no other.
        self.poison: bytes = b""
        self.seen: list[str] = []
        self.swallow = 0
        # How many downloads break off after half of what they bring, and how many bring noise.
        self.cut = 0
        self.spoil = 0
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.answer()

            def do_POST(self) -> None:
                self.answer()

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, content = 500, b'{"detail": "broken"}'
                extra: dict[str, str] = {}
                whole = -1
                if not door.broken and not (door.poison and door.poison in body):
                    sent = httpx.request(
                        self.command,
                        upstream + self.path,
                        content=body,
                        headers={
                            key: value
                            for key, value in self.headers.items()
                            if key.lower() in {"authorization", "content-type", "range"}
                        },
                        timeout=30,
                    )
                    status, content = sent.status_code, sent.content
                    if "Content-Range" in sent.headers:
                        extra["Content-Range"] = sent.headers["Content-Range"]
                    if "/audio/" in self.path and status < 300:
                        content, whole = door.damaged(content)
                    if door.swallow and ("/batches" in self.path or "/alerts" in self.path):
                        # The portal has it, but its answer is lost on the way.
                        door.swallow -= 1
                        status, content = 502, b"lost"
                door.seen.append(f"{self.command} {self.path} {status}")
                self.send_response(status)
                self.send_header("Content-Length", str(len(content) if whole < 0 else whole))
                for key, value in extra.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(content)
                if whole >= 0:
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def damaged(self, content: bytes) -> tuple[bytes, int]:
        """A download as it arrives, and the length that was promised where that is more."""
        if self.cut:
            self.cut -= 1
            return content[: len(content) // 2], len(content)
        if self.spoil:
            self.spoil -= 1
            return bytes(len(content)), -1
        return content, -1


@contextmanager
def opened(upstream: str) -> Iterator[Door]:
    door = Door(upstream)
    thread = threading.Thread(target=door.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield door
    finally:
        door.server.shutdown()
        thread.join()
        door.server.server_close()
