"""Who did what to which object: lines in a hash chain, under signed Merkle roots.

`record` appends a line, `sign_root` signs the lines so far, `broken_lines` and `Walk` read the
whole log and report what does not fit, `prove` makes the proof of a line, and `erase` deletes the
private values that a person may ask to have erased.
"""

from portal.audit.chain import (
    ERASED,
    FORM,
    GENESIS,
    canonical,
    erase,
    history,
    line_hash,
    newest_hash,
    private_digest,
    record,
    record_each,
)
from portal.audit.proofs import (
    Growth,
    NotSigned,
    Proof,
    SignedRoot,
    faults,
    prove,
    prove_growth,
)
from portal.audit.roots import Broken, public_key, sign_due, sign_root, trusted_keys
from portal.audit.verify import Walk, broken_lines

__all__ = [
    "ERASED",
    "FORM",
    "GENESIS",
    "Broken",
    "Growth",
    "NotSigned",
    "Proof",
    "SignedRoot",
    "Walk",
    "broken_lines",
    "canonical",
    "erase",
    "faults",
    "history",
    "line_hash",
    "newest_hash",
    "private_digest",
    "prove",
    "prove_growth",
    "public_key",
    "record",
    "record_each",
    "sign_due",
    "sign_root",
    "trusted_keys",
]
