#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check an export of the audit log, without the vault, its keys, or any of its code (docs/formats/audit.md).

    python verify_audit.py EXPORT [CHECKPOINT_FILE] [--key KEY]

KEY is what `mysafe audit checkpoint --key` printed once, kept elsewhere; without it, the key in the export is believed.
Exit status 1 and a line for each fault, if there are any. Needs Python 3.11 and the package cryptography.
"""

import argparse
import json
import re
import sys
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

NOTE = re.compile(r"^(([^\n]+)\n([0-9]+)\n([A-Za-z0-9+/]{43}=)\n)\n— ([^ \n]+) ([A-Za-z0-9+/]{91}=)\n", re.MULTILINE)
SIGNATURE = re.compile(r"^— [^\n]* [A-Za-z0-9+/]{91}=$", re.MULTILINE)
COLUMNS = (
    *("id", "at_ms", "node", "actor_id", "access_key_id", "action", "record_kind", "record_id"),
    *("new_version", "envelope_sha256", "result", "request_id", "details"),
)


class Tree:
    """RFC 6962: a stack of (leaf count, hash) of complete subtrees, largest first."""

    def __init__(self) -> None:
        self.stack: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        self.stack.append((1, leaf))
        while len(self.stack) > 1 and self.stack[-1][0] == self.stack[-2][0]:
            (count, left), (_, right) = self.stack[-2:]
            self.stack[-2:] = [(2 * count, sha256(b"\1" + left + right).digest())]

    def root(self) -> bytes:
        if not self.stack:
            return sha256(b"").digest()
        root = self.stack[-1][1]
        for _, left in reversed(self.stack[:-1]):
            root = sha256(b"\1" + left + root).digest()
        return root


def columns_of(data: bytes) -> dict[str, bytes]:
    """Return the columns of a row's canonical bytes: length u32, bytes, and so on; the format's name comes first."""
    fields = []
    while data:
        size = int.from_bytes(data[:4], "big")
        fields.append(data[4 : 4 + size])
        data = data[4 + size :]
    if fields[0] != b"mysafe/audit/1" or len(fields) != 1 + len(COLUMNS):
        raise ValueError("not a row of the audit log")
    return dict(zip(COLUMNS, fields[1:], strict=True))


def is_signed(note: "re.Match[str]", key: str) -> bool:
    """Return whether a note is signed by a key of the form name+hash+base64(1 | public key)."""
    name, _, public = key.split("+", 2)
    raw = b64decode(public)
    key_hash = sha256(name.encode() + b"\n" + raw).digest()[:4]
    try:
        sealed = b64decode(note[6])
        Ed25519PublicKey.from_public_bytes(raw[1:]).verify(sealed[4:], note[1].encode())
    except (InvalidSignature, ValueError):
        return False
    return raw[:1] == b"\1" and (note[2], note[5], sealed[:4]) == (name, name, key_hash)


Replayed = tuple[Tree, dict[int, bytes], dict[bytes, int]]


def replay(lines: list[dict[str, Any]], wanted: set[int], faults: list[str]) -> Replayed:
    """Return the tree, its roots at the wanted sizes, and the rollbacks that were accepted: note digest → kept size."""
    tree, roots, accepted, seen = Tree(), {0: Tree().root()}, {}, set()
    for position, line in enumerate(lines):
        number, leaf = line["id"], b64decode(line["leaf"])
        if line["position"] != position or number in seen:
            faults.append(f"entry {number} stands in a wrong place, or twice")
        seen.add(number)
        row = b64decode(line["row"]) if line["row"] is not None else None
        if row is None:
            faults.append(f"entry {number} was deleted")
        elif sha256(b"\0" + row).digest() != leaf:
            faults.append(f"entry {number} was edited, or put in the place of another one")
        else:
            columns = columns_of(row)
            if columns["action"] == b"audit.accept_rollback" and columns["result"] == b"allowed":
                accepted[columns["envelope_sha256"]] = int.from_bytes(columns["record_id"], "big")
        tree.add(leaf)
        if position + 1 in wanted:
            roots[position + 1] = tree.root()
    return tree, roots, accepted


def excused_notes(notes: "list[re.Match[str]]", roots: dict[int, bytes], accepted: dict[bytes, int]) -> set[int]:
    """Return where the notes start that accepted rollbacks excuse: those behind the kept one, to the one given up."""
    excused: set[int] = set()
    for place, note in enumerate(notes):
        kept = accepted.get(sha256(note[0].encode()).digest())
        if kept is not None:
            before = [one for one in range(place) if int(notes[one][3]) == kept]
            fitting = [one for one in before if b64decode(notes[one][4]) == roots.get(kept)]
            first = max(fitting or before, default=-1) + 1
            excused.update(one.start() for one in notes[first : place + 1])
    return excused


def check(export: str, checkpoint_file: str, key: str | None) -> list[str]:
    """Return the faults of an export, and of the text of a checkpoint file ("" without one)."""
    head, *lines = map(json.loads, export.splitlines())
    key = key or head["key"]
    leaves = [line for line in lines if "leaf" in line]
    stored = [NOTE.fullmatch(line["checkpoint"]) for line in lines if "checkpoint" in line]
    outside = list(NOTE.finditer(checkpoint_file))
    notes = [("database", note) for note in stored] + [("file", note) for note in outside]
    faults: list[str] = []
    changed = len(SIGNATURE.findall(checkpoint_file)) - len(outside)
    if changed:
        faults.append(f"{changed} checkpoints in the file were changed and are none any more")
    tree, roots, accepted = replay(leaves, {int(note[3]) for _, note in notes if note}, faults)
    if (head["size"], b64decode(head["root"])) != (len(leaves), tree.root()):
        faults.append(f"the tree has another root than its head says, or not {head['size']} entries")
    excused = excused_notes(outside, roots, accepted)
    for place, note in notes:
        if note is None or not is_signed(note, key):
            faults.append(f"a checkpoint in the {place} is damaged, or not signed by the key")
            continue
        size = int(note[3])
        if roots.get(size) != b64decode(note[4]) and not (place == "file" and note.start() in excused):
            faults.append(f"the first {size} entries are not those of a checkpoint in the {place}, or some are missing")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description="Check an export of the audit log.")
    parser.add_argument("export", type=Path)
    parser.add_argument("checkpoint_file", type=Path, nargs="?")
    parser.add_argument("--key", help="what `mysafe audit checkpoint --key` printed")
    options = parser.parse_args()
    notes = options.checkpoint_file.read_text(encoding="utf-8") if options.checkpoint_file else ""
    faults = check(options.export.read_text(encoding="utf-8"), notes, options.key)
    print("\n".join(faults) if faults else "the audit log is as it was signed")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
