# SPDX-License-Identifier: Apache-2.0
"""The command `mysafe`: its arguments. What a command does is imported only when one is run."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from mysafe import __version__

UMASK = 0o077
"""Files of the vault are for their owner only (R-CFG-06)."""

MOST_LINES = 10_000
"""Most entries `mysafe audit tail` prints."""

MOST_SHARES = 16
"""Most shares of one slot."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells report it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 refused or failed, 2 wrong arguments."""
    os.umask(UMASK)
    options = _parser().parse_args(arguments)
    from mysafe.cli import operate  # noqa: PLC0415  # it loads the whole program; --version need not wait for that

    try:
        return operate.run(options)
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mysafe", description="A self-hosted team vault.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"mysafe {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_init(commands)
    _add_serve(commands)
    _add_keys(commands)
    _add_users(_group(commands, "user", "users"))
    _add_groups(_group(commands, "group", "groups of users"))
    _add_access_keys(_group(commands, "access-key", "access keys of programs"))
    _add_audit(_group(commands, "audit", "the audit log"))
    transfers = _group(commands, "transfer", "transfers of the items of users who left")
    _add(transfers, "list", "print all transfers, newest first", "transfer list")
    _add(commands, "doctor", "say what is unsafe", "doctor")
    scrub = _add(commands, "verify", "open every record and compare it with the audit log, verified first", "verify")
    scrub.add_argument("--json", action="store_true", help="print JSON and nothing else")
    _add_backups(commands)
    move = _add(commands, "migrate-database", "copy the vault into another kind of database", "migrate-database")
    move.add_argument("--from", metavar="URL", dest="source", required=True, help="where the vault is")
    move.add_argument("--to", metavar="URL", dest="target", required=True, help="a new or empty database")
    return parser


_Commands = argparse._SubParsersAction  # noqa: SLF001  # argparse has no public name for what add_subparsers returns


def _group(
    commands: "_Commands[argparse.ArgumentParser]", name: str, about: str
) -> "_Commands[argparse.ArgumentParser]":
    parser = commands.add_parser(name, help=about, description=f"Manage {about}.", allow_abbrev=False)
    return parser.add_subparsers(required=True, metavar="COMMAND")


def _add(
    commands: "_Commands[argparse.ArgumentParser]", name: str, about: str, command: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=about, description=about.capitalize() + ".", allow_abbrev=False)
    parser.set_defaults(command=command)
    parser.add_argument("--data", metavar="DIR", help="directory of the vault (or MYSAFE_DATA)")
    parser.add_argument(
        "--database", metavar="URL", help="sqlite:///PATH or postgresql://… (or MYSAFE_DATABASE); DIR/vault.db without"
    )
    parser.add_argument("--key-file", metavar="FILE", help="root key file (or MYSAFE_KEY_FILE); DIR.key without")
    parser.add_argument("--root-provider", metavar="P", help="what opens the vault (keyfile)")
    return parser


def _add_init(commands: "_Commands[argparse.ArgumentParser]") -> None:
    init = _add(commands, "init", "make a new vault", "init")
    init.add_argument("--recovery-kit", metavar="FILE", help="write another way to open the vault, to be printed")
    init.add_argument("--shares", metavar="T/N", type=_shares, help="make N shares of which T open the vault")


def _add_keys(commands: "_Commands[argparse.ArgumentParser]") -> None:
    epochs = _add(
        commands, "keys", "list the epochs of the working keys and what uses them; slots of the root key", "keys"
    )
    _add_json(epochs)
    keys = epochs.add_subparsers(metavar="COMMAND")
    _add(keys, "slots", "list what can open the vault", "keys slots")
    add = _add(keys, "add-slot", "add a way to open the vault", "keys add-slot")
    add.add_argument("--provider", metavar="P", required=True, help="keyfile, passphrase, recovery, shamir, pkcs11, …")
    add.add_argument("--shares", metavar="T/N", type=_shares, help="for shamir: N shares of which T open the vault")
    add.add_argument("--kit", metavar="FILE", help="for recovery and shamir: write code or shares there, to be printed")
    remove = _add(keys, "remove-slot", "remove a way to open the vault, never the last one", "keys remove-slot")
    remove.add_argument("slot", metavar="ID", type=_slot, help="as `keys slots` prints it")
    _add_rotation(_add(commands, "rotate-keys", "rotate the epoch, or the root key; servers go on", "rotate-keys"))
    _add(commands, "unseal", "open the vault of a server on this machine, with what is typed", "unseal")
    _add(commands, "seal", "close the vault of a server on this machine", "seal")


def _add_rotation(rotate: argparse.ArgumentParser) -> None:
    rotate.add_argument("--root", action="store_true", help="rotate the root key, and make all its slots anew")
    rotate.add_argument("--new-key-file", metavar="FILE", help="with --root: make another key file, at once")
    people = rotate.add_mutually_exclusive_group()
    people.add_argument("--renew-slots", action="store_true", help="with --root: new passphrase, code and shares")
    people.add_argument("--drop-slots", action="store_true", help="with --root: drop the slots of people")
    rotate.add_argument(
        "--shares", metavar="T/N", type=_shares, help="with --renew-slots: make N shares of which T open the vault"
    )
    rotate.add_argument("--kit", metavar="FILE", help="with --renew-slots: write code or shares there, to be printed")


def _add_serve(commands: "_Commands[argparse.ArgumentParser]") -> None:
    serve = _add(commands, "serve", "serve the vault until Ctrl-C or SIGTERM", "serve")
    serve.add_argument("--host", metavar="H", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", metavar="N", help="port to listen on (8080)")
    serve.add_argument("--workers", metavar="N", help="processes that serve, on PostgreSQL (1)")


def _add_users(commands: "_Commands[argparse.ArgumentParser]") -> None:
    add = _add(commands, "add", "add a user", "user add")
    add.add_argument("username", metavar="USERNAME")
    add.add_argument("--name", metavar="N", default="", help="name to show")
    add.add_argument("--email", metavar="E", default="")
    add.add_argument("--admin", action="store_true", help="an administrator")
    add.add_argument("--password-stdin", action="store_true", help="read the password from one line of standard input")
    for word in ("disable", "enable"):
        switch = _add(commands, word, f"{word} a user", f"user {word}")
        switch.add_argument("username", metavar="USERNAME")
    _add_json(_add(commands, "list", "list all users", "user list"))
    show = _add(commands, "show", "show a user", "user show")
    show.add_argument("username", metavar="USERNAME")
    _add_json(show)
    change = _add(commands, "change", "change a user", "user change")
    change.add_argument("username", metavar="USERNAME")
    change.add_argument("--name", metavar="N", help="name to show")
    change.add_argument("--email", metavar="E")
    change.add_argument("--admin", action=argparse.BooleanOptionalAction, help="an administrator, or none")
    password = _add(commands, "password", "give a user another password and end their tokens", "user password")
    password.add_argument("username", metavar="USERNAME")
    password.add_argument(
        "--password-stdin", action="store_true", required=True, help="read it from one line of standard input"
    )


def _add_groups(commands: "_Commands[argparse.ArgumentParser]") -> None:
    add = _add(commands, "add", "add a group", "group add")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--member", metavar="USERNAME", action="append", default=[], help="may be given several times")
    add.add_argument("--description", metavar="D", default="", help="what the group is for")
    for word in ("disable", "enable"):
        _add_name(_add(commands, word, f"{word} a group", f"group {word}"))
    _add_json(_add(commands, "list", "list all system groups", "group list"))
    show = _add(commands, "show", "show a group and its members", "group show")
    _add_name(show)
    _add_json(show)
    change = _add(commands, "change", "change a group", "group change")
    _add_name(change)
    change.add_argument("--name", metavar="N", dest="new_name", help="its new name")
    change.add_argument("--description", metavar="D", help="what the group is for")
    members = _group(commands, "member", "members of a group")
    for word, about in (("add", "add users to a group"), ("remove", "remove users from a group")):
        member = _add(members, word, about, f"group member {word}")
        _add_name(member)
        member.add_argument("username", metavar="USERNAME", nargs="+")


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _add_access_keys(commands: "_Commands[argparse.ArgumentParser]") -> None:
    add = _add(commands, "add", "add an access key and print its secret", "access-key add")
    add.add_argument("--owner", metavar="USERNAME", required=True, help="the user the key acts for")
    add.add_argument("--name", metavar="NAME", required=True, help="what the key is for")
    add.add_argument("--description", metavar="TEXT", default="")
    add.add_argument("--tags", metavar="TAGS", default="", help="separated by commas")
    add.add_argument("--fingerprint", metavar="HEX", default="", help="SHA-256 of the client certificate; any without")
    add.add_argument("--encrypt", action="store_true", help="encrypt sensitive values for it (RSA-OAEP)")
    _add_limits(add, [])
    add.add_argument("--json", action="store_true", help="print JSON and nothing else")
    listing = _add(commands, "list", "list access keys that are not revoked", "access-key list")
    listing.add_argument("--owner", metavar="USERNAME", help="only those of this user")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    _add_access_key_change(commands)
    for word, about in (
        ("show", "show an access key without its secrets"),
        ("clone", "copy an access key and print the id and secret of the copy"),
        ("revoke", "revoke an access key for good"),
        ("secret", "print the client secret of an access key again"),
        ("decryption-key", "print the private key of an access key that encrypts"),
    ):
        one = _add(commands, word, about, f"access-key {word}")
        one.add_argument("client_id", metavar="CLIENT_ID")
        if word in {"show", "clone"}:
            one.add_argument("--json", action="store_true", help="print JSON and nothing else")


def _add_access_key_change(commands: "_Commands[argparse.ArgumentParser]") -> None:
    change = _add(commands, "change", "change what is named of an access key", "access-key change")
    change.add_argument("client_id", metavar="CLIENT_ID")
    change.add_argument("--name", metavar="NAME")
    change.add_argument("--description", metavar="TEXT")
    change.add_argument("--tags", metavar="TAGS", help="separated by commas")
    change.add_argument("--fingerprint", metavar="HEX", help="SHA-256 of the client certificate; empty for any")
    change.add_argument("--encrypt", action=argparse.BooleanOptionalAction, help="encrypt sensitive values for it")
    _add_limits(change, None)
    change.set_defaults(unlimited=[])
    for flag, field in (("--never-expires", "expires_at"), ("--all-items", "items")):
        change.add_argument(flag, dest="unlimited", action="append_const", const=field, help="take this limit away")


def _add_limits(parser: argparse.ArgumentParser, without: list[str] | None) -> None:
    """Add the limits of an access key; those that may be given several times are `without` where they are not."""
    for flag, value, about in (
        ("--ip", "CIDR", "may be given several times; any without, or for *"),
        ("--referer", "URL", "as --ip, for the Referer header"),
        ("--item", "KIND:ID", "as --ip; all items of the owner without"),
    ):
        parser.add_argument(flag, metavar=value, action="append", default=without, help=about)
    parser.add_argument("--expires", metavar="ISO8601", type=_moment, help="UTC unless it says otherwise")


def _add_audit(commands: "_Commands[argparse.ArgumentParser]") -> None:
    tail = _add(commands, "tail", "print the newest entries, oldest first", "audit tail")
    tail.add_argument("--lines", metavar="N", type=_count, default=20, help="how many (20)")
    tail.add_argument("--json", action="store_true", help="one JSON object a line")
    verify = _add(commands, "verify", "replay the audit log against what was signed of it", "audit verify")
    verify.add_argument("--json", action="store_true", help="print JSON and nothing else")
    export = _add(commands, "export", "write the audit log into a file that others can check", "audit export")
    export.add_argument("file", metavar="FILE", help="a new file")
    checkpoint = _add(commands, "checkpoint", "print the newest signed checkpoint", "audit checkpoint")
    checkpoint.add_argument("--key", action="store_true", help="print the key that checks it instead")


def _add_backups(commands: "_Commands[argparse.ArgumentParser]") -> None:
    take = _add(
        commands, "backup", "copy the vault into an encrypted file, or prove that such a file is whole", "backup"
    )
    take.add_argument(
        "words", metavar="[prove] FILE", nargs="*", help="the new file; after `prove`, the one to restore and open"
    )
    take.add_argument("--schedule", action="store_true", help="print when the server takes backups by itself")
    take.add_argument("--recipient", metavar="AGE", help="encrypt it to this age recipient, instead of a passphrase")
    restore = _add(commands, "restore", "make the vault of a backup in an empty directory", "restore")
    restore.add_argument("file", metavar="FILE", nargs="?", help="what `mysafe backup` made")
    restore.add_argument(
        "--accept-rollback",
        action="store_true",
        help="go on with a state that is older than the last checkpoint; without FILE, that of the vault that is there",
    )
    restore.add_argument("--verify", action="store_true", help="open every record before the vault gets its name")
    restore.add_argument(
        "--ids-ahead", metavar="N", type=int, help="skip as many ids, which the lost vault may have given (10000)"
    )
    for one in (take, restore):
        one.add_argument("--passphrase-file", metavar="FILE", help="its first line is the passphrase; asked without")
        one.add_argument("--identity", metavar="FILE", help="the age identity that opens it")


def _moment(text: str) -> datetime:
    """Return the moment an ISO 8601 text names, in the future."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("not an ISO 8601 date or time, such as 2030-12-31T12:00:00Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= datetime.now(UTC):
        raise argparse.ArgumentTypeError("already past")
    return moment


def _shares(text: str) -> tuple[int, int]:
    """Return how many shares open, of how many."""
    found = re.fullmatch("([0-9]{1,2})/([0-9]{1,2})", text, re.ASCII)
    threshold, total = map(int, found.groups()) if found else (0, 0)
    if not 2 <= threshold <= total <= MOST_SHARES:
        raise argparse.ArgumentTypeError(f"not T/N with 2 <= T <= N <= {MOST_SHARES}")
    return threshold, total


def _slot(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text, re.ASCII):
        raise argparse.ArgumentTypeError("not the number of a slot")
    return int(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= MOST_LINES):
        raise argparse.ArgumentTypeError(f"not a whole number from 1 to {MOST_LINES}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
