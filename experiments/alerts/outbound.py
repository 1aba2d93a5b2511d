"""The one door to addresses that people enter: POST to a public https address, and nothing else.

A webhook's address is chosen by a person, and the portal's own network must not be reached with it.
So a name is resolved here, each of its addresses is checked, and the connection goes to an address
that was checked: a name that answers something else the next moment changes nothing. Redirects are
not followed, no proxy and no netrc is used, and neither a slow nor an endless answer takes longer
than LIMIT_SECONDS or more memory than ANSWER_BYTES. A host in WEBHOOK_HOSTS is excepted: it may be
private, and may speak http.

Numbers as hosts ("2130706433", "0x7f.1") need no rule: they are checked once they are resolved.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol
from urllib.parse import urlsplit

import httpcore
from django.conf import settings

from portal.database import long_work

LIMIT_SECONDS = 10.0
CONNECT_SECONDS = 5.0
ANSWER_BYTES = 4_096
LONGEST_URL = 500
PORTS = {"https": 443, "http": 80}
# Beyond what Python calls private: protocol assignments and relays, which its versions judge
# differently, and what stands for an IPv4 address inside: NAT64, 6to4, Teredo, IPv4-compatible.
SPECIAL = [
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "64:ff9b::/96", "64:ff9b:1::/48",
        "2002::/16", "2001::/32", "::/96", "fec0::/10",
    )
]  # fmt: skip


class Forbidden(ValueError):
    """This address is not one that the portal sends to; the message says why."""

    code = "forbidden_address"


class Unreachable(ConnectionError):
    """No answer came; the message says why."""


@dataclass(frozen=True)
class Answer:
    """What came back: the status, and the start of the body."""

    status: int
    text: str


class Resolver(Protocol):
    """Finds the addresses of a name."""

    def resolve(self, host: str, port: int) -> list[str]:
        """Return the addresses as texts; raises OSError if there is none."""
        ...


class SystemResolver:
    """Asks this machine: its hosts file and its name servers."""

    def resolve(self, host: str, port: int) -> list[str]:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class FixedResolver:
    """Knows some names and no others, for tests and for looking at what would be refused."""

    addresses: dict[str, list[str]]

    def resolve(self, host: str, port: int) -> list[str]:  # noqa: ARG002 - the Protocol's.
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.addresses[host]


def check_url(text: str) -> tuple[str, str]:
    """Return the address as it is used, and its host. Raises Forbidden for what can never be sent
    to; whether it is public is known only when it is connected to."""
    text = text.strip()
    if len(text) > LONGEST_URL or not text.isascii() or not text.isprintable() or " " in text:
        raise Forbidden(f"Write an address of at most {LONGEST_URL} plain characters.")
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise Forbidden("This is no address: check its host and port.") from None
    if parts.scheme not in PORTS or not host:
        raise Forbidden("Write a whole address that begins with https://.")
    if parts.scheme == "http" and not is_allowed(host):
        raise Forbidden("Only https:// is sent to: others could read what goes there.")
    if "@" in parts.netloc:
        raise Forbidden("An address with a user name in it is not sent to.")
    if parts.fragment:
        raise Forbidden("Leave out what follows #: it is never sent.")
    if port == 0:
        raise Forbidden("This is no address: check its host and port.")
    if _is_address(host):
        check_address(host, host)
    return text, host


def check_address(address: str, host: str) -> None:
    """Raise Forbidden unless the address is public, or its host is allowed by the settings."""
    # An address with a zone (fe80::1%eth0) is of this machine's own network.
    found = ipaddress.ip_address(address.partition("%")[0])
    if is_allowed(host):
        return
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or found
    public = found.is_global and not found.is_multicast and not found.is_reserved
    if not public or any(found in network for network in SPECIAL):
        raise Forbidden(
            # Without the address: nobody learns the portal's network from its refusals.
            f"{host} leads to this machine or to a private network. An operator can allow a host "
            "by WEBHOOK_HOSTS."
        )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def is_allowed(host: str) -> bool:
    return host.strip("[]").lower() in settings.WEBHOOK_HOSTS


def post(
    url: str, body: bytes, headers: dict[str, str], *, resolver: Resolver | None = None
) -> Answer:
    """POST the body; return the answer, whatever its status. Raises Forbidden and Unreachable."""
    long_work.forbid_in_transaction("Sending to another machine")
    url, host = check_url(url)
    backend = CheckedNetwork(resolver or SystemResolver(), until=time.monotonic() + LIMIT_SECONDS)
    sent = {"Connection": "close", **headers}
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=_trusted(), network_backend=backend, max_connections=1, retries=0
            ) as pool,
            pool.stream("POST", url, headers=list(sent.items()), content=body) as response,
        ):
            return Answer(response.status, _start(response.iter_stream()))
    except httpcore.TimeoutException:
        raise Unreachable(f"{host} did not answer within {LIMIT_SECONDS:.0f} s.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
        raise Unreachable(f"{host} could not be reached: {_words(error)}") from error


class CheckedNetwork(httpcore.NetworkBackend):
    """Connects to checked addresses only, and gives up at one moment, however the time passed."""

    def __init__(self, resolver: Resolver, *, until: float) -> None:
        self._resolver, self._until = resolver, until
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's signature; the end is ours.
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        name = host.strip("[]").lower()
        addresses = self._addresses(name, port)
        for address in addresses:
            check_address(address, name)
        error: Exception | None = None
        for address in addresses[:3]:
            try:
                seconds = min(CONNECT_SECONDS, _left(self._until))
                stream = self._network.connect_tcp(
                    address, port, seconds, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failure:
                error = failure
            else:
                return LimitedStream(stream, self._until)
        raise error or httpcore.ConnectError(f"{name} has no address.")

    def _addresses(self, name: str, port: int) -> Sequence[str]:
        try:
            return self._resolver.resolve(name, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"nobody knows this name ({_words(error)})") from error


class LimitedStream(httpcore.NetworkStream):
    """A connection that ends at one moment: an answer that drips would else never end."""

    def __init__(self, stream: httpcore.NetworkStream, until: float) -> None:
        self._stream, self._until = stream, until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, _left(self._until))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, _left(self._until))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, _left(self._until))
        return LimitedStream(stream, self._until)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


def _left(until: float) -> float:
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout("The time is over.")
    return seconds


def _start(pieces: Iterable[bytes]) -> str:
    """Return the start of a body; the rest is not read."""
    read = b""
    for piece in pieces:
        read += piece
        if len(read) >= ANSWER_BYTES:
            break
    return read[:ANSWER_BYTES].decode("utf-8", "replace")


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


@cache
def _trusted() -> ssl.SSLContext:
    return httpcore.default_ssl_context()
