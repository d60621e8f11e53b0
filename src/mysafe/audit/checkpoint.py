# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of the audit tree as text: C2SP tlog-checkpoint in a signed note. Signs nothing and checks no signature.

    mysafe/<vault id as hexadecimal digits>         origin, and the name of the key
    <size of the tree, decimal>
    <root, base64>
    (empty line)
    — <origin> <base64 of: key hash 4 | Ed25519 signature 64>

The text that is signed ends before the empty line.

Source: C2SP tlog-checkpoint, signed-note.
"""

import binascii
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import NamedTuple

from mysafe.audit.tree import HASH_BYTES

_ED25519 = b"\1"
_KEY_HASH_BYTES = 4

_NOTE = re.compile(
    r"^(?P<text>(?P<origin>[^\n+ ]{1,255})\n(?P<size>0|[1-9][0-9]{0,17})\n(?P<root>[A-Za-z0-9+/]{43}=)\n)"
    r"\n— (?P<name>[^\n+ ]{1,255}) (?P<signature>[A-Za-z0-9+/]{91}=)\n",
    re.MULTILINE,
)
_SIGNATURE = re.compile(r"^— [^\n]* [A-Za-z0-9+/]{91}=$", re.MULTILINE)


class Checkpoint(NamedTuple):
    """What a checkpoint says: which log, how many leaves, and their root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


class Note(NamedTuple):
    """A signed checkpoint. `key_hash` and `signature` are what it claims; nothing of it is checked yet."""

    checkpoint: Checkpoint
    name: str
    key_hash: bytes
    signature: bytes

    def encode(self) -> str:
        """Return the note as text; it ends with a line break."""
        sealed = b64encode(self.key_hash + self.signature).decode()
        return f"{self.checkpoint.text()}\n— {self.name} {sealed}\n"

    def digest(self) -> bytes:
        """Return the SHA-256 of the note as text."""
        return sha256(self.encode().encode()).digest()


class Found(NamedTuple):
    """What stands in a file of notes: the notes in their order, and what belongs to none.

    `stray_lines` are lines; `changed` are signatures without their note among them: a note that was cut off when power
    failed does not end with one, a note that somebody changed does. `is_torn` says whether the end is stray.
    """

    notes: list[Note]
    stray_lines: int
    changed: int = 0
    is_torn: bool = False


def origin_of(vault_id: bytes) -> str:
    """Return what the checkpoints of a vault are named after."""
    return f"mysafe/{vault_id.hex()}"


def key_hash(name: str, public_key: bytes) -> bytes:
    """Return the four bytes by which a note says which key signed it."""
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:_KEY_HASH_BYTES]


def verifier_key(name: str, public_key: bytes) -> str:
    """Return the public key in the form that tools for signed notes take."""
    return f"{name}+{key_hash(name, public_key).hex()}+{b64encode(_ED25519 + public_key).decode()}"


def parse_notes(text: str, *, is_part: bool = False) -> Found:
    """Return the notes of a text, one after another; what is damaged counts as stray lines.

    Where the text is only the later part of one, it may begin within a note, and what is before its first one does not
    count.
    """
    notes, rest, end = [], [], 0
    for match in _NOTE.finditer(text):
        note = _note(match)
        if note is not None:
            notes.append(note)
            rest.append(text[end : match.start()])
            end = match.end()
    rest.append(text[end:])
    stray = "\n".join(rest[1 if is_part else 0 :])
    count = sum(1 for line in stray.splitlines() if line.strip())
    return Found(notes, count, len(_SIGNATURE.findall(stray)), bool(rest[-1].strip()))


def parse_note(text: str) -> Note | None:
    """Return the note of a text that holds one and nothing else, else None."""
    found = parse_notes(text)
    return found.notes[0] if len(found.notes) == 1 and found.notes[0].encode() == text else None


def _note(match: "re.Match[str]") -> Note | None:
    try:
        root = b64decode(match["root"], validate=True)
        sealed = b64decode(match["signature"], validate=True)
    except binascii.Error:
        return None
    if len(root) != HASH_BYTES:
        return None
    checkpoint = Checkpoint(match["origin"], int(match["size"]), root)
    return Note(checkpoint, match["name"], sealed[:_KEY_HASH_BYTES], sealed[_KEY_HASH_BYTES:])
