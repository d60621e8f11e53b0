# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of RFC 6962, by hashes alone: it grows at its right edge, and proves that it only grew.

    leaf     SHA-256(0x00 | canonical bytes)
    node     SHA-256(0x01 | left | right)
    empty    SHA-256 of nothing

A subtree is complete when it has 2^level leaves; `number` counts those of one level from the left. A complete subtree
never changes, so it may be stored.

Source: RFC 6962, section 2.1; the checks of proofs are those of RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

HASH_BYTES = 32

EMPTY_ROOT = sha256(b"").digest()

SubtreeHash = Callable[[int, int], bytes]
"""The hash of a complete subtree: its level and number → 32 bytes."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf with these canonical bytes."""
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over two others."""
    return sha256(b"\1" + left + right).digest()


class Subtree(NamedTuple):
    """A complete subtree: 2^level leaves, the number-th of its level from 0."""

    level: int
    number: int
    hash: bytes


class Edge:
    """The right edge of a tree of `size` leaves: the complete subtrees it consists of, largest first.

    Raises:
        ValueError: as many hashes of 32 bytes are needed as the size has bits that are set.
    """

    def __init__(self, size: int = 0, hashes: bytes = b"") -> None:
        if size < 0 or len(hashes) != size.bit_count() * HASH_BYTES:
            raise ValueError("the edge of a tree has one hash for each bit of its size")
        self.size = size
        self._hashes = [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]

    def add(self, leaf: bytes, least_level: int = 1) -> list[Subtree]:
        """Append the hash of a leaf, and return the subtrees of a level or more that it makes complete."""
        made: list[Subtree] = []
        level, full, hashes = 0, self.size, self._hashes
        while full & 1:
            full >>= 1
            level += 1
            leaf = node_hash(hashes.pop(), leaf)
            if level >= least_level:
                made.append(Subtree(level, full, leaf))
        self._hashes.append(leaf)
        self.size += 1
        return made

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        if not self._hashes:
            return EMPTY_ROOT
        root = self._hashes[-1]
        for left in reversed(self._hashes[:-1]):
            root = node_hash(left, root)
        return root

    def encode(self) -> bytes:
        """Return the hashes, one after another."""
        return b"".join(self._hashes)


def root_of(size: int, subtree: SubtreeHash) -> bytes:
    """Return the root of the first `size` leaves of a tree."""
    return _range_root(subtree, 0, size) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, subtree: SubtreeHash) -> list[bytes]:
    """Return the audit path of the leaf `index` in the first `size` leaves. Raises ValueError if it is not there."""
    if not 0 <= index < size:
        raise ValueError("the tree has no such leaf")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            path.append(_range_root(subtree, split, end))
            end = split
        else:
            path.append(_range_root(subtree, start, split))
            start = split
    return path[::-1]


def consistency_proof(old: int, new: int, subtree: SubtreeHash) -> list[bytes]:
    """Return the proof that the first `new` leaves begin with the first `old`. Raises ValueError unless 0 < old <= new.

    Cost: as many hashes as the tree is high.
    """
    if not 0 < old <= new:
        raise ValueError("only a tree with leaves can be extended, and never to a smaller one")
    path: list[bytes] = []
    start, end, is_whole = 0, new, True
    while old != end:
        split = start + _split(end - start)
        if old <= split:
            path.append(_range_root(subtree, split, end))
            end = split
        else:
            path.append(_range_root(subtree, start, split))
            start, is_whole = split, False
    return ([] if is_whole else [_range_root(subtree, start, end)]) + path[::-1]


def is_included(leaf: bytes, index: int, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether an audit path leads from the hash of a leaf to a root (RFC 9162, section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    number, last = index, size - 1
    for sibling in path:
        if last == 0:
            return False
        if number & 1 or number == last:
            leaf = node_hash(sibling, leaf)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            leaf = node_hash(leaf, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and leaf == root


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether a proof leads from the root of `old` leaves to that of `new` (RFC 9162, section 2.1.4.2)."""
    if old == new:
        return not path and old_root == new_root
    if not 0 < old < new or not path:
        return False
    hashes = list(path)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    old_side = new_side = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            old_side, new_side = node_hash(sibling, old_side), node_hash(sibling, new_side)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            new_side = node_hash(new_side, sibling)
        number, last = number >> 1, last >> 1
    return last == 0 and old_side == old_root and new_side == new_root


def _range_root(subtree: SubtreeHash, start: int, end: int) -> bytes:
    """Return the root over some leaves. Every range of the recursion is one of complete subtrees."""
    count = end - start
    level = count.bit_length() - 1
    if count == 1 << level:
        return subtree(level, start >> level)
    split = start + (1 << level)
    return node_hash(_range_root(subtree, start, split), _range_root(subtree, split, end))


def _split(count: int) -> int:
    """Return the largest power of two below a count of at least two."""
    return 1 << (count - 1).bit_length() - 1
