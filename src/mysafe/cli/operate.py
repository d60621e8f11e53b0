# SPDX-License-Identifier: Apache-2.0
"""What each command does: read the settings, open the vault, run one use case, print."""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from mysafe import app
from mysafe.cli import doctor
from mysafe.cli.errors import EXPLAINED, REFUSED, explain
from mysafe.config import FLAGS, Loaded, find_settings_file, load_with_sources
from mysafe.domain.access_keys import AccessKeyDraft
from mysafe.domain.errors import InvalidField, MissingField, TooLong
from mysafe.domain.principals import UserDraft
from mysafe.domain.secret_text import SecretText
from mysafe.services import audit_trail
from mysafe.services.accounts import access_keys, groups, transfers, users
from mysafe.services.accounts.users import LONGEST_PASSWORD_BYTES
from mysafe.services.authentication import local_operator
from mysafe.services.unit_of_work import UnitOfWork

T = TypeVar("T")

Options = argparse.Namespace


def run(options: Options) -> int:
    """Run the command that was parsed and return its exit status; a refusal is one sentence on standard error."""
    try:
        flags = {name: getattr(options, name, None) for name in FLAGS}
        loaded = load_with_sources(flags, os.environ, find_settings_file(os.environ))
        status = _COMMANDS[options.command](options, loaded)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output is gone. What is left in the buffer must not be written at exit once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except (*EXPLAINED, *app.REFUSALS) as error:
        failure = explain(error)
        print(f"mysafe: {failure.sentence}", file=sys.stderr)
        return failure.exit_status
    return status


def _operate(loaded: Loaded, work: Callable[[UnitOfWork], T]) -> T:
    """Run a use case as the local operator. Its effect is on disk when this returns."""
    vault = app.open_vault(loaded.settings)
    try:
        return vault.run(local_operator, work).result()
    finally:
        vault.close()


def _init(options: Options, loaded: Loaded) -> int:
    app.initialise(loaded.settings)
    print(f"made a vault in {loaded.settings.data}")
    print(f"its key is {app.key_path(loaded.settings)}: keep a copy of it, apart from copies of the vault")
    return 0


def _serve(options: Options, loaded: Loaded) -> int:
    try:
        return app.serve(loaded.settings)
    except SystemExit:
        return REFUSED  # uvicorn's way to say that it cannot listen; its own line on standard error says why


def _doctor(options: Options, loaded: Loaded) -> int:
    return doctor.examine(loaded)


def _add_user(options: Options, loaded: Loaded) -> int:
    password = _password_from_stdin() if options.password_stdin else None
    draft = UserDraft(options.username, options.name, options.email, is_admin=options.admin, password=password)
    user = _operate(loaded, partial(users.add, draft=draft, password_hash=users.prepare(draft)))
    print(f"added the user {user.username}")
    return 0


def _set_user_active(options: Options, loaded: Loaded, *, is_active: bool) -> int:
    user = _operate(loaded, partial(users.set_active, username=options.username, is_active=is_active))
    print(f"{'enabled' if user.is_active else 'disabled'} the user {user.username}")
    return 0


def _add_group(options: Options, loaded: Loaded) -> int:
    group = _operate(loaded, partial(groups.add, name=options.name, members=options.member))
    print(f"added the group {group.name}")
    return 0


def _add_access_key(options: Options, loaded: Loaded) -> int:
    draft = AccessKeyDraft(
        options.owner, options.name, tuple(options.ip), expires_at=options.expires, is_encrypting=options.encrypt
    )
    private_key = access_keys.prepare(draft, loaded.settings.access_keys_rsa_bits)
    made = _operate(loaded, partial(access_keys.add, draft=draft, private_key=private_key))
    client_id, client_secret = made.key.client_id, made.client_secret.reveal()
    if options.json:
        print(json.dumps({"client_id": client_id, "client_secret": client_secret}))
        return 0
    print(f"client_id      {client_id}")
    print(f"client_secret  {client_secret}")
    print("The secret is not kept and cannot be shown again.")
    return 0


def _show_decryption_key(options: Options, loaded: Loaded) -> int:
    private_key = _operate(loaded, partial(access_keys.decryption_key, client_id=options.client_id))
    print(private_key.reveal(), end="")
    return 0


def _revoke_access_key(options: Options, loaded: Loaded) -> int:
    key = _operate(loaded, partial(access_keys.revoke, client_id=options.client_id))
    print(f"revoked the access key {key.client_id}")
    return 0


def _tail_audit(options: Options, loaded: Loaded) -> int:
    for entry in _operate(loaded, partial(audit_trail.tail, limit=options.lines)):
        fields = {**entry._asdict(), **entry.details._asdict()}
        print(_audit_json(fields) if options.json else _audit_line(fields))
    return 0


def _audit_json(fields: Mapping[str, object]) -> str:
    named = {name: value for name, value in fields.items() if name not in {"at_ms", "details"}}
    return json.dumps({"at": _moment(fields), **named}, default=lambda digest: digest.hex())


def _audit_line(fields: Mapping[str, object]) -> str:
    record = f"{fields['record_kind']} {fields['record_id']}" if fields["record_kind"] else ""
    words = (
        _moment(fields),
        f"{fields['action']} {fields['result']}",
        f"user {fields['actor_id']}" if fields["actor_id"] else "",
        f"key {fields['access_key_id']}" if fields["access_key_id"] else "",
        record,
        f'"{fields["name"]}"' if fields["name"] else "",
        f"from {fields['address']}",
        str(fields["reason"]),
    )
    return "  ".join(_printable(word) for word in words if word)


def _moment(fields: Mapping[str, object]) -> str:
    at = datetime.fromtimestamp(int(str(fields["at_ms"])) / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _printable(text: str) -> str:
    """Escape what could move the cursor of a terminal: names and client programs are the callers' words."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)


def _list_transfers(options: Options, loaded: Loaded) -> int:
    for one in _operate(loaded, transfers.list_all):
        words = (
            f"transfer {one.transfer.id}",
            "expired" if one.is_expired else one.transfer.state.value,
            f"from {one.from_user} to {one.to_user}",
            f"requested by {one.requested_by}",
            f"approved by {one.approved_by}" if one.approved_by else "",
            f"good until {_moment({'at_ms': one.transfer.expires_at * 1000})}",
        )
        print("  ".join(_printable(word) for word in words if word))
    return 0


def _password_from_stdin() -> SecretText:
    """Return the password without the end of its line.

    Raises:
        MissingField, TooLong, InvalidField: nothing came, more than R-AUTH-01 allows, or no UTF-8.
    """
    if sys.stdin.isatty():
        try:
            return SecretText(getpass.getpass("Password: "))
        except EOFError:
            raise MissingField("password") from None
    line = sys.stdin.buffer.readline(LONGEST_PASSWORD_BYTES + 3)
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    if not line:
        raise MissingField("password")
    if len(line) > LONGEST_PASSWORD_BYTES:
        raise TooLong("password", LONGEST_PASSWORD_BYTES)
    try:
        return SecretText(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidField("password") from None


_COMMANDS: dict[str, Callable[[Options, Loaded], int]] = {
    "init": _init,
    "serve": _serve,
    "doctor": _doctor,
    "user add": _add_user,
    "user disable": partial(_set_user_active, is_active=False),
    "user enable": partial(_set_user_active, is_active=True),
    "group add": _add_group,
    "access-key add": _add_access_key,
    "access-key decryption-key": _show_decryption_key,
    "access-key revoke": _revoke_access_key,
    "audit tail": _tail_audit,
    "transfer list": _list_transfers,
}
