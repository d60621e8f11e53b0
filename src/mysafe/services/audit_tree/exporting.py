# SPDX-License-Identifier: Apache-2.0
"""Write the audit log into a file that others can check without the vault, its keys or its program.

One JSON object a line (docs/formats/audit.md). Nothing sealed is opened: names and addresses stay closed.
"""

import json
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from mysafe.audit.leaves import encode_leaf
from mysafe.services.audit_tree.checkpoints import current, public_key
from mysafe.services.keys import VaultKeys
from mysafe.services.vault import Vault
from mysafe.storage import audit_tree
from mysafe.storage.engine import Transaction

FORMAT = "mysafe audit export 1"


class Exported(NamedTuple):
    """How many entries and checkpoints were written."""

    entries: int
    checkpoints: int


def export(vault: Vault, target: Path) -> Exported:
    """Write all leaves with their rows, all checkpoints of the database, and the public key into a new file.

    What is written is what is there: a log that was tampered with is exported as it is.

    Raises:
        OSError: the file is there already or cannot be written; it is removed again.
        VaultError, TreeDamaged: the database cannot be read.
    """
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            exported = vault.engine.look(lambda tx: _write(tx, vault.keys, file.write)).result()
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return exported


def _write(tx: Transaction, keys: VaultKeys, write: Callable[[str], object]) -> Exported:
    tree = current(tx, keys)
    head = {
        "format": FORMAT,
        "origin": tree.origin,
        "key": public_key(keys),
        "size": tree.size,
        "root": _b64(tree.root),
    }
    write(json.dumps(head) + "\n")
    entries = checkpoints = 0
    for line in _leaf_lines(tx):
        write(json.dumps(line) + "\n")
        entries += 1
    for stored in audit_tree.all_checkpoints(tx):
        write(json.dumps({"checkpoint": stored.note, "at": stored.at}) + "\n")
        checkpoints += 1
    return Exported(entries, checkpoints)


def _leaf_lines(tx: Transaction) -> Iterator[dict[str, object]]:
    start = 0
    while placed := audit_tree.placed_rows(tx, start):
        for leaf, row in placed:
            data = None if row is None else _b64(encode_leaf(row))
            yield {"position": leaf.position, "id": leaf.audit_id, "leaf": _b64(leaf.hash), "row": data}
        start = placed[-1].leaf.position + 1


def _b64(data: bytes) -> str:
    return b64encode(data).decode()


def newest_checkpoint(vault: Vault) -> str | None:
    """Return the newest checkpoint of the database as a signed note, None before the first one. Raises VaultError."""
    stored = vault.engine.look(audit_tree.newest_checkpoint).result()
    return None if stored is None else stored.note


def verifier_key(vault: Vault) -> str:
    """Return the key that checks the checkpoints of a vault, as tools for signed notes take it."""
    return public_key(vault.keys)
