"""A server on the loopback that receives webhooks and answers as it is told."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`answers` are the statuses of the next requests; after them it answers 200."""

    url: str
    got: list[Received] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    # "said" answers a short text, "endless" never stops, "slow" drips.
    manner: str = "said"


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            receiver.got.append(Received(self.path, dict(self.headers), self.rfile.read(length)))
            self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()
            with suppress(BrokenPipeError, ConnectionResetError):
                self._answer()

        def _answer(self) -> None:
            if receiver.manner == "said":
                self.wfile.write(b"All right.")
            while receiver.manner == "endless":
                self.wfile.write(b"x" * 65_536)
            while receiver.manner == "slow":
                self.wfile.write(b"x")
                time.sleep(0.05)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield receiver
        receiver.manner = "said"
        server.shutdown()
        thread.join()
