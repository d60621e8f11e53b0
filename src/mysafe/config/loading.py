# SPDX-License-Identifier: Apache-2.0
"""Where settings come from: default < settings file < environment < flag. And which are refused together."""

import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from mysafe.config.readers import READERS, Given
from mysafe.config.settings import Settings, SettingsRefused, toml_key, variable

SETTINGS_FILE = Path("/etc/mysafe/mysafe.toml")
"""Read when it exists and MYSAFE_CONFIG names no other file."""


class Loaded(NamedTuple):
    """Settings, and for each field where its value comes from: a flag, a variable, a file or `default`."""

    settings: Settings
    sources: Mapping[str, str]


def load_settings(arguments: Mapping[str, object], environ: Mapping[str, str], file: Path | None) -> Settings:
    """Return the effective settings. Arguments, errors: see `load_with_sources`."""
    return load_with_sources(arguments, environ, file).settings


def load_with_sources(arguments: Mapping[str, object], environ: Mapping[str, str], file: Path | None) -> Loaded:
    """Return the effective settings and where each comes from.

    Args:
        arguments: field name → value of a flag, None where it was not given.
        environ: the environment; names that start with `MYSAFE_` are settings.
        file: the settings file, None without one; see `find_settings_file`.

    Raises:
        SettingsRefused: a key is unknown, a value is out of its limits, or the combination is unsafe.

    Source: architecture 10, R-CFG-01, R-CFG-04, R-CFG-07.
    """
    given: dict[str, Given] = {}
    if file is not None:
        given |= _from_file(file)
    given |= _from_environment(environ)
    given |= _from_flags(arguments)
    if "data" not in given:
        raise SettingsRefused("the data directory is not set: give --data DIR or set MYSAFE_DATA")
    values = {name: READERS[name](name, one) for name, one in given.items()}
    settings = Settings(**values)  # type: ignore[arg-type]  # each reader returns the type of its field
    _check_together(settings)
    sources = {one.name: given[one.name].source if one.name in given else "default" for one in fields(Settings)}
    return Loaded(settings, sources)


def find_settings_file(environ: Mapping[str, str]) -> Path | None:
    """Return the file named by MYSAFE_CONFIG, else the default one if it exists."""
    named = environ.get("MYSAFE_CONFIG")
    if named:
        return Path(named)
    return SETTINGS_FILE if SETTINGS_FILE.exists() else None


_FIELDS = tuple(one.name for one in fields(Settings))
_BY_KEY = {toml_key(name): name for name in _FIELDS}
_BY_VARIABLE = {variable(name): name for name in _FIELDS}


def _from_file(file: Path) -> dict[str, Given]:
    given = {}
    for table, content in _read_toml(file).items():
        pairs = {(table, key): value for key, value in content.items()} if isinstance(content, dict) else {}
        for place, value in (pairs or {("", table): content}).items():
            if place not in _BY_KEY:
                raise SettingsRefused(f"{file} has the unknown setting {'.'.join(filter(None, place))}")
            given[_BY_KEY[place]] = Given(value, str(file))
    return given


def _read_toml(file: Path) -> dict[str, object]:
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            if mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
                raise SettingsRefused(f"{file} may be read or changed by others: run chmod 640 on it")
            return tomllib.load(opened)
    except OSError as error:
        raise SettingsRefused(f"{file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsRefused(f"{file} is not valid TOML: {error}") from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, Given]:
    given = {}
    for name, value in environ.items():
        if not name.startswith("MYSAFE_") or name == "MYSAFE_CONFIG":
            continue
        if name not in _BY_VARIABLE:
            raise SettingsRefused(f"the environment has the unknown setting {name}")
        if value:
            given[_BY_VARIABLE[name]] = Given(value, name)
    return given


def _from_flags(arguments: Mapping[str, object]) -> dict[str, Given]:
    unknown = set(arguments) - set(_FIELDS)
    if unknown:
        raise SettingsRefused(f"unknown setting {min(unknown)}")
    return {name: Given(value, "--" + name.replace("_", "-")) for name, value in arguments.items() if value is not None}


# -- what only shows when all are known -------------------------------------------------------------------------------


def _check_together(settings: Settings) -> None:
    if settings.data == Path(settings.data.anchor):
        raise SettingsRefused("the data directory cannot be the root of the file system")
    _check_places(settings)
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise SettingsRefused("tls_certificate and tls_key are only useful together: set both or neither")
    if settings.tls_client_ca is not None and settings.tls_certificate is None:
        raise SettingsRefused("tls_client_ca is only useful with tls_certificate and tls_key: set all or none")
    if settings.client_certificate_header is not None and not settings.trusted_proxies:
        raise SettingsRefused("client_certificate_header is only believed from trusted_proxies: set them too")
    if (settings.files_store is None) != (settings.files_s3_file is None):
        raise SettingsRefused("files_store and files_s3_file are only useful together: set both or neither")
    if (settings.backup_directory is None) != (settings.backup_recipient is None):
        raise SettingsRefused("backup_directory and backup_recipient are only useful together: set both or neither")
    if settings.database_password_file is not None and not settings.is_on_postgresql:
        raise SettingsRefused("database_password_file is only useful with a PostgreSQL database: set database too")
    if settings.behind_proxy != bool(settings.trusted_proxies):
        raise SettingsRefused("behind_proxy and trusted_proxies are only useful together: set both or neither")
    if not _is_safe_there(settings.host, settings):
        raise SettingsRefused(
            f"listening on {settings.host} would send secrets unencrypted: set tls_certificate and tls_key,"
            " or behind_proxy and trusted_proxies"
        )
    _check_metrics(settings)


def _check_metrics(settings: Settings) -> None:
    if (settings.metrics_address is None) != (settings.metrics_token_file is None):
        raise SettingsRefused("metrics_address and metrics_token_file are only useful together: set both or neither")
    if settings.metrics_place and not _is_safe_there(settings.metrics_place[0], settings):
        raise SettingsRefused(
            f"metrics on {settings.metrics_address} would show their token: set tls_certificate and tls_key,"
            " or behind_proxy and trusted_proxies"
        )


def _is_safe_there(host: str, settings: Settings) -> bool:
    """Return whether nobody can listen in on what is sent to a host (R-CFG-01)."""
    return _is_loopback(host) or settings.tls_certificate is not None or settings.behind_proxy


def _check_places(settings: Settings) -> None:
    """What must not lie in the data directory."""
    if settings.key_file is not None and settings.key_file.is_relative_to(settings.data):
        raise SettingsRefused(
            "the key file lies in the data directory: whoever copies that would have both, so put it elsewhere"
        )
    if settings.passphrase_file is not None and settings.passphrase_file.is_relative_to(settings.data):
        raise SettingsRefused(
            "the passphrase file lies in the data directory: whoever copies that would have both, so put it elsewhere"
        )
    if settings.audit_checkpoint_file is not None and settings.audit_checkpoint_file.is_relative_to(settings.data):
        raise SettingsRefused(
            "the file of checkpoints lies in the data directory: whoever brings back an old copy of that would bring"
            " back old checkpoints, so put it elsewhere"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def parse_database(name: str, address: str) -> str:
    """Return the address of a database that an option of that name gives. Raises SettingsRefused."""
    return str(READERS["database"](name, Given(address, "command line")))
