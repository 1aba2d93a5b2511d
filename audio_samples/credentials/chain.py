"""The certificates that credentials are signed with, and those that are trusted.

A folder holds three PEM files: `chain.pem` (the signer's certificate first, its issuers after it),
`key.pem` (its private key, PKCS#8, P-256) and `anchors.pem` (the roots that are trusted: ours, and
earlier ones). Where no folder is configured, a chain of our own is made beside the database when it
is first needed: files signed with it are trusted here, and no other software knows it.

C2PA 2.2, section 14.5, says what a certificate must be; the tool refuses to sign with any other.
"""

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from django.conf import settings
from django.utils import timezone

# Without a time stamp a credential is trusted as long as its certificate is valid.
YEARS = 10
# The clock of whoever checks may be slow.
CLOCK_SKEW = timedelta(hours=1)
RENEW_WITHIN = timedelta(days=30)


class NoChain(RuntimeError):
    """There are no usable certificates; the sentence is for an operator."""


@dataclass(frozen=True)
class Chain:
    """PEM texts, and the path of the key, which only the signing process reads."""

    chain: str
    key: Path
    anchors: str

    @property
    def signer(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.chain.encode())


def load() -> Chain:
    """Return the chain to sign with; raises NoChain."""
    folder = _folder()
    try:
        chain = Chain(
            _text(folder / "chain.pem"), folder / "key.pem", _text(folder / "anchors.pem")
        )
        chain.key.stat()
        until = chain.signer.not_valid_after_utc
    except (OSError, ValueError) as error:
        raise NoChain(f"There is no certificate to sign files with: {error}") from error
    if until <= timezone.now():
        raise NoChain(f"The certificate that signs files has expired on {until:%Y-%m-%d}.")
    return chain


def anchors() -> str:
    """Return the trusted roots as PEM; raises NoChain."""
    try:
        return _text(_folder() / "anchors.pem")
    except (OSError, ValueError) as error:
        raise NoChain(f"There are no certificates to check files with: {error}") from error


def check_chain() -> tuple[bool, str]:
    """Return whether files can be signed, and a sentence for operators."""
    try:
        signer = load().signer
    except NoChain as error:
        return False, str(error)
    until, name = signer.not_valid_after_utc, signer.subject.rfc4514_string()
    if until - timezone.now() < RENEW_WITHIN:
        return False, f"The certificate of {name} expires on {until:%Y-%m-%d}: renew it."
    return True, f"Signed by {name} until {until:%Y-%m-%d}."


def make(folder: Path, organisation: str, trusted: bytes = b"") -> None:
    """Make a root and a signer of our own in a new folder, all or nothing (OSError).

    `trusted` are earlier anchors, as PEM: what was signed under them stays valid.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f"{folder.name}.{os.getpid()}.new")
    draft.mkdir(mode=0o700)
    try:
        for name, data in _make_pem_files(organisation).items():
            path = draft / name
            path.touch(mode=0o600)
            path.write_bytes(data + (trusted if name == "anchors.pem" else b""))
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _folder() -> Path:
    if settings.CREDENTIALS_DIR is not None:
        return settings.CREDENTIALS_DIR
    folder: Path = settings.STATE_DIR / "credentials"
    if not folder.exists():
        # Another process may have made it first; whoever reads it reports any other fault.
        with suppress(OSError):
            make(folder, "Backline, made by itself")
    return folder


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii")


def _make_pem_files(organisation: str) -> dict[str, bytes]:
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name = _name(organisation, "root of content credentials")
    root = (
        _draft(root_name, root_name, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False
        )
        .sign(root_key, hashes.SHA256())
    )
    signer = (
        _draft(_name(organisation, "content credentials"), root_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
            critical=False,
        )
        .sign(root_key, hashes.SHA256())
    )
    pem = root.public_bytes(Encoding.PEM)
    return {
        "chain.pem": signer.public_bytes(Encoding.PEM) + pem,
        "key.pem": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        # The root's key is discarded: it never signs anything else.
        "anchors.pem": pem,
    }


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now: datetime = timezone.now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=365 * YEARS))
    )


def _name(organisation: str, purpose: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organisation}: {purpose}"[:64]),
        ]
    )


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
