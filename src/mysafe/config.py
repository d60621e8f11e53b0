# SPDX-License-Identifier: Apache-2.0
"""The settings: what they mean, where they come from, which ones are refused. No secret is ever a setting.

Order: default < settings file < environment < flag. `docs/operate/configure.md` is generated from this module.
Rooms receive values; only `app` and `cli` see `Settings`.
"""

import os
import re
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from mysafe.domain.files import LARGEST_FILE_BYTES

Network: TypeAlias = IPv4Network | IPv6Network

SETTINGS_FILE = Path("/etc/mysafe/mysafe.toml")
"""Read when it exists and MYSAFE_CONFIG names no other file."""

_SMALLEST_BODY_BYTES = 1_048_576
_LONGEST_NOTES = 1_048_576
_MOST_STORED_BYTES = 2**50


class SettingsRefused(Exception):
    """The settings are unknown, contradictory or unsafe. The text is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator can set. Paths are absolute."""

    data: Path
    """Directory of the vault: the database and the sealed contents of files, and nothing that opens them. There is no
    default."""

    database: str | None = None
    """Database address: `sqlite:///PATH` (four slashes before an absolute path), or `postgresql://USER@HOST/DATABASE`
    without a password. Without it, `vault.db` in the data directory. See [PostgreSQL](postgresql.md)."""

    database_password_file: Path | None = None
    """File with the password of the PostgreSQL user, readable by its owner only. Without it, the server asks for none,
    or libpq's own password file has it."""

    database_connections: int = 8
    """How many connections to PostgreSQL there may be at once, each with a thread of its own. SQLite has one that
    writes, and two that read. Limits: 2 to 200."""

    key_file: Path | None = None
    """File with the key that opens the vault, readable by its owner only and outside the data directory. Without it,
    the systemd credential `mysafe-root-key` if there is one, else the file named like the data directory with `.key`
    at the end, beside it."""

    host: str = "127.0.0.1"
    """Address to listen on. Other than loopback only with a TLS certificate, or behind trusted proxies."""

    port: int = 8080
    """Port to listen on. Limits: 0 to 65535; 0 takes any free one."""

    behind_proxy: bool = False
    """Whether a reverse proxy ends TLS in front of this server. Needs `trusted_proxies`."""

    trusted_proxies: tuple[Network, ...] = ()
    """Addresses or CIDR blocks of the proxies whose `X-Forwarded-For` is believed. Needs `behind_proxy`."""

    tls_certificate: Path | None = None
    """PEM file with the server's certificate and what leads to its issuer. Needs `tls_key`."""

    tls_key: Path | None = None
    """PEM file with the private key of the certificate, readable by its owner only. Needs `tls_certificate`."""

    tls_client_ca: Path | None = None
    """PEM file with the issuers of client certificates, for access keys that ask for a certificate. Clients may then
    present one of them, and need not. Needs `tls_certificate`."""

    client_certificate_header: str | None = None
    """Header in which a trusted proxy names the certificate of the client, for access keys that ask for one: its
    SHA-256 as hexadecimal digits, with or without colons; or the certificate itself as PEM, percent-encoded (nginx:
    `$ssl_client_escaped_cert`) or not; or as in RFC 9440. The proxy must set it for every request, to nothing where
    there is no verified certificate. Needs `trusted_proxies`."""

    request_seconds: float = 60
    """How long a request may take until it is answered with 504. Unit: seconds. Limits: 0.1 to 3600."""

    header_seconds: float = 10
    """How long the head of a request may take to arrive, and how long its body may pause. Unit: seconds.
    Limits: 0.1 to 120."""

    max_connections: int = 512
    """How many connections may be open at once; 32 of them from one address that is neither loopback nor a trusted
    proxy. Limits: 1 to 65535."""

    requests_per_second: int = 50
    """How many requests a user may make in the long run, with all access keys together; above that the answer is 429.
    0 is no limit. Each server process counts for itself. Limits: 0 to 100000."""

    requests_burst: int = 100
    """How many requests a user who was quiet may make at once. Limits: 1 to 100000."""

    token_failures_per_minute: int = 10
    """How many token requests for one client id may fail in a minute from one address (IPv6: from one /64 block);
    above that the answer is 429, to a right secret too. Limits: 1 to 100000."""

    token_failures_per_address: int = 100
    """How many token requests may fail in a minute from one address, whatever client id they name. Callers behind a
    proxy have one address together, unless the proxy is in `trusted_proxies`. Limits: 1 to 100000."""

    public_api_description: bool = False
    """Whether `/api/openapi.json` and `/api/docs` are for everybody. Otherwise they ask for an access token."""

    compat_mensagem: bool = False
    """Whether answers carry the older text key `mensagem` too."""

    compat_unauthenticated_status: int = 401
    """Status of an answer to a missing or invalid token. Limits: 401 or 404."""

    compat_hide_existence: bool = False
    """Whether an item that may not be read is answered like one that does not exist."""

    compat_both_user_keys: bool = False
    """Whether a single item names each user it is shared with under `username` and under `name`."""

    compat_list_inactive: bool = False
    """Whether lists show inactive items too."""

    access_keys_rsa_bits: int = 4096
    """Size of the RSA key of new access keys that encrypt. One value may have 470 bytes with 4096 bits, 982 with 8192.
    Limits: 4096 or 8192."""

    access_keys_reveal: str = "reauth"
    """Whether the client secret of an access key can be shown again: `reauth`, after the password of its owner, or by
    the local operator; a sealed copy is kept for that. Or `once`: of keys that are made from then on no copy is kept.
    Limits: reauth or once."""
    items_erase_after_days: int = 0
    """How long an item must have been inactive and unchanged before its owner can erase it. Unit: days; 0 is not at
    all. Limits: 0 to 36500."""

    items_versions_kept_days: int = 0
    """How long a version of an item is kept after it was replaced. Older ones are removed when the item changes, a
    hundred at a time, and cannot be restored. Unit: days; 0 keeps all for ever. Limits: 0 to 36500."""

    notes_max_characters: int = 900
    """Longest text of a note. The largest accepted request body grows with it. Unit: Unicode code points.
    Limits: 1 to 1048576."""

    files_store: str | None = None
    """Where the contents of files are kept: `s3://BUCKET/PREFIX`. Without it, in `blobs` in the data directory."""

    files_s3_file: Path | None = None
    """INI file, readable by its owner only, that says how the object store is reached. Needs `files_store`."""

    files_max_bytes: int = LARGEST_FILE_BYTES
    """Largest file. Unit: bytes. Limits: 0 to 524288000 (500 MiB)."""

    files_user_bytes: int = 0
    """How much all files of one user may take, old versions included; 0 is no bound. Unit: bytes on disk.
    Limits: 0 to 1125899906842624."""

    files_total_bytes: int = 0
    """How much all files together may take; 0 is no bound. Unit: bytes on disk. Limits: 0 to 1125899906842624."""

    files_free_bytes: int = 536_870_912
    """How much must stay free on the disk: below it, no upload is taken. Unit: bytes. Limits: 0 to 1125899906842624."""

    files_bytes_per_second: int = 16_384
    """Slowest upload of a file, as an average after the first ten seconds. Unit: bytes per second.
    Limits: 1 to 1073741824."""

    @property
    def is_on_postgresql(self) -> bool:
        """Whether the database is a PostgreSQL server, and not a file of this machine."""
        return self.database is not None and self.database.startswith(("postgresql://", "postgres://"))

    @property
    def body_bytes(self) -> int:
        """The largest request body: 1 MiB, more when notes may be long (twelve bytes of JSON hold a code point)."""
        return max(_SMALLEST_BODY_BYTES, 12 * self.notes_max_characters + 262_144)


FLAGS = ("data", "database", "key_file", "host", "port")
"""Fields that the command line can set; the others belong into the settings file."""


class Loaded(NamedTuple):
    """Settings, and for each field where its value comes from: a flag, a variable, a file or `default`."""

    settings: Settings
    sources: Mapping[str, str]


class _Given(NamedTuple):
    value: object
    source: str


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
    given: dict[str, _Given] = {}
    if file is not None:
        given |= _from_file(file)
    given |= _from_environment(environ)
    given |= _from_flags(arguments)
    if "data" not in given:
        raise SettingsRefused("the data directory is not set: give --data DIR or set MYSAFE_DATA")
    values = {name: _READERS[name](name, one) for name, one in given.items()}
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


def toml_key(name: str) -> tuple[str, str]:
    """Return table and key of a field in the settings file; the table is "" at the top."""
    if name in {"data", "database", "database_password_file", "database_connections", "key_file"}:
        return "", name
    for table in ("access_keys", "compat", "files", "items", "notes"):
        if name.startswith(f"{table}_"):
            return table, name.removeprefix(f"{table}_")
    return "server", name


def variable(name: str) -> str:
    """Return the environment variable of a field."""
    return f"MYSAFE_{name.upper()}"


_FIELDS = tuple(one.name for one in fields(Settings))
_BY_KEY = {toml_key(name): name for name in _FIELDS}
_BY_VARIABLE = {variable(name): name for name in _FIELDS}


def _from_file(file: Path) -> dict[str, _Given]:
    given = {}
    for table, content in _read_toml(file).items():
        pairs = {(table, key): value for key, value in content.items()} if isinstance(content, dict) else {}
        for place, value in (pairs or {("", table): content}).items():
            if place not in _BY_KEY:
                raise SettingsRefused(f"{file} has the unknown setting {'.'.join(filter(None, place))}")
            given[_BY_KEY[place]] = _Given(value, str(file))
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


def _from_environment(environ: Mapping[str, str]) -> dict[str, _Given]:
    given = {}
    for name, value in environ.items():
        if not name.startswith("MYSAFE_") or name == "MYSAFE_CONFIG":
            continue
        if name not in _BY_VARIABLE:
            raise SettingsRefused(f"the environment has the unknown setting {name}")
        if value:
            given[_BY_VARIABLE[name]] = _Given(value, name)
    return given


def _from_flags(arguments: Mapping[str, object]) -> dict[str, _Given]:
    unknown = set(arguments) - set(_FIELDS)
    if unknown:
        raise SettingsRefused(f"unknown setting {min(unknown)}")
    return {
        name: _Given(value, "--" + name.replace("_", "-")) for name, value in arguments.items() if value is not None
    }


# -- one reader for each type: what was given → the field's value ---------------------------------------------------


def _refused(name: str, given: _Given, expected: str) -> SettingsRefused:
    return SettingsRefused(f"{name} ({given.source}) must be {expected}")


def _text(name: str, given: _Given) -> str:
    if not isinstance(given.value, str) or not given.value.strip() or "\0" in given.value:
        raise _refused(name, given, "a text")
    return given.value


def _path(name: str, given: _Given) -> Path:
    value = str(given.value) if isinstance(given.value, Path) else given.value
    return Path(os.path.abspath(_text(name, _Given(value, given.source))))


def _flag(name: str, given: _Given) -> bool:
    words: dict[object, bool] = {"true": True, "1": True, "false": False, "0": False}
    value = words.get(given.value.lower()) if isinstance(given.value, str) else given.value
    if not isinstance(value, bool):
        raise _refused(name, given, "true or false")
    return value


def _number(smallest: float, largest: float, *, is_whole: bool) -> Callable[[str, _Given], float]:
    kind = "a whole number" if is_whole else "a number"

    def read(name: str, given: _Given) -> float:
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


def _choice(*numbers: str) -> Callable[[str, _Given], int]:
    def read(name: str, given: _Given) -> int:
        if str(given.value) not in numbers:
            raise _refused(name, given, " or ".join(numbers))
        return int(str(given.value))

    return read


def _word(*words: str) -> Callable[[str, _Given], str]:
    def read(name: str, given: _Given) -> str:
        if given.value not in words:
            raise _refused(name, given, " or ".join(words))
        return str(given.value)

    return read


def _header(name: str, given: _Given) -> str:
    if not re.fullmatch("[A-Za-z0-9-]{1,100}", _text(name, given)):
        raise _refused(name, given, "the name of a header")
    return str(given.value)


def _networks(name: str, given: _Given) -> tuple[Network, ...]:
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


def _database(name: str, given: _Given) -> str:
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


def _has_password(address: str) -> bool:
    """Return whether a PostgreSQL address holds a password, before the host or among its parameters."""
    user = address.partition("://")[2].partition("/")[0].rpartition("@")[0]
    return ":" in user or "password" in {name for name, _ in parse_qsl(urlsplit(address).query, keep_blank_values=True)}


def _object_store(name: str, given: _Given) -> str:
    address = _text(name, given)
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]*)?", address):
        raise _refused(name, given, "s3://BUCKET or s3://BUCKET/PREFIX")
    return address


_READERS: dict[str, Callable[[str, _Given], object]] = {
    "data": _path,
    "database": _database,
    "database_password_file": _path,
    "database_connections": _number(2, 200, is_whole=True),
    "key_file": _path,
    "host": _text,
    "port": _number(0, 65_535, is_whole=True),
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
    "compat_mensagem": _flag,
    "compat_unauthenticated_status": _choice("401", "404"),
    "compat_hide_existence": _flag,
    "compat_both_user_keys": _flag,
    "compat_list_inactive": _flag,
    "access_keys_rsa_bits": _choice("4096", "8192"),
    "access_keys_reveal": _word("reauth", "once"),
    "items_erase_after_days": _number(0, 36_500, is_whole=True),
    "items_versions_kept_days": _number(0, 36_500, is_whole=True),
    "files_store": _object_store,
    "files_s3_file": _path,
    "files_max_bytes": _number(0, LARGEST_FILE_BYTES, is_whole=True),
    "files_user_bytes": _number(0, _MOST_STORED_BYTES, is_whole=True),
    "files_total_bytes": _number(0, _MOST_STORED_BYTES, is_whole=True),
    "files_free_bytes": _number(0, _MOST_STORED_BYTES, is_whole=True),
    "files_bytes_per_second": _number(1, 2**30, is_whole=True),
    "notes_max_characters": _number(1, _LONGEST_NOTES, is_whole=True),
}


# -- what only shows when all are known -------------------------------------------------------------------------------


def _check_together(settings: Settings) -> None:
    if settings.data == Path(settings.data.anchor):
        raise SettingsRefused("the data directory cannot be the root of the file system")
    if settings.key_file is not None and settings.key_file.is_relative_to(settings.data):
        raise SettingsRefused(
            "the key file lies in the data directory: whoever copies that would have both, so put it elsewhere"
        )
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        raise SettingsRefused("tls_certificate and tls_key are only useful together: set both or neither")
    if settings.tls_client_ca is not None and settings.tls_certificate is None:
        raise SettingsRefused("tls_client_ca is only useful with tls_certificate and tls_key: set all or none")
    if settings.client_certificate_header is not None and not settings.trusted_proxies:
        raise SettingsRefused("client_certificate_header is only believed from trusted_proxies: set them too")
    if (settings.files_store is None) != (settings.files_s3_file is None):
        raise SettingsRefused("files_store and files_s3_file are only useful together: set both or neither")
    if settings.database_password_file is not None and not settings.is_on_postgresql:
        raise SettingsRefused("database_password_file is only useful with a PostgreSQL database: set database too")
    if settings.behind_proxy != bool(settings.trusted_proxies):
        raise SettingsRefused("behind_proxy and trusted_proxies are only useful together: set both or neither")
    if not (_is_loopback(settings.host) or settings.tls_certificate or settings.behind_proxy):
        raise SettingsRefused(
            f"listening on {settings.host} would send secrets unencrypted: set tls_certificate and tls_key,"
            " or behind_proxy and trusted_proxies"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
