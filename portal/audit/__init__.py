"""Who did what to which object: lines in a hash chain, under signed Merkle roots.

`record` appends a line, `record_once` a line about a read, `sign_root` signs the lines there are,
`broken_lines` and `Walk` read them all and report what does not fit, `prove` gives the proof of a
line, and `erase` takes out what a person may ask to have taken out.
"""

from portal.audit.accesses import record_once
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
    "record_once",
    "sign_due",
    "sign_root",
    "trusted_keys",
]
