"""Signed roots: what the log was at a moment, in a form that cannot be taken back.

The leaves of the tree (portal/audit/merkle.py) are the hashes of the lines, in their order. A root
is signed with Ed25519 over canonical JSON; whoever stores one elsewhere can always check whether
the log still begins with the lines that it was signed over.
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
    """The log was changed; the message says where. `manage.py audit verify` lists every place."""


# --- Keys --------------------------------------------------------------------------------------


def key_id(public_key: str) -> str:
    """Return the first 16 digits of the SHA-256 of a public key, given in hexadecimal digits."""
    return hashlib.sha256(bytes.fromhex(public_key)).hexdigest()[:16]


def public_key() -> str:
    """Return the public half of AUDIT_KEY, in hexadecimal digits."""
    return private_key().public_key().public_bytes_raw().hex()


def trusted_keys() -> dict[str, str]:
    """Return public keys by key id: the one in use first, then those of AUDIT_OLD_KEYS."""
    return {key_id(key): key for key in (public_key(), *settings.AUDIT_OLD_KEYS)}


def private_key() -> Ed25519PrivateKey:
    """Return AUDIT_KEY. Besides roots it signs the journal of endings (portal/endings)."""
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(settings.AUDIT_KEY))


# --- Statements --------------------------------------------------------------------------------


def statement(root: LogRoot) -> dict[str, Any]:
    """Return what is signed of a root. `kind` makes the signature invalid for anything else."""
    return {
        "kind": KIND,
        "portal": root.portal,
        "size": root.size,
        "root": root.root,
        "at": root.at.isoformat(),
        "previous": root.previous,
    }


def statement_digest(payload: dict[str, Any]) -> str:
    """Return the digest by which the next root names the one before it."""
    return hashlib.sha256(canonical(payload)).hexdigest()


def signature_is_good(payload: dict[str, Any], signature: str, key: str) -> bool:
    try:
        verifier = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        verifier.verify(bytes.fromhex(signature), canonical(payload))
    except (InvalidSignature, ValueError):
        return False
    return True


# --- Signing -----------------------------------------------------------------------------------


def sign_root() -> LogRoot | None:
    """Sign the lines so far; return the newest root, new or not, or None for an empty log.

    It reads only the lines since the last root. If two sign at once, one root is stored. Raises
    Broken if the last root does not hold or a line is missing.
    """
    last = LogRoot.objects.order_by("-size").first()
    newest = AuditEvent.objects.order_by("-seq").values_list("seq", flat=True).first() or 0
    if newest <= (last.size if last else 0):
        return last
    frontier = _grow_frontier(last, newest)
    root = LogRoot(
        size=frontier.size,
        root=frontier.root().hex(),
        at=timezone.now(),
        portal=settings.PORTAL_URL,
        previous=statement_digest(statement(last)) if last else GENESIS,
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
    """Sign if lines have waited for AUDIT_ROOT_MINUTES, or there are AUDIT_ROOT_LINES of them.

    Return the new root, or None if it is not due yet.
    """
    last = LogRoot.objects.order_by("-size").values_list("size", flat=True).first() or 0
    waiting = AuditEvent.objects.filter(seq__gt=last).order_by("seq")
    oldest, newest = waiting.first(), waiting.last()
    if oldest is None or newest is None:
        return None
    cutoff = timezone.now() - timedelta(minutes=settings.AUDIT_ROOT_MINUTES)
    if oldest.at > cutoff and newest.seq - last < settings.AUDIT_ROOT_LINES:
        return None
    return sign_root()


def _grow_frontier(last: LogRoot | None, size: int) -> Frontier:
    """Return the frontier of the first `size` lines, grown from that of the last root."""
    frontier = Frontier()
    if last is not None:
        frontier = _frontier_of(last)
    lines = AuditEvent.objects.filter(seq__gt=frontier.size, seq__lte=size)
    for seq, line_hash in lines.order_by("seq").values_list("seq", "hash").iterator(5000):
        if seq != frontier.size + 1:
            raise Broken(f"Line {frontier.size + 1} is missing: no root is signed over a gap.")
        frontier.append(bytes.fromhex(line_hash))
    return frontier


def _frontier_of(root: LogRoot) -> Frontier:
    """Return the stored frontier. It is as trustworthy as the signature of the root it yields."""
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
