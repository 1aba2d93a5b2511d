"""Read the whole log once, from its first line to its last, and report what does not fit."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from portal.audit.chain import ERASED, GENESIS, line_hash, private_digest, pseudonym
from portal.audit.merkle import Frontier
from portal.audit.proofs import SignedRoot
from portal.audit.roots import signature_is_good, statement, statement_digest, trusted_keys
from portal.models import AuditEvent, LogRoot, User

CHAIN, PRIVATE, ROOTS, SIGNATURES = "chain", "private", "roots", "signatures"


class Break(NamedTuple):
    """A place where something does not fit (a line's number or a root's size), and a sentence."""

    at: int
    sentence: str


@dataclass
class Walk:
    """One reading of the log. The counts are right once `breaks()` has been read to its end.

    `kept` are signed roots stored elsewhere, which the log is compared with too. Memory is
    O(log lines); only the numbers of lines whose private values are missing are remembered.
    """

    external_roots: Sequence[SignedRoot] = ()
    lines: int = 0
    last: str = GENESIS
    private: int = 0
    erased: int = 0
    roots: int = 0
    renamed: int = 0
    first_renamed: int = 0
    keys: set[str] = field(default_factory=set)
    broken: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._trusted = trusted_keys()
        self._names = dict(User.objects.values_list("pk", "username"))
        self._frontier = Frontier()
        self._before = GENESIS
        self._unexplained: set[int] = set()
        # The roots are queried before the lines, so each of them has its lines by then.
        self._roots = LogRoot.objects.order_by("size").iterator()
        self._root = next(self._roots, None)
        self._elsewhere = sorted(self.external_roots, key=lambda root: root.size)

    def breaks(self) -> Iterator[Break]:
        for root in self._elsewhere:
            yield from self._signature(root.size, root.key_id, root.statement(), root.signature)
        events = AuditEvent.objects.select_related("kept").order_by("seq")
        for event in events.iterator(chunk_size=2000):
            yield from self._line(event)
            yield from self._values(event)
            yield from self._roots_of(event.seq)
        while self._root is not None:
            yield from self._stored(self._root)
        for signed_root in self._elsewhere:
            yield from self._known(signed_root)
        for seq in sorted(self._unexplained):
            yield self._break(
                PRIVATE,
                seq,
                f"The private values of line {seq} are gone, and no line tells of an erasure.",
            )

    def _break(self, part: str, at: int, sentence: str) -> Break:
        self.broken[part] += 1
        return Break(at, sentence)

    def _line(self, event: AuditEvent) -> Iterator[Break]:
        seq = event.seq
        for missing in range(self.lines + 1, min(seq, self.lines + 2)):
            more = f" (and those up to {seq - 1})" if seq - 1 > missing else ""
            yield self._break(CHAIN, seq, f"Line {missing}{more} is missing.")
        if event.prev_hash != self.last:
            yield self._break(CHAIN, seq, f"Line {seq} does not follow the line before it.")
        if event.hash != line_hash(event):
            yield self._break(CHAIN, seq, f"Line {seq} was changed after it was written.")
        if event.form > 1 and event.actor_label not in {
            pseudonym(event.actor_id),
            self._names.get(event.actor_id) if event.actor_id else "system",
        }:
            self.renamed += 1
            self.first_renamed = self.first_renamed or seq
        self.last, self.lines = event.hash, seq
        self._frontier.append(_leaf(event.hash))

    def _values(self, event: AuditEvent) -> Iterator[Break]:
        body = event.body if isinstance(event.body, dict) else {}
        expected = body.get("private") if event.form > 1 else None
        if event.private is not None:
            self.private += 1
            if not _matches(event, expected):
                yield self._break(
                    PRIVATE,
                    event.seq,
                    f"The private values of line {event.seq} are not those it was written with.",
                )
        elif expected is not None:
            self.private += 1
            self.erased += 1
            self._unexplained.add(event.seq)
        if event.verb == ERASED and isinstance(lines := body.get("lines"), list):
            self._unexplained -= {seq for seq in lines if isinstance(seq, int)}

    def _roots_of(self, seq: int) -> Iterator[Break]:
        while self._root is not None and self._root.size <= seq:
            yield from self._stored(self._root)
        while self._elsewhere and self._elsewhere[0].size <= seq:
            yield from self._known(self._elsewhere.pop(0))

    def _stored(self, root: LogRoot) -> Iterator[Break]:
        """Check one root of the table, and go on to the next one."""
        size, payload = root.size, statement(root)
        tree_breaks = list(self._check_tree(size, root.root))
        yield from tree_breaks
        if not tree_breaks and root.frontier != [digest.hex() for digest in self._frontier.hashes]:
            yield self._break(ROOTS, size, f"The frontier of the root of {size} lines is not its.")
        if root.previous != self._before:
            yield self._break(
                ROOTS,
                size,
                f"The root of {size} lines does not continue the root before it: one was changed "
                "or removed.",
            )
        yield from self._signature(size, root.key_id, payload, root.signature)
        self.roots += 1
        self._before = statement_digest(payload)
        self._root = next(self._roots, None)

    def _known(self, root: SignedRoot) -> Iterator[Break]:
        yield from self._check_tree(root.size, root.root)

    def _check_tree(self, size: int, root: str) -> Iterator[Break]:
        if size > self._frontier.size:
            yield self._break(
                ROOTS,
                size,
                f"A root of {size} lines was signed, and of these only {self._frontier.size} "
                "are there.",
            )
        elif size != self._frontier.size or root != self._frontier.root().hex():
            yield self._break(ROOTS, size, f"The root of {size} lines is not that of the lines.")

    def _signature(
        self, size: int, key_id: str, payload: dict[str, object], signature: str
    ) -> Iterator[Break]:
        key = self._trusted.get(key_id)
        self.keys.add(key_id)
        if key is None:
            yield self._break(
                SIGNATURES,
                size,
                f"The root of {size} lines is signed with key {key_id}, which is neither "
                "AUDIT_KEY nor among AUDIT_OLD_KEYS.",
            )
        elif not signature_is_good(payload, signature, key):
            yield self._break(
                SIGNATURES, size, f"The signature of the root of {size} lines is not good."
            )


def broken_lines() -> Iterator[Break]:
    """Return every break of the log, in the order in which `Walk` finds them."""
    return Walk().breaks()


def _matches(event: AuditEvent, expected: object) -> bool:
    row = event.kept
    try:
        return isinstance(row.values, dict) and expected == private_digest(row.salt, row.values)
    except ValueError:
        return False


def _leaf(text: str) -> bytes:
    """Decode a line's hash; an invalid one is reported with its line, and the walk goes on."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
