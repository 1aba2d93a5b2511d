"""Trees and proofs against the recursive definitions of RFC 6962, and against known answers."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.audit import merkle

# The leaves and the roots of their first 1..8 that Certificate Transparency's own
# implementations test against (google/certificate-transparency, merkletree tests).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SIZES = st.integers(1, 69)


# --- The definitions, word by word from RFC 6962, 2.1 ------------------------------------------


def mth(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def leaves_of(size: int) -> list[bytes]:
    return [hashlib.sha256(str(number).encode()).digest() for number in range(size)]


def hashes(leaves: list[bytes], spans: list[merkle.Span]) -> list[bytes]:
    return [merkle.root(leaves[start:end]) for start, end in spans]


# --- Known answers -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert merkle.Frontier().root() == merkle.root([]) == hashlib.sha256(b"").digest()


def test_the_proofs_of_the_example_in_the_rfc() -> None:
    """RFC 6962, 2.1.3: seven leaves, nodes a to l."""
    d = leaves_of(7)
    a, b, c, f = (merkle.leaf_hash(d[n]) for n in (0, 1, 2, 5))
    d3, e, j = merkle.leaf_hash(d[3]), merkle.leaf_hash(d[4]), merkle.leaf_hash(d[6])
    g, h, i = merkle.node_hash(a, b), merkle.node_hash(c, d3), merkle.node_hash(e, f)
    k, last = merkle.node_hash(g, h), merkle.node_hash(i, j)
    assert hashes(d, merkle.inclusion_spans(0, 7)) == [b, h, last]
    assert hashes(d, merkle.inclusion_spans(3, 7)) == [c, g, last]
    assert hashes(d, merkle.inclusion_spans(4, 7)) == [f, j, k]
    assert hashes(d, merkle.inclusion_spans(6, 7)) == [i, k]
    assert hashes(d, merkle.consistency_spans(3, 7)) == [c, d3, g, last]
    assert hashes(d, merkle.consistency_spans(4, 7)) == [last]
    assert hashes(d, merkle.consistency_spans(6, 7)) == [i, j, k]


# --- Every size and index ----------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, 70))
def test_every_leaf_is_proved_and_every_root_grown_step_by_step(size: int) -> None:
    leaves = leaves_of(size)
    top = mth(leaves)
    assert merkle.root(leaves) == top
    for index in range(size):
        proof = hashes(leaves, merkle.inclusion_spans(index, size))
        assert proof == path(index, leaves)
        assert merkle.included(leaves[index], index=index, size=size, path=proof, root=top)


@pytest.mark.parametrize("size", range(1, 70))
def test_every_earlier_tree_is_shown_to_be_the_beginning(size: int) -> None:
    leaves = leaves_of(size)
    top = mth(leaves)
    for old in range(1, size + 1):
        proof = hashes(leaves, merkle.consistency_spans(old, size))
        assert proof == subproof(old, leaves, True)
        assert merkle.consistent(
            old=old, old_root=mth(leaves[:old]), size=size, root=top, path=proof
        )


@given(SIZES, st.data())
def test_a_frontier_that_was_kept_grows_as_if_it_had_been_there(
    size: int, data: st.DataObject
) -> None:
    leaves = leaves_of(size)
    old = data.draw(st.integers(0, size))
    first = merkle.Frontier()
    for leaf in leaves[:old]:
        first.append(leaf)
    kept = merkle.Frontier(first.size, list(first.hashes))
    for leaf in leaves[old:]:
        kept.append(leaf)
    assert (kept.size, kept.root()) == (size, mth(leaves))
    assert len(kept.hashes) == size.bit_count()


@given(SIZES, st.data())
def test_no_proof_holds_for_anything_else(size: int, data: st.DataObject) -> None:
    leaves = leaves_of(size)
    top = mth(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = hashes(leaves, merkle.inclusion_spans(index, size))

    def holds(leaf: bytes, at: int, of: int, steps: list[bytes], under: bytes) -> bool:
        return merkle.included(leaf, index=at, size=of, path=steps, root=under)

    other = data.draw(st.integers(-1, size).filter(lambda at: at != index))
    assert not holds(b"x", index, size, proof, top)
    assert not holds(leaves[index], other, size, proof, top)
    assert not holds(leaves[index], index, size, [*proof, top], top)
    assert not holds(leaves[index], index, size, proof, b"x")
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        changed = [*proof[:at], b"x" * 32, *proof[at + 1 :]]
        assert not holds(leaves[index], index, size, changed, top)
        assert not holds(leaves[index], index, size, proof[:-1], top)


@given(SIZES, st.data())
def test_a_tree_that_forgot_or_changed_a_leaf_is_consistent_with_nothing(
    size: int, data: st.DataObject
) -> None:
    leaves = leaves_of(size)
    old = data.draw(st.integers(1, size))
    at = data.draw(st.integers(0, old - 1))
    forged = [*leaves[:at], b"forged", *leaves[at + 1 :]]
    proof = hashes(forged, merkle.consistency_spans(old, size))

    def holds(old_root: bytes, root: bytes, steps: list[bytes]) -> bool:
        return merkle.consistent(old=old, old_root=old_root, size=size, root=root, path=steps)

    assert not holds(mth(leaves[:old]), mth(forged), proof)
    assert not holds(mth(leaves[:old]), mth(forged), [])
    assert not holds(mth(forged[:old]), mth(forged), [*proof, b"x" * 32])
    assert not merkle.consistent(old=0, old_root=b"", size=size, root=mth(leaves), path=[])
    assert not merkle.consistent(
        old=size + 1, old_root=mth(leaves), size=size, root=mth(leaves), path=[]
    )


def test_what_is_not_there_has_no_proof() -> None:
    for index, size in ((0, 0), (3, 3), (-1, 3)):
        with pytest.raises(IndexError):
            merkle.inclusion_spans(index, size)
    for old, size in ((0, 3), (4, 3)):
        with pytest.raises(IndexError):
            merkle.consistency_spans(old, size)
