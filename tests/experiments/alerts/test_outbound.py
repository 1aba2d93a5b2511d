"""The portal sends to public addresses by https, and reaches nothing of its own network."""

import contextlib
import datetime as dt
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import LazySettings

from experiments.alerts import outbound
from tests.experiments.alerts.receiver import Receiver, receiving

PRIVATE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0",  # noqa: S104
    "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "192.0.0.8", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1",
    "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1",
    "2002:7f00:1::", "2002:a00:1::1", "2001:0:7f00:1::",
]  # fmt: skip


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def names(*addresses: str) -> outbound.FixedResolver:
    return outbound.FixedResolver({"hooks.example.com": list(addresses)})


def post(url: str, *addresses: str) -> outbound.Answer:
    return outbound.post(url, b"{}", {}, resolver=names(*addresses))


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_leads_to_a_private_address_is_refused_before_anything_is_sent(
    address: str,
) -> None:
    with pytest.raises(outbound.Forbidden, match="private network"):
        post("https://hooks.example.com/x", address)


def test_one_private_address_among_public_ones_is_enough() -> None:
    with pytest.raises(outbound.Forbidden):
        post("https://hooks.example.com/x", "93.184.216.34", "127.0.0.1")


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_addresses_are_sent_to(address: str) -> None:
    outbound.check_address(address, "hooks.example.com")


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://[::1]/x", "https://169.254.169.254/latest/meta-data/",
        "https://10.0.0.7:8443/", "https://[::ffff:10.0.0.7]/", "https://[fe80::1]/",
        "http://93.184.216.34/", "http://hooks.example.com/", "ftp://hooks.example.com/",
        "file:///etc/passwd", "gopher://x/", "//hooks.example.com/", "hooks.example.com", "",
        "https://user:pass@hooks.example.com/", "https://hooks.example.com@127.0.0.1/",
        "https:///x", "https://hooks.example.com:99999/", "https://hooks.example.com:0/",
        "https://hooks.example.com/#part", "https://hooks.example.com/a b", "https://[::1",
        "https://hooks.exämple.com/", "https://hooks.example.com/\r\nX-Evil: 1",
        "https://hooks.example.com/" + "a" * 600,
    ],
)  # fmt: skip
def test_an_address_that_is_never_sent_to_is_refused_where_it_is_entered(url: str) -> None:
    with pytest.raises(outbound.Forbidden) as refusal:
        outbound.check_url(url)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
    "url", ["https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/"]
)
def test_numbers_in_place_of_a_host_are_checked_as_the_machine_reads_them(url: str) -> None:
    # The system's own resolver: it needs no network for a number.
    with pytest.raises(outbound.Forbidden, match="private network"):
        outbound.post(url, b"{}", {})


def test_localhost_is_refused_as_what_it_leads_to() -> None:
    with pytest.raises(outbound.Forbidden):
        outbound.post("https://localhost:1/", b"{}", {})


def test_the_connection_goes_to_the_address_that_was_checked(
    receiver: Receiver, settings: LazySettings
) -> None:
    """A name that answers otherwise the next moment changes nothing: it is asked once."""

    class Rebinding:
        asked = 0

        def resolve(self, host: str, port: int) -> list[str]:  # noqa: ARG002
            self.asked += 1
            return ["93.184.216.34"] if self.asked > 1 else ["127.0.0.1"]

    resolver = Rebinding()
    url = receiver.url.replace("127.0.0.1", "hooks.example.com")
    settings.WEBHOOK_HOSTS = {"hooks.example.com"}
    assert outbound.post(url, b"{}", {}, resolver=resolver).status == 200
    assert (resolver.asked, len(receiver.got)) == (1, 1)
    assert receiver.got[0].headers["Host"] == url.split("/")[2]


def test_a_host_of_the_setting_may_be_private_and_no_other(
    receiver: Receiver, settings: LazySettings
) -> None:
    settings.WEBHOOK_HOSTS = {"127.0.0.1"}
    assert outbound.post(receiver.url, b"{}", {}).text == "All right."
    with pytest.raises(outbound.Forbidden):
        post("https://hooks.example.com/x", "127.0.0.1")


def test_redirects_are_not_followed(receiver: Receiver, settings: LazySettings) -> None:
    settings.WEBHOOK_HOSTS = {"127.0.0.1"}
    receiver.answers = [302]
    assert outbound.post(receiver.url, b"{}", {}).status == 302
    assert len(receiver.got) == 1


def test_of_an_endless_answer_only_the_start_is_read(
    receiver: Receiver, settings: LazySettings
) -> None:
    settings.WEBHOOK_HOSTS = {"127.0.0.1"}
    receiver.manner = "endless"
    assert len(outbound.post(receiver.url, b"{}", {}).text) == outbound.ANSWER_BYTES


def test_an_answer_that_drips_ends_with_the_time_for_all_of_it(
    receiver: Receiver, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_HOSTS = {"127.0.0.1"}
    monkeypatch.setattr(outbound, "LIMIT_SECONDS", 0.4)
    receiver.manner = "slow"
    began = time.monotonic()
    with pytest.raises(outbound.Unreachable, match="did not answer within"):
        outbound.post(receiver.url, b"{}", {})
    assert time.monotonic() - began < 3


def test_headers_that_drip_end_with_it_too(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dripping(BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            try:
                while True:
                    self.request.sendall(b"x")
                    time.sleep(0.05)
            except OSError:
                pass

    settings.WEBHOOK_HOSTS = {"127.0.0.1"}
    monkeypatch.setattr(outbound, "LIMIT_SECONDS", 0.4)
    with serving(Dripping) as port, pytest.raises(outbound.Unreachable):
        outbound.post(f"http://127.0.0.1:{port}/", b"{}", {})


def test_no_proxy_of_the_environment_is_used(
    receiver: Receiver, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_HOSTS = {"127.0.0.1"}
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert outbound.post(receiver.url, b"{}", {}).status == 200


@pytest.mark.parametrize("answer", [b"", b"\x00\xff nonsense\r\n\r\n", b"HTTP/1.1 banana\r\n\r\n"])
def test_what_is_no_http_is_an_error_with_a_sentence(settings: LazySettings, answer: bytes) -> None:
    class Strange(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            self.request.sendall(answer)

    settings.WEBHOOK_HOSTS = {"127.0.0.1"}
    with (
        serving(Strange) as port,
        pytest.raises(outbound.Unreachable, match="could not be reached"),
    ):
        outbound.post(f"http://127.0.0.1:{port}/", b"{}", {})


def test_a_certificate_of_somebody_else_is_refused(settings: LazySettings, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))

    class Tls(BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                context.wrap_socket(self.request, server_side=True)

    settings.WEBHOOK_HOSTS = {"127.0.0.1"}
    with serving(Tls) as port, pytest.raises(outbound.Unreachable, match="certificate verify"):
        outbound.post(f"https://127.0.0.1:{port}/", b"{}", {})


def test_a_name_that_nobody_knows_is_unreachable() -> None:
    with pytest.raises(outbound.Unreachable, match="nobody knows this name"):
        outbound.post("https://nowhere.example.com/", b"{}", {}, resolver=names())


class serving:  # noqa: N801 - it reads as what it does.
    """A server of one kind on the loopback, for as long as the block lasts."""

    def __init__(self, handler: type[BaseRequestHandler]) -> None:
        self.server = ThreadingTCPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        # The handlers of connections that drip end with the process.
        self.server.block_on_close = False

    def __enter__(self) -> int:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return int(self.server.server_address[1])

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


def self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "both.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
