"""Signed roots: what the log was at a moment, in a form that cannot be taken back.

The leaves of the tree (portal/audit/merkle.py) are the hashes of the lines, in their order. A root
is signed with Ed25519 over canonical JSON; who keeps one elsewhere can tell for ever whether the
log still begins with the lines that it was signed over.
"""

import hashlib
from datetime import timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from portal.audit.chain import GENESIS, canonical
from portal.audit.merkle import Frontier
from portal.models import AuditEvent, LogRoot

KIND = "backline.audit.root/1"


class Broken(RuntimeError):
    """The log is not what it was; the sentence says where. `manage.py audit verify` says all."""


# --- Keys --------------------------------------------------------------------------------------


def key_id(public_key: str) -> str:
    """The first 16 digits of the SHA-256 of a public key, which is given in hexadecimal digits."""
    return hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[:16]


def public_key() -> str:
    """The public half of AUDIT_KEY, in hexadecimal digits."""
    return private_key().public_key().public_bytes_raw().hex()


def trusted_keys() -> dict[str, str]:
    """Key id to public key: the one in use first, then those of AUDIT_OLD_KEYS."""
    return {key_id(key): key for key in (public_key(), *settings.AUDIT_OLD_KEYS)}


def private_key() -> Ed25519PrivateKey:
    """AUDIT_KEY, for what is signed besides roots: portal/endings."""
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(settings.AUDIT_KEY))


# --- Statements --------------------------------------------------------------------------------


def statement(root: LogRoot) -> dict[str, Any]:
    """What is signed of a root. `kind` keeps the signature from being good for anything else."""
    return {
        "kind": KIND,
        "portal": root.portal,
        "size": root.size,
        "root": root.root,
        "at": root.at.isoformat(),
        "previous": root.previous,
    }


def digest(stated: dict[str, Any]) -> str:
    """By this the next root names the one before it."""
    return hashlib.sha256(canonical(stated)).hexdigest()


def signature_is_good(stated: dict[str, Any], signature: str, key: str) -> bool:
    try:
        known = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        known.verify(bytes.fromhex(signature), canonical(stated))
    except (InvalidSignature, ValueError):
        return False
    return True


# --- Signing -----------------------------------------------------------------------------------


def sign_root() -> LogRoot | None:
    """Sign the lines that there are; the newest root, new or not, or None for an empty log.

    It reads only the lines since the last root. Two that sign at once end with one root. Raises
    Broken where the last root does not hold or a line is missing.
    """
    last = LogRoot.objects.order_by("-size").first()
    newest = AuditEvent.objects.order_by("-seq").values_list("seq", flat=True).first() or 0
    if newest <= (last.size if last else 0):
        return last
    frontier = _grown(last, newest)
    root = LogRoot(
        size=frontier.size,
        root=frontier.root().hex(),
        at=timezone.now(),
        portal=settings.PORTAL_URL,
        previous=digest(statement(last)) if last else GENESIS,
        frontier=[digest.hex() for digest in frontier.hashes],
    )
    key = private_key()
    root.key_id = key_id(key.public_key().public_bytes_raw().hex())
    root.signature = key.sign(canonical(statement(root))).hex()
    try:
        with transaction.atomic():
            root.save(force_insert=True)
    except IntegrityError:
        # Somebody else signed meanwhile; `previous` is unique, so there is no fork of roots.
        return LogRoot.objects.order_by("-size").first()
    return root


def sign_due() -> LogRoot | None:
    """Sign where lines have waited for AUDIT_ROOT_MINUTES, or there are AUDIT_ROOT_LINES of them.

    The new root, or None where it is not time yet.
    """
    last = LogRoot.objects.order_by("-size").values_list("size", flat=True).first() or 0
    waiting = AuditEvent.objects.filter(seq__gt=last).order_by("seq")
    oldest, newest = waiting.first(), waiting.last()
    if oldest is None or newest is None:
        return None
    due = timezone.now() - timedelta(minutes=settings.AUDIT_ROOT_MINUTES)
    if oldest.at > due and newest.seq - last < settings.AUDIT_ROOT_LINES:
        return None
    return sign_root()


def _grown(last: LogRoot | None, size: int) -> Frontier:
    """The frontier of the first `size` lines, grown from that of the last root."""
    frontier = Frontier()
    if last is not None:
        frontier = _frontier_of(last)
    lines = AuditEvent.objects.filter(seq__gt=frontier.size, seq__lte=size)
    for seq, hashed in lines.order_by("seq").values_list("seq", "hash").iterator(5000):
        if seq != frontier.size + 1:
            raise Broken(f"Line {frontier.size + 1} is missing: no root is signed over a gap.")
        frontier.append(bytes.fromhex(hashed))
    return frontier


def _frontier_of(root: LogRoot) -> Frontier:
    """As it was kept. It is as trustworthy as the signature of the root that follows from it."""
    key = trusted_keys().get(root.key_id)
    frontier = Frontier(root.size, [bytes.fromhex(digest) for digest in root.frontier])
    if (
        key is None
        or not signature_is_good(statement(root), root.signature, key)
        or frontier.root().hex() != root.root
        or len(frontier.hashes) != root.size.bit_count()
    ):
        raise Broken(f"The root of {root.size} lines does not hold: none is signed after it.")
    return frontier
