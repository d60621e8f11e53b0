# SPDX-License-Identifier: Apache-2.0
"""The commands `mysafe backup` and `mysafe restore`."""

import getpass
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from mysafe import backups, opening
from mysafe.backups import Restored, Terms
from mysafe.cli.asking import ask_secret
from mysafe.cli.errors import REFUSED, USAGE
from mysafe.cli.terminal import Command, Options, moment
from mysafe.config import Loaded, Settings
from mysafe.domain.errors import InvalidField, MissingField
from mysafe.domain.secret_text import SecretText
from mysafe.services.backup.restoring import Opening
from mysafe.services.backup.taking import Sealing
from mysafe.services.root.slots import RememberedRoot


def _backup(options: Options, loaded: Loaded) -> int:
    match options.words:
        case [] if options.schedule:
            return _print_schedule(loaded.settings)
        case ["prove", file]:
            return _prove(Path(file), options, loaded)
        case [file] if file != "prove":
            return _take(Path(file), options, loaded)
        case _:
            print("mysafe: give FILE, or prove FILE, or --schedule", file=sys.stderr)
            return USAGE


def _take(file: Path, options: Options, loaded: Loaded) -> int:
    recipient = options.recipient or (None if options.passphrase_file else loaded.settings.backup_recipient)
    sealing = Sealing(recipient=recipient) if recipient else Sealing(passphrase=_passphrase(options, is_new=True))
    manifest, lost = backups.take(loaded.settings, file, sealing, provider=_provider(loaded.settings))
    records = sum(manifest.counts.values())
    print(f"took a backup of {records} rows and {len(manifest.blobs) - len(lost)} contents of files: {file}")
    print("the key of the vault is not in it: keep a copy of it elsewhere")
    return _complained_of(lost)


def _prove(file: Path, options: Options, loaded: Loaded) -> int:
    restored = backups.prove(loaded.settings, file, _opening(options), _provider(loaded.settings))
    lost = restored.unpacked.lost
    _print_restored(f"the backup {file} {'opens, but is not whole' if lost else 'is whole'}", restored)
    return _complained_of(lost)


def _restore(options: Options, loaded: Loaded) -> int:
    if options.file is None:
        return _accept_rollback(options, loaded)
    ahead = backups.IDS_AHEAD if options.ids_ahead is None else options.ids_ahead
    if ahead < 0:
        raise InvalidField("--ids-ahead")
    terms = Terms(_provider(loaded.settings), options.verify, ahead, options.accept_rollback)
    restored = backups.restore(loaded.settings, Path(options.file), _opening(options), terms)
    _print_restored(f"made the vault in {loaded.settings.data}", restored)
    print("every access token ended: programs ask for new ones")
    return _complained_of(restored.unpacked.lost)


def _provider(settings: Settings) -> RememberedRoot:
    """Return what opens the vault; where people have the key, they are asked once."""
    return RememberedRoot(opening.root_provider(settings, ask_secret))


def _complained_of(lost: Sequence[str]) -> int:
    """Return the exit status, after saying what the vault has lost."""
    if not lost:
        return 0
    print(f"mysafe: {backups.lost_contents(lost)}", file=sys.stderr)
    return REFUSED


def _accept_rollback(options: Options, loaded: Loaded) -> int:
    if not options.accept_rollback:
        print("mysafe: give FILE, or --accept-rollback for the vault that is there", file=sys.stderr)
        return USAGE
    given_up = backups.accept_rollback(loaded.settings, _provider(loaded.settings))
    print(f"accepted: up to {given_up} entries of the audit log are given up, and that is recorded")
    return 0


def _print_restored(done: str, restored: Restored) -> None:
    manifest, left_out, lost = restored.unpacked
    print(f"{done}: taken {moment(manifest.taken_at)} by version {manifest.version}")
    opened = f", {restored.opened.records} records opened" if restored.opened else ", records not opened"
    print(f"{sum(manifest.counts.values())} rows, {len(manifest.blobs) - len(lost)} contents of files{opened}")
    print(f"newest audit entry {manifest.audit_id}; {restored.seconds:.1f} s")
    for blob_id in left_out:
        print(f"the content {blob_id} is not in it: its item was erased while the backup was taken")
    for blob_id in lost:
        print(f"the content {blob_id} is not in it: the vault had lost it")


def _print_schedule(settings: Settings) -> int:
    schedule = backups.schedule(settings)
    if schedule is None:
        print("the server takes no backups by itself: set backup_directory and backup_recipient")
    else:
        due = schedule.next_run(datetime.now(UTC))
        print(f"next {due.isoformat(timespec='minutes')}, into {schedule.directory}, {schedule.keep} are kept")
    for what in ("taken", "proved"):
        last = backups.last(settings, what)
        print(f"last {what}: {moment(last.at or None)} {last.file}".rstrip())
    return 0


def _opening(options: Options) -> Opening:
    if options.identity:
        return Opening(identity=backups.read_secret(Path(options.identity)))
    return Opening(passphrase=_passphrase(options, is_new=False))


def _passphrase(options: Options, *, is_new: bool) -> SecretText:
    if options.passphrase_file:
        text = backups.read_secret(Path(options.passphrase_file))
    elif sys.stdin.isatty():
        text = _asked(is_new=is_new)
    else:
        raise MissingField("--recipient, --identity or --passphrase-file")
    return text


def _asked(*, is_new: bool) -> SecretText:
    text = getpass.getpass("Passphrase of the backup: ")
    if is_new and getpass.getpass("Once more: ") != text:
        raise InvalidField("the passphrase, which was not the same twice,")
    if not text:
        raise MissingField("the passphrase")
    return SecretText(text)


COMMANDS: dict[str, Command] = {"backup": _backup, "restore": _restore}
