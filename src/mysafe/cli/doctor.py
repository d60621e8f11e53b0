# SPDX-License-Identifier: Apache-2.0
"""`mysafe doctor`: one line for each check, and the effective settings with where each comes from."""

import dataclasses
import os
import resource
import time
from functools import partial
from pathlib import Path

from mysafe import app, backups, opening
from mysafe.cli.asking import ask_secret
from mysafe.cli.errors import EXPLAINED, REFUSED, explain
from mysafe.config import Loaded, Settings
from mysafe.hardening import harden
from mysafe.services import audit_trail, health
from mysafe.services.audit_tree.sequencer import append_own_rows
from mysafe.services.audit_tree.starting import RollbackDetected, check_start, doubt_about
from mysafe.services.authentication import local_operator
from mysafe.services.health import Finding, State
from mysafe.services.vault import Vault

_SWAPS = Path("/proc/swaps")


def examine(loaded: Loaded) -> int:
    """Print all findings and settings; return the exit status: 1 if anything is unsafe."""
    findings = [*_files(loaded.settings), *_machine(), *_vault(loaded.settings), *_backups(loaded.settings)]
    for finding in findings:
        print(f"{finding.state:6}  {finding.subject}: {finding.text}")
    for field in dataclasses.fields(loaded.settings):
        value = getattr(loaded.settings, field.name)
        print(f"setting {field.name} = {_shown(value)} ({loaded.sources[field.name]})")
    return REFUSED if any(finding.state is State.UNSAFE for finding in findings) else 0


def _files(settings: Settings) -> list[Finding]:
    findings = [
        health.data_directory(settings.data),
        *([] if settings.is_on_postgresql else [health.database_files(opening.database_path(settings))]),
        _root_key(settings),
    ]
    if settings.database_password_file is not None:
        findings.append(health.private_file("database password", settings.database_password_file))
    if settings.metrics_token_file is not None:
        findings.append(health.private_file("metrics token", settings.metrics_token_file))
    if settings.tls_key is not None:
        findings.append(health.private_file("TLS key", settings.tls_key))
    return findings


def _root_key(settings: Settings) -> Finding:
    complaint = opening.root_key_complaint(settings)
    if settings.root_provider == "keyfile":
        return health.key_place(opening.key_path(settings), settings.data, complaint)
    if complaint is not None:
        return Finding(State.UNSAFE, "root key", complaint)
    return Finding(State.OK, "root key", f"from the provider {settings.root_provider}")


def _machine() -> list[Finding]:
    core_bytes = resource.getrlimit(resource.RLIMIT_CORE)[0]
    harden()
    mask = os.umask(0o077)
    os.umask(mask)
    return [
        health.clock(time.time()),
        health.umask(mask),
        health.core_files(core_bytes),
        health.swap(_SWAPS.read_text(encoding="utf-8") if _SWAPS.exists() else "", health.is_swap_encrypted),
    ]


def _vault(settings: Settings) -> list[Finding]:
    """Open the vault and read one record of it; reading is an entry of the audit log, so writing works too."""
    try:
        vault = opening.open_vault(settings, provider=opening.root_provider(settings, ask_secret))
        try:
            findings = health.database(vault.engine)
            entries = vault.run(local_operator, partial(audit_trail.tail, limit=1)).result()
            findings.append(_audit_tree(vault, settings))
        finally:
            vault.close()
    except (*EXPLAINED, *app.REFUSALS) as error:
        return [Finding(State.UNSAFE, "vault", explain(error).sentence)]
    if not entries:
        return [*findings, Finding(State.UNSAFE, "audit log", "it is empty: entries were removed outside the vault")]
    return [*findings, health.newest_entry(entries[-1].id, entries[-1].at_ms / 1000, time.time())]


def _audit_tree(vault: Vault, settings: Settings) -> Finding:
    """Check the newest part of the audit tree, as a server does at its start."""
    append_own_rows(vault)
    file = opening.checkpoint_file(settings)
    try:
        check_start(vault, file)
        doubt = None if file is None else doubt_about(vault, file)
    except RollbackDetected as error:
        return Finding(State.UNSAFE, "audit tree", str(error))
    if file is None:
        text = "who can write to the database can put an old one back, or make the log anew, and it is not noticed"
        return Finding(State.WARN, "audit tree", f"{text}: set audit_checkpoint_file")
    if doubt is not None:
        return Finding(State.WARN, "audit tree", doubt)
    return Finding(State.OK, "audit tree", f"it extends the last checkpoint in {file.path}")


def _backups(settings: Settings) -> list[Finding]:
    now = int(time.time())
    return [health.backup(what, *backups.last(settings, what), now) for what in ("taken", "proved")]


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value) or "not set"
    return "not set" if value is None else str(value)
