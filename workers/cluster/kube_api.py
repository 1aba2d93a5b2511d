"""HTTP with a Kubernetes API server: JSON in, JSON out, and what its refusals mean for us.

Connection, credentials and TLS are the `kubernetes` package's; the answers stay plain JSON,
because making its model objects of a thousand pods takes longer than everything else.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import urllib3

from workers.cluster import Refused, Unavailable

Raw = dict[str, Any]
CONNECT_SECONDS, READ_SECONDS = 3.0, 15.0
MERGE = "application/merge-patch+json"
# An admission webhook chooses its own status, so only its message identifies it.
DENIED = re.compile(r"admission webhook .* denied the request:? ?(.*)", re.DOTALL)


class Answer(RuntimeError):
    """The server answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Door:
    """The only connection to the server. `api` is a kubernetes.client.ApiClient."""

    def __init__(self, api: Any) -> None:
        self._api = api
        self._skew = timedelta()

    def now(self) -> datetime:
        """Return the time by the server's clock, which wrote the times that it is compared with."""
        return datetime.now(UTC) + self._skew

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Raw:
        return self._json("GET", path, query)

    def post(self, path: str, body: Raw) -> Raw:
        return self._json("POST", path, body=body)

    def patch(self, path: str, body: Raw) -> Raw:
        return self._json("PATCH", path, body=body, content=MERGE)

    def delete(self, path: str, **options: Any) -> Raw:
        body = {"kind": "DeleteOptions", "apiVersion": "v1", **options}
        return self._json("DELETE", path, body=body)

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        content: bytes = self._send("GET", path, query).data
        return content.decode(errors="replace")

    @contextmanager
    def lines(self, path: str, query: Mapping[str, str], *, read: float) -> Iterator[Iterator[Raw]]:
        """A watch: one JSON object for each line, until the server or the network ends it."""
        response = self._send("GET", path, query, stream=True, read=read)
        try:
            yield _objects(response)
        finally:
            response.close()

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Raw | None = None,
        content: str = "application/json",
    ) -> Raw:
        response = self._send(method, path, query, body=body, content=content)
        try:
            answer: Raw = json.loads(response.data)
        except ValueError as error:
            raise Unavailable("What answers for the cluster is no Kubernetes API.") from error
        return answer

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Raw | None = None,
        content: str = "application/json",
        stream: bool = False,
        read: float = READ_SECONDS,
    ) -> Any:
        headers = {"Accept": "application/json, */*", "Content-Type": content}
        headers |= {"User-Agent": "backline"} | self._credentials()
        url = self._api.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        try:
            response = self._api.rest_client.pool_manager.request(
                method,
                url,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                preload_content=not stream,
                # The next pass asks again; a client that repeats itself would hide the outage.
                retries=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read),
            )
            if response.status >= 300 and stream:
                response.read(cache_content=True)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(f"The cluster does not answer ({_short(error)}).") from error
        self._compare_clocks(response.headers.get("Date"))
        if response.status >= 300:
            raise Answer(response.status, _message(response.data))
        return response

    def _credentials(self) -> dict[str, str]:
        """Read anew each time: a token that is mounted into the pod is renewed while it runs."""
        settings = self._api.configuration.auth_settings().values()
        return {
            parameter["key"]: parameter["value"]
            for parameter in settings
            if parameter["in"] == "header"
        }

    def _compare_clocks(self, date: str | None) -> None:
        if date:
            skew = parsedate_to_datetime(date) - datetime.now(UTC)
            # The header has whole seconds: a skew of less than two says nothing.
            self._skew = skew if abs(skew) > timedelta(seconds=2) else timedelta()


def refusal(answer: Answer) -> Refused | Unavailable:
    """Return what an error on creating an object means: a refusal for the person, or try again."""
    message = str(answer)
    denial = DENIED.search(message)
    if denial:
        return Refused(f"The cluster's rules refuse it: {denial[1] or message}")
    if answer.status == 403 and "cannot " in message and "exceeded quota" not in message:
        return Unavailable(f"The portal lacks a permission in the cluster: {message}")
    if answer.status in (400, 403, 422):
        detail = message.partition(" is forbidden: ")[2] or message
        return Refused(f"The cluster refuses it: {detail}")
    return trouble(answer)


def trouble(answer: Answer) -> Unavailable:
    """Return what an error means when nothing about the job itself can be wrong."""
    if answer.status == 401:
        return Unavailable("The cluster does not accept the portal's credentials.")
    return Unavailable(f"The cluster answers with error {answer.status}: {answer}")


def _objects(response: Any) -> Iterator[Raw]:
    try:
        partial = b""
        for chunk in response.stream(65536, decode_content=True):
            *lines, partial = (partial + chunk).split(b"\n")
            for line in lines:
                if line:
                    yield json.loads(line)
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise Unavailable(f"The watch broke off ({_short(error)}).") from error


def _message(content: bytes) -> str:
    text = content.decode(errors="replace")
    try:
        status = json.loads(text)
    except ValueError:
        return text.strip()[:300]
    return str(status.get("message", "")) if isinstance(status, dict) else text[:300]


def _short(error: Exception) -> str:
    """Return the innermost error message, without addresses of objects."""
    text = str(error).rpartition(": ")[2].strip(" )('\"")
    return text[:120] or type(error).__name__
