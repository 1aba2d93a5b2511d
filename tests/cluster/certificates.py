"""Throw-away certificates: one authority that everything in a test cluster trusts."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=7)
LOOPBACK = ipaddress.ip_address("127.0.0.1")


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """Signs who is who. Its files, and those of everybody it knows, lie in one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True)
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("test-authority", "")
        itself = (
            _builder(self._name, self._key.public_key())
            .issuer_name(self._name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
            )
        ).sign(self._key, hashes.SHA256())
        self.pair = self._write("authority", itself, self._key)

    def issue(self, name: str, *, group: str = "", serves: tuple[str, ...] = ()) -> Pair:
        """A certificate for `name`, once: a client's, and a server's too where it `serves`
        under names besides 127.0.0.1. Kubernetes reads user and group from its subject."""
        label = name.replace(":", "-")
        if (self.folder / f"{label}.crt").exists():
            return Pair(self.folder / f"{label}.crt", self.folder / f"{label}.key")
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(serve) for serve in serves]
        certificate = (
            _builder(_name(name, group), key.public_key())
            .issuer_name(self._name)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
                ),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK), *names]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        ).sign(self._key, hashes.SHA256())
        return self._write(label, certificate, key)

    def signing_keys(self) -> Pair:
        """The key with which service accounts' tokens are signed, and its public half."""
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        public = self.folder / "service-accounts.pub"
        public.write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
        private = self.folder / "service-accounts.key"
        private.write_bytes(_pem(key))
        return Pair(public, private)

    def client_context(self, pair: Pair) -> ssl.SSLContext:
        """For calls to servers of this authority, as the one whose pair it is."""
        context = ssl.create_default_context(cafile=self.pair.certificate)
        context.load_cert_chain(pair.certificate, pair.key)
        return context

    def server_context(self, pair: Pair) -> ssl.SSLContext:
        """For a server that answers only whom this authority knows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        context.load_verify_locations(self.pair.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _write(
        self, label: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
    ) -> Pair:
        pair = Pair(self.folder / f"{label}.crt", self.folder / f"{label}.key")
        pair.key.write_bytes(_pem(key))
        pair.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        return pair


def _name(name: str, group: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if group:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(parts)


def _builder(subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFETIME)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: CertificateIssuerPrivateKeyTypes) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
