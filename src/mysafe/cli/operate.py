# SPDX-License-Identifier: Apache-2.0
"""What each command does: read the settings, open the vault, run one use case, print."""

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from mysafe import app, backups
from mysafe.cli import access_keys, audit, backup, databases, doctor, groups, keys, rotation, users
from mysafe.cli.errors import EXPLAINED, REFUSED, explain
from mysafe.cli.local_vault import operate, printable
from mysafe.cli.terminal import Command, Options
from mysafe.config import FLAGS, Loaded, find_settings_file, load_with_sources
from mysafe.hardening import harden
from mysafe.services import audit_trail
from mysafe.services.accounts import transfers


def run(options: Options) -> int:
    """Run the command that was parsed and return its exit status; a refusal is one sentence on standard error."""
    try:
        flags = {name: getattr(options, name, None) for name in FLAGS}
        loaded = load_with_sources(flags, os.environ, find_settings_file(os.environ))
        if options.command != "doctor":  # which looks first how the machine is
            harden()
        status = _COMMANDS[options.command](options, loaded)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output is gone. What is left in the buffer must not be written at exit once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except (*EXPLAINED, *app.REFUSALS, *backups.REFUSALS) as error:
        failure = explain(error)
        print(f"mysafe: {failure.sentence}", file=sys.stderr)
        return failure.exit_status
    return status


def _serve(options: Options, loaded: Loaded) -> int:
    try:
        settings = loaded.settings
        return app.serve(settings, partial(backups.chores, settings), partial(backups.times, settings))
    except SystemExit:
        return REFUSED  # uvicorn's way to say that it cannot listen; its own line on standard error says why


def _doctor(options: Options, loaded: Loaded) -> int:
    return doctor.examine(loaded)


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


def _list_transfers(options: Options, loaded: Loaded) -> int:
    for one in operate(loaded, transfers.list_all):
        words = (
            f"transfer {one.transfer.id}",
            "expired" if one.is_expired else one.transfer.state.value,
            f"from {one.from_user} to {one.to_user}",
            f"requested by {one.requested_by}",
            f"approved by {one.approved_by}" if one.approved_by else "",
            f"good until {_moment({'at_ms': one.transfer.expires_at * 1000})}",
        )
        print("  ".join(printable(word) for word in words if word))
    return 0


_COMMANDS: dict[str, Command] = {
    "serve": _serve,
    "doctor": _doctor,
    **users.COMMANDS,
    **groups.COMMANDS,
    **access_keys.COMMANDS,
    **keys.COMMANDS,
    **backup.COMMANDS,
    **databases.COMMANDS,
    **rotation.COMMANDS,
    **audit.COMMANDS,
    "audit tail": _tail_audit,
    "transfer list": _list_transfers,
}
