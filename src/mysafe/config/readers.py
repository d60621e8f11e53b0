# SPDX-License-Identifier: Apache-2.0
"""One reader for each setting: what was given, as a text or as a value of TOML, becomes the value of the field."""

import os
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from mysafe.config.settings import Network, SettingsRefused
from mysafe.domain.files import LARGEST_FILE_BYTES

_LONGEST_NOTES = 1_048_576
_MOST_STORED_BYTES = 2**50
_LARGEST_PORT = 65_535


class Given(NamedTuple):
    """What stands in one of the places that settings come from, and the name of the place for messages."""

    value: object
    source: str


def _refused(name: str, given: Given, expected: str) -> SettingsRefused:
    return SettingsRefused(f"{name} ({given.source}) must be {expected}")


def _text(name: str, given: Given) -> str:
    if not isinstance(given.value, str) or not given.value.strip() or "\0" in given.value:
        raise _refused(name, given, "a text")
    return given.value


def _path(name: str, given: Given) -> Path:
    value = str(given.value) if isinstance(given.value, Path) else given.value
    return Path(os.path.abspath(_text(name, Given(value, given.source))))


def _flag(name: str, given: Given) -> bool:
    words: dict[object, bool] = {"true": True, "1": True, "false": False, "0": False}
    value = words.get(given.value.lower()) if isinstance(given.value, str) else given.value
    if not isinstance(value, bool):
        raise _refused(name, given, "true or false")
    return value


def _number(smallest: float, largest: float, *, is_whole: bool) -> Callable[[str, Given], float]:
    kind = "a whole number" if is_whole else "a number"

    def read(name: str, given: Given) -> float:
        value = given.value
        try:
            number: object = (int(value) if is_whole else float(value)) if isinstance(value, str) else value
        except ValueError:
            number = None
        is_number = isinstance(number, int if is_whole else int | float) and not isinstance(number, bool)
        if not is_number or not smallest <= number <= largest:  # type: ignore[operator]  # a number by now
            raise _refused(name, given, f"{kind} from {smallest:g} to {largest:.7g}")
        return number  # type: ignore[return-value]  # as above

    return read


def _choice(*numbers: str) -> Callable[[str, Given], int]:
    def read(name: str, given: Given) -> int:
        if str(given.value) not in numbers:
            raise _refused(name, given, " or ".join(numbers))
        return int(str(given.value))

    return read


def _word(*words: str) -> Callable[[str, Given], str]:
    def read(name: str, given: Given) -> str:
        if given.value not in words:
            raise _refused(name, given, " or ".join(words))
        return str(given.value)

    return read


def _header(name: str, given: Given) -> str:
    if not re.fullmatch("[A-Za-z0-9-]{1,100}", _text(name, given)):
        raise _refused(name, given, "the name of a header")
    return str(given.value)


def _provider(name: str, given: Given) -> str:
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,63}", _text(name, given)):
        raise _refused(name, given, "the name of a root key provider")
    return str(given.value)


def _networks(name: str, given: Given) -> tuple[Network, ...]:
    texts = given.value.split(",") if isinstance(given.value, str) else given.value
    if not isinstance(texts, list | tuple):
        raise _refused(name, given, "a list of addresses or CIDR blocks")
    try:
        networks = tuple(ip_network(str(text).strip()) for text in texts)
    except ValueError as error:
        raise SettingsRefused(f"{name} ({given.source}) is not a list of addresses or CIDR blocks: {error}") from None
    if any(network.prefixlen == 0 for network in networks):
        raise _refused(name, given, "narrower than the whole Internet")
    return networks


def _database(name: str, given: Given) -> str:
    address = _text(name, given)
    # The address may hold a password, so it is not repeated.
    if address.startswith(("postgresql://", "postgres://")):
        if _has_password(address):
            raise SettingsRefused(
                f"{name} ({given.source}) may not hold a password: put it into a file, for database_password_file"
            )
        return address
    path = address.removeprefix("sqlite:///")
    if path == address or not path or "?" in path:
        raise _refused(name, given, "sqlite:///PATH or postgresql://USER@HOST/DATABASE")
    return "sqlite:///" + os.path.abspath(path)


_SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
"""Parameters of PostgreSQL's addresses that are secrets."""


def _has_password(address: str) -> bool:
    """Return whether a PostgreSQL address holds a password, before the host or among its parameters."""
    user = address.partition("://")[2].partition("/")[0].rpartition("@")[0]
    names = {name for name, _ in parse_qsl(urlsplit(address).query, keep_blank_values=True)}
    return ":" in user or not names.isdisjoint(_SECRETS)


def _object_store(name: str, given: Given) -> str:
    address = _text(name, given)
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]*)?", address):
        raise _refused(name, given, "s3://BUCKET or s3://BUCKET/PREFIX")
    return address


def _place(name: str, given: Given) -> str:
    address = _text(name, given)
    found = re.fullmatch(r"(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", address, re.ASCII)
    if found is None or int(found[1]) > _LARGEST_PORT:
        raise _refused(name, given, "HOST:PORT, such as 127.0.0.1:9464 or [::1]:9464")
    return address


def _collector(name: str, given: Given) -> str:
    address = _text(name, given)
    # Userinfo and a query could hold a secret, so they are refused, and the address is not repeated.
    if not re.fullmatch(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?/[A-Za-z0-9._~/-]*", address):
        raise _refused(name, given, "http://HOST:PORT/PATH, or https")
    return address


READERS: dict[str, Callable[[str, Given], object]] = {
    "data": _path,
    "database": _database,
    "database_password_file": _path,
    "database_connections": _number(2, 200, is_whole=True),
    "key_file": _path,
    "root_provider": _provider,
    "root_provider_file": _path,
    "passphrase_file": _path,
    "host": _text,
    "port": _number(0, 65_535, is_whole=True),
    "workers": _number(1, 64, is_whole=True),
    "behind_proxy": _flag,
    "trusted_proxies": _networks,
    "tls_certificate": _path,
    "tls_key": _path,
    "tls_client_ca": _path,
    "client_certificate_header": _header,
    "request_seconds": _number(0.1, 3600, is_whole=False),
    "header_seconds": _number(0.1, 120, is_whole=False),
    "max_connections": _number(1, 65_535, is_whole=True),
    "requests_per_second": _number(0, 100_000, is_whole=True),
    "requests_burst": _number(1, 100_000, is_whole=True),
    "token_failures_per_minute": _number(1, 100_000, is_whole=True),
    "token_failures_per_address": _number(1, 100_000, is_whole=True),
    "public_api_description": _flag,
    "metrics_address": _place,
    "metrics_token_file": _path,
    "access_log": _flag,
    "traces_endpoint": _collector,
    "traces_ratio": _number(0, 1, is_whole=False),
    "compat_mensagem": _flag,
    "compat_unauthenticated_status": _choice("401", "404"),
    "compat_hide_existence": _flag,
    "compat_both_user_keys": _flag,
    "compat_list_inactive": _flag,
    "access_keys_rsa_bits": _choice("4096", "8192"),
    "access_keys_reveal": _word("reauth", "once"),
    "access_keys_per_user": _number(1, 10_000, is_whole=True),
    "items_erase_after_days": _number(0, 36_500, is_whole=True),
    "items_versions_kept_days": _number(0, 36_500, is_whole=True),
    "backup_directory": _path,
    "backup_recipient": _text,
    "backup_at": _number(0, 1439, is_whole=True),
    "backup_keep": _number(1, 10_000, is_whole=True),
    "audit_checkpoint_file": _path,
    "audit_checkpoint_seconds": _number(1, 86_400, is_whole=True),
    "files_store": _object_store,
    "files_s3_file": _path,
    "files_max_bytes": _number(0, LARGEST_FILE_BYTES, is_whole=True),
    "files_user_bytes": _number(0, _MOST_STORED_BYTES, is_whole=True),
    "files_total_bytes": _number(0, _MOST_STORED_BYTES, is_whole=True),
    "files_free_bytes": _number(0, _MOST_STORED_BYTES, is_whole=True),
    "files_bytes_per_second": _number(1, 2**30, is_whole=True),
    "notes_max_characters": _number(1, _LONGEST_NOTES, is_whole=True),
    "shutdown_seconds": _number(1, 600, is_whole=True),
    "drain_seconds": _number(0, 600, is_whole=True),
}
"""The reader of each field. It gets the name of the field for its message, and raises SettingsRefused."""
