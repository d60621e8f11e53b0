# SPDX-License-Identifier: Apache-2.0
"""The tree is that of RFC 6962: published roots and proofs, and a plain recursive reference for all other sizes."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.audit.tree import (
    EMPTY_ROOT,
    Edge,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    is_included,
    leaf_hash,
    root_of,
)

# The eight leaves, roots and proofs that the implementations of Certificate Transparency share as their test data
# (google/certificate-transparency, merkletree tests; also in transparency-dev/merkle).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CONSISTENCY = {
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
}


def reference_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + reference_root(leaves[:k]) + reference_root(leaves[k:])).digest()


def reference_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m < k:
        return [*reference_path(m, leaves[:k]), reference_root(leaves[k:])]
    return [*reference_path(m - k, leaves[k:]), reference_root(leaves[:k])]


def reference_subproof(m: int, leaves: list[bytes], is_whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2."""
    if m == len(leaves):
        return [] if is_whole else [reference_root(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m <= k:
        return [*reference_subproof(m, leaves[:k], is_whole), reference_root(leaves[k:])]
    return [*reference_subproof(m - k, leaves[k:], False), reference_root(leaves[:k])]


class Subtrees:
    """The complete subtrees of some leaves, computed without our code."""

    def __init__(self, leaves: list[bytes]) -> None:
        self._leaves = leaves

    def __call__(self, level: int, number: int) -> bytes:
        chosen = self._leaves[number << level : number + 1 << level]
        assert len(chosen) == 1 << level, "asked for a subtree that is not complete"
        return reference_root(chosen)


def edge_of(leaves: list[bytes]) -> Edge:
    edge = Edge()
    for leaf in leaves:
        edge.add(leaf_hash(leaf))
    return edge


def numbered(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


@pytest.mark.parametrize("size", range(9))
def test_the_published_roots_come_out(size: int) -> None:
    assert edge_of(LEAVES[:size]).root().hex() == ROOTS[size]
    assert root_of(size, Subtrees(LEAVES)).hex() == ROOTS[size]
    assert reference_root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_the_published_consistency_proofs_come_out(old: int, new: int) -> None:
    proof = consistency_proof(old, new, Subtrees(LEAVES))
    assert [one.hex() for one in proof] == CONSISTENCY[old, new]
    assert is_consistent(old, bytes.fromhex(ROOTS[old]), new, bytes.fromhex(ROOTS[new]), proof)


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_the_published_inclusion_proofs_come_out(index: int, size: int) -> None:
    proof = inclusion_proof(index, size, Subtrees(LEAVES))
    assert [one.hex() for one in proof] == INCLUSION[index, size]
    assert is_included(leaf_hash(LEAVES[index]), index, size, bytes.fromhex(ROOTS[size]), proof)


@given(st.lists(st.binary(max_size=40), max_size=70))
def test_the_root_is_that_of_the_recursive_definition(leaves: list[bytes]) -> None:
    edge = edge_of(leaves)
    assert edge.root() == reference_root(leaves) == root_of(len(leaves), Subtrees(leaves))
    assert Edge(edge.size, edge.encode()).root() == edge.root()


@given(st.integers(1, 300), st.data())
def test_proofs_are_those_of_the_recursive_definition_and_hold(size: int, data: st.DataObject) -> None:
    leaves, old = numbered(size), data.draw(st.integers(1, size))
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(index, size, Subtrees(leaves))
    assert path == reference_path(index, leaves)
    assert is_included(leaf_hash(leaves[index]), index, size, reference_root(leaves), path)
    proof = consistency_proof(old, size, Subtrees(leaves))
    assert proof == reference_subproof(old, leaves, True)
    assert is_consistent(old, reference_root(leaves[:old]), size, reference_root(leaves), proof)


@given(st.integers(2, 130), st.data())
def test_a_tree_that_was_changed_before_its_old_size_is_not_consistent(size: int, data: st.DataObject) -> None:
    leaves, old = numbered(size), data.draw(st.integers(1, size))
    changed = list(leaves)
    changed[data.draw(st.integers(0, old - 1))] = b"changed"
    proof = consistency_proof(old, size, Subtrees(changed))
    assert not is_consistent(old, reference_root(leaves[:old]), size, reference_root(changed), proof)
    proof = consistency_proof(old, size, Subtrees(leaves))
    assert not is_consistent(old, reference_root(leaves[:old]), size, reference_root(changed), proof)


@given(st.integers(2, 130), st.data())
def test_a_damaged_proof_holds_nothing(size: int, data: st.DataObject) -> None:
    leaves = numbered(size)
    old, index = data.draw(st.integers(1, size - 1)), data.draw(st.integers(0, size - 1))
    roots = reference_root(leaves[:old]), reference_root(leaves)
    for proof in _damaged(consistency_proof(old, size, Subtrees(leaves)), data):
        assert not is_consistent(old, roots[0], size, roots[1], proof)
    for path in _damaged(inclusion_proof(index, size, Subtrees(leaves)), data):
        assert not is_included(leaf_hash(leaves[index]), index, size, roots[1], path)


def _damaged(proof: list[bytes], data: st.DataObject) -> list[list[bytes]]:
    place = data.draw(st.integers(0, len(proof) - 1))
    flipped = bytes([proof[place][0] ^ 1]) + proof[place][1:]
    return [proof[:-1], [*proof, bytes(32)], [*proof[:place], flipped, *proof[place + 1 :]]]


@given(st.integers(0, 300), st.integers(1, 300))
def test_what_is_said_to_be_complete_is_complete(size: int, more: int) -> None:
    edge = edge_of(numbered(size))
    leaves = numbered(size + more)
    for leaf in leaves[size:]:
        for made in edge.add(leaf_hash(leaf)):
            assert made.hash == Subtrees(leaves)(made.level, made.number)
            assert edge.size == made.number + 1 << made.level


def test_proofs_of_what_is_not_there_are_refused() -> None:
    for index, size in ((-1, 3), (3, 3), (0, 0)):
        with pytest.raises(ValueError, match="no such leaf"):
            inclusion_proof(index, size, Subtrees(LEAVES))
        assert not is_included(bytes(32), index, size, EMPTY_ROOT, [])
    for old, new in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="extended"):
            consistency_proof(old, new, Subtrees(LEAVES))
        assert not is_consistent(old, EMPTY_ROOT, new, EMPTY_ROOT, [])
    assert is_consistent(3, EMPTY_ROOT, 3, EMPTY_ROOT, [])
    assert not is_consistent(3, EMPTY_ROOT, 3, bytes(32), [])


@pytest.mark.parametrize(("size", "count"), [(1, 0), (0, 1), (3, 1), (-1, 1)])
def test_an_edge_that_does_not_fit_its_size_is_refused(size: int, count: int) -> None:
    with pytest.raises(ValueError, match="edge"):
        Edge(size, bytes(32 * count))
