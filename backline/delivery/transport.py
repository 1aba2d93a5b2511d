"""HTTP to the portal, with two ways to fail: refused for good, or not reached yet."""

import fcntl
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import httpx
from pydantic import BaseModel

from backline import wire

T = TypeVar("T")

# 408, 425 and 429 ask for another try; every other 4xx stays wrong however often it is sent.
AGAIN = {408, 425, 429}
# About one request: it broke something, or did not arrive as it was sent.
BROKEN = {408, 500}
PARTIAL, UNCHANGED, BEYOND = 206, 304, 416
LONGEST_PAUSE = 15.0
# Of a plain address no certificate is ever asked for, as redirects are not followed.
NO_TLS = False
_reading_certificates = threading.Lock()


class Refused(RuntimeError):
    """The portal will never accept this; the message says why."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Unreachable(ConnectionError):
    """The portal does not answer, or says that it cannot right now. Try again."""


class Broken(Unreachable):
    """The portal answers, but fails on this request. Other requests may succeed."""


class Transport:
    """One connection to one portal with one token. Not for several threads at once."""

    def __init__(self, url: str, token: str, *, timeout: float = 20.0) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}", wire.VERSION_HEADER: str(wire.VERSION)},
            timeout=httpx.Timeout(timeout, connect=5.0),
            verify=_trusted() if self.url.startswith("https:") else NO_TLS,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        return self._json(self._send("GET", path, params=query))

    def post(self, path: str, body: BaseModel | bytes, **query: Any) -> Any:
        if isinstance(body, bytes):
            kind, content = "application/octet-stream", body
        else:
            kind, content = "application/json", body.model_dump_json().encode()
        response = self._send(
            "POST", path, params=query, content=content, headers={"Content-Type": kind}
        )
        return self._json(response)

    def upload(
        self, path: str, file: IO[bytes], *, name: str, meta: BaseModel, **query: Any
    ) -> Any:
        """Upload a file with its description, as multipart; the file is read in pieces."""
        response = self._send(
            "POST",
            path,
            params=query,
            data={"meta": meta.model_dump_json()},
            files={"file": (name, file, "application/octet-stream")},
            timeout=httpx.Timeout(300.0, connect=5.0),
        )
        return self._json(response)

    def download(self, path: str, target: Path, *, sha256: str) -> Path:
        """Download to `target`, which appears only when it is complete and correct.

        The part that an interrupted download has fetched stays beside it and is resumed. If
        several processes want the same file, one fetches it; the others wait for it.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        with part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if target.exists():
                part.unlink(missing_ok=True)
                return target
            self._resume(path, file, part)
            with part.open("rb") as content:
                is_correct = hashlib.file_digest(content, "sha256").hexdigest() == sha256
            if not is_correct:
                file.truncate(0)
                raise Unreachable(f"What came from {path} is not what was asked for.")
            part.replace(target)
        return target

    def check_permission(self, path: str, *, sha256: str) -> None:
        """Ask whether what `path` gives may be read, when its bytes are here already: they are not
        sent again. Raises Refused if it may not."""
        headers = {"If-None-Match": f'"{sha256}"', "Range": "bytes=0-0"}
        try:
            with self._http.stream("GET", path, headers=headers) as response:
                if response.is_error:
                    response.read()
                if response.status_code != UNCHANGED:
                    _check(response)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.url} does not answer: {error}") from error

    def _resume(self, path: str, file: IO[bytes], part: Path) -> None:
        """Fetch the rest of `file`, or all of it if the server does not support ranges."""
        offset = part.stat().st_size
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
        try:
            with self._http.stream("GET", path, headers=headers) as response:
                if response.status_code == BEYOND:
                    # All of it is there already, or it is something else; the digest shows which.
                    return
                if response.is_error:
                    response.read()
                _check(response)
                if response.status_code != PARTIAL:
                    file.truncate(0)
                elif not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                    raise Unreachable(f"{self.url} answers with another part than was asked for.")
                for piece in response.iter_bytes():
                    file.write(piece)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.url} does not answer: {error}") from error
        finally:
            file.flush()

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.url} does not answer: {error}") from error
        _check(response)
        return response

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except json.JSONDecodeError as error:
            raise Unreachable(f"{self.url} does not answer as a portal does.") from error


def _trusted() -> ssl.SSLContext:
    """Return which certificates to trust, read once per process: that takes 20 ms, `Run.fetch`
    makes a transport for each recording, and the sender's threads make theirs at once."""
    with _reading_certificates:
        return _certificates()


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _check(response: httpx.Response) -> None:
    status = response.status_code
    if 400 <= status < 500 and status not in AGAIN:
        raise Refused(status, _sentence(response))
    # A redirect does not come from the portal, but from a proxy or a log-in page in between.
    if status >= 300:
        kind = Broken if status in BROKEN else Unreachable
        raise kind(f"The portal answered {status}: {_sentence(response)}")


def _sentence(response: httpx.Response) -> str:
    try:
        payload = response.json()
    except ValueError:
        return f"{response.status_code} {response.reason_phrase}"
    detail = payload.get("detail", payload) if isinstance(payload, dict) else payload
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list) and detail and all(isinstance(error, dict) for error in detail):
        # The fields that were refused: `step: Input should be less than ...`
        return "; ".join(map(_field_and_reason, detail))[:500]
    return json.dumps(detail)[:500]


def _field_and_reason(error: dict[str, Any]) -> str:
    # The first part is where it was sent, the second is the portal's name for it.
    field = ".".join(str(part) for part in error.get("loc", [])[2:])
    reason = str(error.get("msg", "it is wrong")).removeprefix("Value error, ")
    return f"{field}: {reason}" if field else reason


def persist(act: Callable[[], T], *, seconds: float) -> T:
    """Call `act`, again and again with growing pauses while the portal is unreachable.

    Raises the last Unreachable after `seconds`; Refused at once.
    """
    end, pause = time.monotonic() + seconds, 0.2
    while True:
        try:
            return act()
        except Unreachable:
            if time.monotonic() + pause > end:
                raise
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
