"""HTTP to the portal, with two ways to fail: refused for good, or not reached yet."""

import fcntl
import hashlib
import json
import ssl
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import httpx
from pydantic import BaseModel

from backline import wire

T = TypeVar("T")

# 408 and 429 ask for another try; every other 4xx stays wrong however often it is sent.
AGAIN = {408, 425, 429}
# Said of one request: it broke something, or did not arrive as it was sent.
BROKEN = {408, 500}
PARTIAL, UNCHANGED, BEYOND = 206, 304, 416
LONGEST_PAUSE = 15.0


class Refused(RuntimeError):
    """The portal will never take this; the sentence says why."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Unreachable(ConnectionError):
    """The portal does not answer, or says that it cannot just now. Try again."""


class Broken(Unreachable):
    """The portal answers, but something breaks there over this request. Others may do better."""


class Transport:
    """One connection to one portal with one token. Not for several threads at once."""

    def __init__(self, url: str, token: str, *, timeout: float = 20.0) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}", wire.VERSION_HEADER: str(wire.VERSION)},
            timeout=httpx.Timeout(timeout, connect=5.0),
            verify=_trusted(),
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
        answer = self._send(
            "POST", path, params=query, content=content, headers={"Content-Type": kind}
        )
        return self._json(answer)

    def upload(
        self, path: str, file: IO[bytes], *, name: str, meta: BaseModel, **query: Any
    ) -> Any:
        """A file with its description, as multipart; the file is read in pieces."""
        answer = self._send(
            "POST",
            path,
            params=query,
            data={"meta": meta.model_dump_json()},
            files={"file": (name, file, "application/octet-stream")},
            timeout=httpx.Timeout(300.0, connect=5.0),
        )
        return self._json(answer)

    def download(self, path: str, target: Path, *, sha256: str) -> Path:
        """Bytes into `target`, which appears only when they are complete and right.

        What a broken download has brought stays beside it and is gone on from. Of several
        processes that want the same file one fetches it; the others wait for it.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        with part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if target.exists():
                part.unlink(missing_ok=True)
                return target
            self._resume(path, file, part)
            with part.open("rb") as whole:
                right = hashlib.file_digest(whole, "sha256").hexdigest() == sha256
            if not right:
                file.truncate(0)
                raise Unreachable(f"What came from {path} is not what was asked for.")
            part.replace(target)
        return target

    def ask_leave(self, path: str, *, sha256: str) -> None:
        """Whether what `path` gives may be read, by one who has its bytes already: they do not
        come again. Raises Refused where it may not."""
        headers = {"If-None-Match": f'"{sha256}"', "Range": "bytes=0-0"}
        try:
            with self._http.stream("GET", path, headers=headers) as answer:
                if answer.is_error:
                    answer.read()
                if answer.status_code != UNCHANGED:
                    _check(answer)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.url} does not answer: {error}") from error

    def _resume(self, path: str, file: IO[bytes], part: Path) -> None:
        """The rest of what `file` holds, or all of it from a server that knows no ranges."""
        known = part.stat().st_size
        headers = {"Accept-Encoding": "identity"}
        if known:
            headers["Range"] = f"bytes={known}-"
        try:
            with self._http.stream("GET", path, headers=headers) as answer:
                if answer.status_code == BEYOND:
                    # All of it is there already, or it is something else; the digest tells.
                    return
                if answer.is_error:
                    answer.read()
                _check(answer)
                if answer.status_code != PARTIAL:
                    file.truncate(0)
                elif not answer.headers.get("Content-Range", "").startswith(f"bytes {known}-"):
                    raise Unreachable(f"{self.url} answers with another part than was asked for.")
                for piece in answer.iter_bytes():
                    file.write(piece)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.url} does not answer: {error}") from error
        finally:
            file.flush()

    def _send(self, method: str, path: str, **how: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **how)
        except httpx.HTTPError as error:
            raise Unreachable(f"{self.url} does not answer: {error}") from error
        _check(answer)
        return answer

    def _json(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except json.JSONDecodeError as error:
            raise Unreachable(f"{self.url} does not answer as a portal does.") from error


@cache
def _trusted() -> ssl.SSLContext:
    """Which certificates to believe, read once for the process: 20 ms, and each recording of a
    dataset is fetched by a transport of its own."""
    return httpx.create_ssl_context()


def _check(answer: httpx.Response) -> None:
    status = answer.status_code
    if 400 <= status < 500 and status not in AGAIN:
        raise Refused(status, _sentence(answer))
    # A redirect is no portal's answer: a proxy or a log-in page stands in between.
    if status >= 300:
        kind = Broken if status in BROKEN else Unreachable
        raise kind(f"The portal answered {status}: {_sentence(answer)}")


def _sentence(answer: httpx.Response) -> str:
    try:
        said = answer.json()
    except ValueError:
        return f"{answer.status_code} {answer.reason_phrase}"
    detail = said.get("detail", said) if isinstance(said, dict) else said
    if isinstance(detail, str):
        return detail
    if isinstance(detail, list) and detail and all(isinstance(error, dict) for error in detail):
        # The fields that were refused: `body.step: Input should be less than ...`
        return "; ".join(map(_field_and_reason, detail))[:500]
    return json.dumps(detail)[:500]


def _field_and_reason(error: dict[str, Any]) -> str:
    # The first is where it was sent, and the second what the portal calls it.
    place = ".".join(str(part) for part in error.get("loc", [])[2:])
    said = str(error.get("msg", "it is wrong")).removeprefix("Value error, ")
    return f"{place}: {said}" if place else said


def persist(act: Callable[[], T], *, seconds: float) -> T:
    """`act`, again and again with growing pauses while the portal is unreachable.

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
