# SPDX-License-Identifier: Apache-2.0
"""Commands about the root key: its slots, the recovery kit, and opening and sealing a running server."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mysafe import making, opening
from mysafe.cli.asking import ask_secret, secret_lines
from mysafe.cli.errors import REFUSED
from mysafe.cli.terminal import Command, Options, line, moment
from mysafe.config import Loaded
from mysafe.domain.secret_text import SecretText
from mysafe.server.sealing import control
from mysafe.services.authentication import local_operator
from mysafe.services.root import kit, slots
from mysafe.services.root.slots import RememberedRoot, Slot

NO_KIT = (
    "there is no other way to open this vault yet: make one with\n"
    "    mysafe keys add-slot --provider recovery --kit FILE     (or --provider shamir --shares 2/3)"
)
"""What is said of a vault that nothing but its daily key opens."""


def init(options: Options, loaded: Loaded) -> int:
    """Make a vault."""
    settings = loaded.settings
    recovery_kit = Path(options.recovery_kit) if options.recovery_kit else None
    shares = making.initialise(settings, ask=ask_secret, shares=options.shares, recovery_kit=recovery_kit)
    print(f"made a vault in {settings.data}")
    if settings.root_provider == "keyfile":
        print(f"its key is {opening.key_path(settings)}: keep a copy of it, apart from copies of the vault")
    print_secrets(shares)
    if recovery_kit is not None:
        tell_of(recovery_kit)
    elif settings.root_provider != "shamir":
        print(NO_KIT)
    return 0


def _list(options: Options, loaded: Loaded) -> int:
    for slot in opening.read_slots(loaded.settings):
        print(_slot_line(slot))
    return 0


def _slot_line(slot: Slot) -> str:
    return line(str(slot.id), slot.provider, slot.terms, f"made {moment(slot.created_at)}")


def _add(options: Options, loaded: Loaded) -> int:
    settings = loaded.settings
    recovery_kit = Path(options.kit) if options.kit else None
    if recovery_kit is not None:
        kit.check_place(recovery_kit, settings.data)
    opener = RememberedRoot(opening.root_provider(settings, ask_secret))
    vault = opening.open_vault(settings, provider=opener)
    try:
        made = opening.slot_provider(settings, options.provider, ask_secret, options.shares)
        keep = partial(_keep, made.printed, recovery_kit, options.provider, settings.data)
        number = slots.add_slot(vault, opener, made.provider, keep)
    finally:
        vault.close()
    print(f"added slot {number} for the provider {options.provider}")
    if options.provider == "keyfile":
        print(f"its key is {opening.key_path(settings)}: keep a copy of it, apart from copies of the vault")
    return 0


def _keep(printed: Callable[[], Sequence[SecretText]], file: Path | None, provider: str, data: Path) -> None:
    """Write or print what people must keep of a slot, before it is stored."""
    secrets = printed()
    if file is None:
        print_secrets(secrets)
    elif secrets:
        kit.write(file, provider, secrets, data)
        tell_of(file)


def _remove(options: Options, loaded: Loaded) -> int:
    vault = opening.open_vault(loaded.settings, provider=opening.root_provider(loaded.settings, ask_secret))
    try:
        left = vault.run(local_operator, partial(slots.remove_slot, slot_id=options.slot)).result()
    finally:
        vault.close()
    print(f"removed slot {options.slot}; copies of the database still have it")
    if len(left) == 1 and not left[0].is_recovering:
        print(f"mysafe: only the {left[0].provider} slot is left, and it is no recovery slot", file=sys.stderr)
    return 0


def _unseal(options: Options, loaded: Loaded) -> int:
    """Send what people type, one secret after the other, until the vault is open or there is no more."""
    send = partial(control.ask, loaded.settings.data)
    state = send({"do": "status"})
    if state["is_open"]:
        print("the vault is open")
        return 0
    if not state["provider"]:
        return _told(send({"do": "unseal"}))
    was_refused = False
    for secret in secret_lines(partial(_prompt, send)):
        state = send({"do": "unseal", "secret": secret.reveal()})
        was_refused |= _told(state) != 0
        if state["is_open"]:
            break
    return REFUSED if was_refused and not state["is_open"] else 0


def _prompt(send: Callable[[dict[str, str]], Mapping[str, Any]]) -> str:
    state = send({"do": "status"})
    names = {"passphrase": "Passphrase: ", "recovery": "Recovery code: "}
    return names.get(str(state.get("provider")), f"Share {state.get('given', 0) + 1} of {state.get('needed', 0)}: ")


def _seal(options: Options, loaded: Loaded) -> int:
    return _told(control.ask(loaded.settings.data, {"do": "seal"}))


def _told(state: Mapping[str, object]) -> int:
    """Print how the vault is, and what was wrong on standard error; return the exit status."""
    if state["error"]:
        print(f"mysafe: {state['error']}", file=sys.stderr)
    if state["is_open"]:
        print("the vault is open")
    elif state.get("provider") == "shamir":
        print(f"the vault is sealed: {state['given']} of {state['needed']} shares")
    else:
        print("the vault is sealed")
    return REFUSED if state["error"] else 0


def tell_of(file: Path) -> None:
    """Print where the recovery kit is, and what to do with it."""
    print(f"the recovery kit is {file}: print it, lock it away, and remove the file")


def print_secrets(secrets: Sequence[SecretText]) -> None:
    """Print what people must keep: it is shown once, and stored nowhere."""
    if len(secrets) == 1:
        print(f"recovery code, shown once: {secrets[0].reveal()}")
        return
    for number, secret in enumerate(secrets, 1):
        print(f"share {number}, shown once: {secret.reveal()}")


COMMANDS: dict[str, Command] = {
    "init": init,
    "keys slots": _list,
    "keys add-slot": _add,
    "keys remove-slot": _remove,
    "unseal": _unseal,
    "seal": _seal,
}
