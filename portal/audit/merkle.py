"""Merkle trees as RFC 6962, section 2.1, defines them, without a database.

A tree of `size` leaves has one root. An inclusion proof shows that a leaf is under a root, a
consistency proof that a later root only added leaves to an earlier one; both are O(log size).
The hashes that a proof needs are given as spans of leaves, so a caller may read the leaves as a
stream. Verification uses the algorithms of RFC 9162, sections 2.1.3.2 and 2.1.4.2, which share
nothing with the construction.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

# Leaves from the first number up to, and without, the second.
Span = tuple[int, int]
EMPTY = hashlib.sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass
class Frontier:
    """The roots of the complete subtrees that the first `size` leaves fall into, largest first.

    It is all that is needed to add leaves and compute the root: one hash per 1 bit of `size`.
    """

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def append(self, data: bytes) -> None:
        """Add one leaf; O(1) on average."""
        top, width = leaf_hash(data), self.size
        while width & 1:
            top, width = node_hash(self.hashes.pop(), top), width >> 1
        self.hashes.append(top)
        self.size += 1

    def root(self) -> bytes:
        if not self.hashes:
            return EMPTY
        top = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            top = node_hash(left, top)
        return top


def root(leaves: Iterable[bytes]) -> bytes:
    """Return the root of the leaves with these data, which are read once."""
    frontier = Frontier()
    for data in leaves:
        frontier.append(data)
    return frontier.root()


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Return the subtrees whose roots prove leaf `index`, counted from 0; the nearest first.

    IndexError if the tree has no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError(f"A tree of {size} leaves has no leaf {index}.")
    start, end, spans = 0, size, []
    while end - start > 1:
        middle = start + _left_size(end - start)
        if index < middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    return spans[::-1]


def consistency_spans(old: int, size: int) -> list[Span]:
    """Return the subtrees whose roots show that a tree of `size` leaves begins with one of `old`.

    IndexError unless 0 < old <= size: an empty tree has nothing to be consistent with.
    """
    if not 0 < old <= size:
        raise IndexError(f"A tree of {size} leaves does not begin with one of {old}.")
    start, end, spans = 0, size, []
    while end != old:
        middle = start + _left_size(end - start)
        if old <= middle:
            spans.append((middle, end))
            end = middle
        else:
            spans.append((start, middle))
            start = middle
    # A subtree that begins at 0 is the old tree itself, whose root the verifier has.
    if start:
        spans.append((start, end))
    return spans[::-1]


def included(data: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Return whether `path` proves that leaf `index` of the tree with root `root` holds `data`."""
    if not 0 <= index < size:
        return False
    position, last, top = index, size - 1, leaf_hash(data)
    for step in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            top = node_hash(step, top)
            position, last = _up_to_a_right_child(position, last)
        else:
            top = node_hash(top, step)
        position, last = position >> 1, last >> 1
    return last == 0 and top == root


def consistent(*, old: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether `path` proves that the tree of `size` leaves begins with that of `old`."""
    if not 0 < old <= size:
        return False
    if old == size:
        return not path and old_root == root
    # If the old tree is complete, the proof leaves out its root, which the verifier has.
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not steps:
        return False
    position, last = old - 1, size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_hash = new_hash = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_hash, new_hash = node_hash(step, old_hash), node_hash(step, new_hash)
            position, last = _up_to_a_right_child(position, last)
        else:
            new_hash = node_hash(new_hash, step)
        position, last = position >> 1, last >> 1
    return last == 0 and old_hash == old_root and new_hash == root


def _left_size(size: int) -> int:
    """Return the largest power of two below `size`: how many leaves the left subtree has."""
    return 1 << (size - 1).bit_length() - 1


def _up_to_a_right_child(position: int, last: int) -> tuple[int, int]:
    """Go up past the levels at which this node has no sibling."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last
