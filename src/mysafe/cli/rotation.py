# SPDX-License-Identifier: Apache-2.0
"""Commands about the working keys: list the epochs, rotate them, and rotate the root key."""

import json
import sys
from functools import partial
from pathlib import Path

from mysafe import opening
from mysafe.cli.asking import ask_secret
from mysafe.cli.errors import REFUSED
from mysafe.cli.keys import print_secrets, tell_of
from mysafe.cli.terminal import Command, Options, line, moment
from mysafe.config import Loaded
from mysafe.services.authentication import local_operator
from mysafe.services.keys import KeysRefused
from mysafe.services.root import kit, slots
from mysafe.services.rotation import epochs, listing, root_change
from mysafe.services.rotation.epochs import Progress
from mysafe.services.rotation.root_change import NewSlots

WRONG_ARGUMENTS = 2
"""Exit status, as argparse has it."""


def _list(options: Options, loaded: Loaded) -> int:
    vault = opening.open_vault(loaded.settings, provider=opening.root_provider(loaded.settings, ask_secret))
    try:
        found = vault.run(local_operator, partial(listing.list_epochs, vault)).result()
    finally:
        vault.close()
    for one in found:
        if options.json:
            print(json.dumps({**one._asdict(), "since": moment(one.since)}))
        else:
            rows = ", ".join(f"{number} {table}" for table, number in one.rows.items()) or "no rows"
            print(line(f"epoch {one.epoch}", one.state, f"since {moment(one.since)}", rows))
    return 0


def _rotate(options: Options, loaded: Loaded) -> int:
    if not options.root and (options.new_key_file or options.renew_slots or options.drop_slots or options.kit):
        print("mysafe: --new-key-file, --renew-slots, --drop-slots and --kit go with --root", file=sys.stderr)
        return WRONG_ARGUMENTS
    if options.shares and not options.renew_slots:
        print("mysafe: --shares goes with --renew-slots", file=sys.stderr)
        return WRONG_ARGUMENTS
    status = _rotate_root(options, loaded) if options.root else _rotate_epoch(loaded)
    if opening.is_journal_emptied(loaded.settings):
        return status
    print(
        "mysafe: somebody reads an older state of the database, so the sealed old keyring is still in its journal;"
        " restart the server when no backup is under way",
        file=sys.stderr,
    )
    return REFUSED


def _rotate_epoch(loaded: Loaded) -> int:
    vault = opening.open_vault(loaded.settings, provider=opening.root_provider(loaded.settings, ask_secret))
    shown = _Shown()
    try:
        done = epochs.rotate(vault, shown.report)
    finally:
        shown.end()
        vault.close()
    if done.is_resumed:
        print("finished the rotation that was interrupted")
    gone = "".join(f"; epoch {number} is destroyed" for number in done.destroyed)
    print(f"epoch {done.epoch} is active; {done.rewrapped} rows rewrapped{gone}")
    return 0


def _rotate_root(options: Options, loaded: Loaded) -> int:
    settings = loaded.settings
    recovery_kit = Path(options.kit) if options.kit else None
    if recovery_kit is not None:
        kit.check_place(recovery_kit, settings.data)
    vault = opening.open_vault(settings, provider=opening.root_provider(settings, ask_secret))
    try:
        wanted = NewSlots(
            partial(opening.slot_opener, settings, ask=ask_secret),
            partial(opening.resealing_provider, settings, ask=ask_secret, shares=options.shares),
            Path(options.new_key_file) if options.new_key_file else None,
            are_renewed=options.renew_slots,
            are_dropped=options.drop_slots,
            are_terms_said=options.shares is not None,
        )
        changed = root_change.prepare(vault, wanted)
        if recovery_kit is not None and len(changed.printed) > 1:
            raise KeysRefused("a kit is for one slot, and there are several: leave out --kit")
        for provider, secrets in changed.printed.items():
            if recovery_kit is None:
                print_secrets(secrets)
            else:
                kit.write(recovery_kit, provider, secrets, settings.data)
                tell_of(recovery_kit)
        root_change.store(vault, changed)
    finally:
        vault.close()
    print("the root key is new; copies of the database from before still have the old one")
    before = {slot.id: slot.terms for slot in slots.shown(changed.expected)}
    for made in slots.shown(changed.slots):
        terms = f": {made.terms}" if made.terms else ""
        other = f"; the slot before said {before[made.id]}" if before[made.id] != made.terms else ""
        print(f"made slot {made.id} anew for the provider {made.provider}{terms}{other}")
    for slot in changed.dropped:
        print(f"dropped slot {slot.id} for the provider {slot.provider}")
    if options.new_key_file:
        print(f"its key is {options.new_key_file}: set key_file to it, or put it in the place of the old one")
    return 0


class _Shown:
    """Progress on the terminal, on one line; where standard error is none, nothing."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._width = 0

    def report(self, progress: Progress) -> None:
        if not self._is_terminal:
            return
        text = f"{progress.doing} {progress.done} of {progress.total}" if progress.total else progress.doing
        print(f"\r{text:<{self._width}}", end="", file=sys.stderr, flush=True)
        self._width = max(self._width, len(text))

    def end(self) -> None:
        if self._width:
            print(f"\r{'':<{self._width}}\r", end="", file=sys.stderr, flush=True)


COMMANDS: dict[str, Command] = {"keys": _list, "rotate-keys": _rotate}
