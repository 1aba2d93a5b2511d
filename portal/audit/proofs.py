"""Proofs to take away: that a line is in the log, and that the log only grew.

Each is one JSON document that its holder can check without the portal, with nothing but a public
key (`manage.py audit check`, or any SHA-256 and Ed25519).
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from portal.audit import chain, merkle, roots
from portal.models import AuditEvent, LogRoot

Salt = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
# A SHA-256 or a public key; a signature.
Digits = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Signature = Annotated[str, Field(pattern="^[0-9a-f]{128}$")]


class NotSigned(RuntimeError):
    """No signed root covers the line yet; the message says how to get one."""


class Document(BaseModel):
    """A part of a proof, without extra fields: a proof contains only what is checked."""

    model_config = ConfigDict(extra="forbid")


class SignedRoot(Document):
    """A signed root without its frontier. `statement()` is what is signed."""

    kind: Literal["backline.audit.root/1"] = "backline.audit.root/1"
    portal: str
    size: int
    root: Digits
    at: str
    previous: Digits
    key_id: str
    signature: Signature

    @classmethod
    def of(cls, root: LogRoot) -> "SignedRoot":
        """Return the row as a document; Broken if it does not even look like a root."""
        fields = {**roots.statement(root), "key_id": root.key_id, "signature": root.signature}
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise roots.Broken(f"The root of {root.size} lines was changed.") from error

    def statement(self) -> dict[str, Any]:
        return self.model_dump(exclude={"key_id", "signature"})


class Opening(Document):
    """The private values of a line, and the salt that their digest was taken with."""

    salt: Salt
    values: dict[str, Any]


class Proof(Document):
    """`line` is in the log: its hash is the leaf, and `path` leads from there to the root."""

    kind: Literal["backline.audit.proof/1"] = "backline.audit.proof/1"
    line: dict[str, Any]
    path: list[Digits]
    root: SignedRoot
    public_key: Digits
    private: Opening | None = None


class Growth(Document):
    """The log of `new` begins with all lines of `old`, unchanged and in the same order."""

    kind: Literal["backline.audit.growth/1"] = "backline.audit.growth/1"
    old: SignedRoot
    new: SignedRoot
    path: list[Digits]
    public_keys: list[Digits]


def prove(event: AuditEvent, *, with_private: bool = False) -> Proof:
    """Prove that the line is under the newest signed root; `with_private` adds its private values.

    It reads the hashes of all lines once. Raises NotSigned while no root covers the line, and
    Broken if the proof would not hold.
    """
    newest = LogRoot.objects.filter(size__gte=event.seq).order_by("-size").first()
    if newest is None:
        raise NotSigned(
            f"Line {event.seq} is not under a signed root yet; `manage.py audit root` signs one."
        )
    private = event.private if with_private else None
    proof = Proof(
        line=chain.hashed_part(event),
        path=_hashes(merkle.inclusion_spans(event.seq - 1, newest.size)),
        root=SignedRoot.of(newest),
        public_key=_key_of(newest),
        private=Opening(salt=private.salt, values=private.values) if private else None,
    )
    _raise_if_broken(faults(proof))
    return proof


def prove_growth(old: LogRoot, new: LogRoot) -> Growth:
    """Prove that between two roots lines were only added; Broken if they were not.

    IndexError if `old` has more lines than `new`.
    """
    growth = Growth(
        old=SignedRoot.of(old),
        new=SignedRoot.of(new),
        path=_hashes(merkle.consistency_spans(old.size, new.size)),
        public_keys=sorted({_key_of(old), _key_of(new)}),
    )
    _raise_if_broken(faults(growth))
    return growth


# --- Checking, without a database --------------------------------------------------------------


def faults(document: Proof | Growth, *, trusted: Sequence[str] = ()) -> list[str]:
    """Return a sentence for each thing that is wrong with the document; none if it holds.

    `trusted` are public keys in hexadecimal digits. Without any, the document's own keys are used,
    which shows that it is intact, but not whose it is.
    """
    own_keys = document.public_keys if isinstance(document, Growth) else [document.public_key]
    keys = {roots.key_id(key): key for key in trusted or own_keys}
    if isinstance(document, Growth):
        sentences = [*_signature_faults(document.old, keys), *_signature_faults(document.new, keys)]
        return (
            sentences
            if _growth_holds(document)
            else [*sentences, "Not every line of the earlier root is left."]
        )
    sentences = _signature_faults(document.root, keys)
    if not _is_under(document):
        sentences.append("The path does not lead from this line to the root.")
    if document.private is not None and not _private_matches(document, document.private):
        sentences.append("The private values are not those the line was written with.")
    return sentences


def _is_under(proof: Proof) -> bool:
    seq = proof.line.get("seq")
    return isinstance(seq, int) and merkle.included(
        hashlib.sha256(chain.canonical(proof.line)).digest(),
        index=seq - 1,
        size=proof.root.size,
        path=_bytes(proof.path),
        root=bytes.fromhex(proof.root.root),
    )


def _private_matches(proof: Proof, private: Opening) -> bool:
    body = proof.line.get("body")
    digest = body.get("private") if isinstance(body, dict) else None
    return digest == chain.private_digest(private.salt, private.values)


def _growth_holds(growth: Growth) -> bool:
    return merkle.consistent(
        old=growth.old.size,
        old_root=bytes.fromhex(growth.old.root),
        size=growth.new.size,
        root=bytes.fromhex(growth.new.root),
        path=_bytes(growth.path),
    )


def _signature_faults(root: SignedRoot, keys: dict[str, str]) -> list[str]:
    key = keys.get(root.key_id)
    if key is None:
        return [f"The root of {root.size} lines is signed with another key, {root.key_id}."]
    if not roots.signature_is_good(root.statement(), root.signature, key):
        return [f"The signature of the root of {root.size} lines is not good."]
    return []


def _bytes(path: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(step) for step in path]


# --- Reading the log ---------------------------------------------------------------------------


def _hashes(spans: Sequence[merkle.Span]) -> list[str]:
    """Return the root of each span of lines; every line is read once."""
    return [merkle.root(_leaves(start, end)).hex() for start, end in spans]


def _leaves(start: int, end: int) -> Iterator[bytes]:
    lines = AuditEvent.objects.filter(seq__gt=start, seq__lte=end).order_by("seq")
    for line_hash in lines.values_list("hash", flat=True).iterator(5000):
        yield bytes.fromhex(line_hash)


def _key_of(root: LogRoot) -> str:
    key = roots.trusted_keys().get(root.key_id)
    if key is None:
        raise roots.Broken(f"The root of {root.size} lines is signed with a key that is not known.")
    return key


def _raise_if_broken(sentences: list[str]) -> None:
    """Raise Broken for a proof that does not hold: the log was changed since it was signed."""
    if sentences:
        raise roots.Broken(f"{' '.join(sentences)} `manage.py audit verify` says where.")
