# SPDX-License-Identifier: Apache-2.0
"""The commands `mysafe audit verify`, `export` and `checkpoint`, and `mysafe verify`, which looks at everything."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mysafe import opening
from mysafe.cli.asking import ask_secret
from mysafe.cli.errors import REFUSED
from mysafe.cli.terminal import Command, Options
from mysafe.config import Loaded
from mysafe.services import audit_trail
from mysafe.services.audit_tree import exporting, scrubbing, verifying
from mysafe.services.audit_tree.scrubbing import Scrubbed
from mysafe.services.audit_tree.sequencer import append_own_rows
from mysafe.services.audit_tree.verifying import Verified
from mysafe.services.vault import Vault


@contextmanager
def _opened(loaded: Loaded) -> Iterator[Vault]:
    vault = opening.open_vault(loaded.settings, provider=opening.root_provider(loaded.settings, ask_secret))
    try:
        yield vault
    finally:
        vault.close()


def _verify(options: Options, loaded: Loaded) -> int:
    with _opened(loaded) as vault:
        found = _verified(vault, loaded)
    print(json.dumps(_fields(found))) if options.json else _print(found)
    return REFUSED if found.fault_count else 0


def _verified(vault: Vault, loaded: Loaded) -> Verified:
    audit_trail.record_verification(vault)
    append_own_rows(vault)
    return verifying.verify(vault, opening.checkpoint_file(loaded.settings))


def _scrub(options: Options, loaded: Loaded) -> int:
    with _opened(loaded) as vault:
        found = _verified(vault, loaded)
        scrubbed = scrubbing.scrub(vault)
    if options.json:
        print(json.dumps({"audit": _fields(found), "records": scrubbed._asdict()}))
    else:
        _print(found)
        _print_records(scrubbed)
    return REFUSED if found.fault_count or scrubbed.fault_count else 0


def _print_records(scrubbed: Scrubbed) -> None:
    for fault in scrubbed.faults:
        print(f"fault: {fault}")
    if scrubbed.fault_count > len(scrubbed.faults):
        print(f"fault: and {scrubbed.fault_count - len(scrubbed.faults)} more")
    print(f"{scrubbed.records} records opened and compared with the audit log, {scrubbed.fault_count} faults")


def _fields(found: Verified) -> dict[str, object]:
    return {**found._asdict(), "faults": [fault._asdict() for fault in found.faults]}


def _print(found: Verified) -> None:
    for fault in found.faults:
        print(f"fault: entry {fault.entry} {fault.text}" if fault.entry else f"fault: {fault.text}")
    if found.fault_count > len(found.faults):
        print(f"fault: and {found.fault_count - len(found.faults)} more")
    signed = f"{found.stored} checkpoints in the database, {found.external} in the file"
    print(f"{found.entries} entries, {signed}, {found.pending} entries not in the tree yet")
    if found.given_up:
        print(f"{found.given_up} checkpoints in the file were given up when a rollback was accepted")
    if found.stray_lines:
        print(f"{found.stray_lines} lines of the file are no checkpoint: one may have been written when power failed")
    print(f"{found.fault_count} faults" if found.fault_count else "the audit log is as it was written")


def _export(options: Options, loaded: Loaded) -> int:
    target = Path(options.file)
    with _opened(loaded) as vault:
        audit_trail.record_export(vault, target.name)
        append_own_rows(vault)
        exported = exporting.export(vault, target)
    print(f"wrote {exported.entries} entries and {exported.checkpoints} checkpoints: {target}")
    return 0


def _checkpoint(options: Options, loaded: Loaded) -> int:
    with _opened(loaded) as vault:
        text = exporting.verifier_key(vault) if options.key else exporting.newest_checkpoint(vault)
    if text is None:
        print("mysafe: there is no checkpoint yet: a server writes the first one", file=sys.stderr)
        return REFUSED
    print(text.rstrip("\n"))
    return 0


COMMANDS: dict[str, Command] = {
    "verify": _scrub,
    "audit verify": _verify,
    "audit export": _export,
    "audit checkpoint": _checkpoint,
}
