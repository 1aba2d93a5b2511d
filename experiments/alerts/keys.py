"""What is secret about a webhook: its address, encrypted, and the secret that signs, derived.

Both rest on SECRET_KEY. A portal with another key can read no address and signs with other secrets:
its owners enter the webhooks again.
"""

import base64
import hashlib
import hmac
import secrets

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

# Signatures that are older should be refused by whoever receives them.
GOOD_FOR_SECONDS = 300


class Unreadable(ValueError):
    """The portal's key has changed since this was encrypted."""

    code = "unreadable"


def new_nonce() -> str:
    return secrets.token_urlsafe(32)


def secret_of(nonce: str) -> str:
    """Return the secret that goes with a webhook's nonce: the same each time, stored nowhere."""
    digest = hmac.new(_key("webhook secret"), nonce.encode(), hashlib.sha256).digest()
    return "whsec_" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def signature(secret: str, body: bytes, *, at: int) -> str:
    """Return the header Backline-Signature: HMAC-SHA256 over the time, a dot and the body."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={signed.hexdigest()}"


def seal(text: str) -> str:
    return _fernet().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Return what was sealed; raises Unreadable."""
    try:
        return _fernet().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable(
            "The portal's SECRET_KEY has changed since this address was entered. Enter it again."
        ) from None


def _fernet() -> Fernet:
    return Fernet(base64.urlsafe_b64encode(_key("webhook address")))


def _key(use: str) -> bytes:
    """Return 32 bytes for one use: no two uses share a key."""
    return hmac.new(
        settings.SECRET_KEY.encode(), f"backline {use}".encode(), hashlib.sha256
    ).digest()
