# SPDX-License-Identifier: Apache-2.0
"""What each command does: read the settings, open the vault, run one use case, print."""

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from mysafe import app
from mysafe.cli import doctor, groups, users
from mysafe.cli.errors import EXPLAINED, REFUSED, explain
from mysafe.cli.local_vault import operate, printable
from mysafe.cli.terminal import Command, Options
from mysafe.config import FLAGS, Loaded, find_settings_file, load_with_sources
from mysafe.domain.access_keys import AccessKeyDraft
from mysafe.services import audit_trail
from mysafe.services.accounts import access_keys


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


def _add_access_key(options: Options, loaded: Loaded) -> int:
    draft = AccessKeyDraft(
        options.owner, options.name, tuple(options.ip), expires_at=options.expires, is_encrypting=options.encrypt
    )
    private_key = access_keys.prepare(draft, loaded.settings.access_keys_rsa_bits)
    made = operate(loaded, partial(access_keys.add, draft=draft, private_key=private_key))
    client_id, client_secret = made.key.client_id, made.client_secret.reveal()
    if options.json:
        print(json.dumps({"client_id": client_id, "client_secret": client_secret}))
        return 0
    print(f"client_id      {client_id}")
    print(f"client_secret  {client_secret}")
    print("The secret is not kept and cannot be shown again.")
    return 0


def _show_decryption_key(options: Options, loaded: Loaded) -> int:
    private_key = operate(loaded, partial(access_keys.decryption_key, client_id=options.client_id))
    print(private_key.reveal(), end="")
    return 0


def _revoke_access_key(options: Options, loaded: Loaded) -> int:
    key = operate(loaded, partial(access_keys.revoke, client_id=options.client_id))
    print(f"revoked the access key {key.client_id}")
    return 0


def _tail_audit(options: Options, loaded: Loaded) -> int:
    for entry in operate(loaded, partial(audit_trail.tail, limit=options.lines)):
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
    return "  ".join(printable(word) for word in words if word)


def _moment(fields: Mapping[str, object]) -> str:
    at = datetime.fromtimestamp(int(str(fields["at_ms"])) / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_COMMANDS: dict[str, Command] = {
    "init": _init,
    "serve": _serve,
    "doctor": _doctor,
    **users.COMMANDS,
    **groups.COMMANDS,
    "access-key add": _add_access_key,
    "access-key decryption-key": _show_decryption_key,
    "access-key revoke": _revoke_access_key,
    "audit tail": _tail_audit,
}
