# SPDX-License-Identifier: Apache-2.0
"""The table of settings: what each means, its default, and what it is called in the file and in the environment."""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TypeAlias

from mysafe.domain.files import LARGEST_FILE_BYTES

Network: TypeAlias = IPv4Network | IPv6Network

_SMALLEST_BODY_BYTES = 1_048_576


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

    root_provider: str = "keyfile"
    """What opens the vault at the start: `keyfile`, `passphrase`, `shamir`, `recovery`, `pkcs11`, `aws-kms`, `gcp-kms`,
    `azure-kv` or `vault-transit`. The vault must have a slot of it."""

    root_provider_file: Path | None = None
    """TOML file, readable by its owner only, with a table for each provider that needs to know something."""

    passphrase_file: Path | None = None
    """File with the passphrase in one line, readable by its owner only and outside the data directory. Without it, a
    server whose `root_provider` is `passphrase` starts sealed and waits for `mysafe unseal`."""

    host: str = "127.0.0.1"
    """Address to listen on. Other than loopback only with a TLS certificate, or behind trusted proxies."""

    port: int = 8080
    """Port to listen on. Limits: 0 to 65535; 0 takes any free one."""

    workers: int = 1
    """How many processes serve the vault together, on one machine and one port. More than one need PostgreSQL; each
    has connections, limits and counts of its own. See [several nodes](nodes.md). Limits: 1 to 64."""

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
    """How long a TLS handshake, and the head of a request, may take, and how long its body may pause. Unit: seconds.
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

    metrics_address: str | None = None
    """Where the metrics for Prometheus are served, `HOST:PORT`, at the path `/metrics`. Without it, nowhere. Other than
    loopback only with a TLS certificate, which is used here too, or behind trusted proxies. See
    [monitoring](monitoring.md). Needs `metrics_token_file`."""

    metrics_token_file: Path | None = None
    """File with the token that whoever reads the metrics must send (`Authorization: Bearer`), in one line of at least
    16 characters, readable by its owner only. Needs `metrics_address`."""

    access_log: bool = False
    """Whether each request is a line of the log on standard error. It names users and keys by number, and addresses."""

    traces_endpoint: str | None = None
    """Where spans of requests are sent, as `http://HOST:4318/v1/traces` (OTLP over HTTP). Without it, nowhere. Needs
    `mysafe[otel]`."""

    traces_ratio: float = 1
    """The part of requests that is traced, unless a trusted proxy decided. Limits: 0 to 1."""

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

    access_keys_per_user: int = 100
    """How many access keys a user may have; revoked ones do not count. Limits: 1 to 10000."""

    items_erase_after_days: int = 0
    """How long an item must have been inactive and unchanged before its owner can erase it. Unit: days; 0 is not at
    all. Limits: 0 to 36500."""

    items_versions_kept_days: int = 0
    """How long a version of an item is kept after it was replaced. Older ones are removed when the item changes, a
    hundred at a time, and cannot be restored. Unit: days; 0 keeps all for ever. Limits: 0 to 36500."""

    backup_directory: Path | None = None
    """Where the server puts a backup every day. Without it, it takes none by itself. Needs `backup_recipient`."""

    backup_recipient: str | None = None
    """The age recipient that these backups are encrypted to; its identity belongs on another machine."""

    backup_at: int = 150
    """When. Unit: minutes after midnight, UTC. Limits: 0 to 1439."""

    backup_keep: int = 14
    """How many of these backups are kept; older ones are removed. Limits: 1 to 10000."""

    audit_checkpoint_file: Path | None = None
    """File that gets each signed checkpoint of the audit log, outside the data directory and best on another disk. A
    server whose audit log does not extend the last one is not started: that is how an old database is noticed. Without
    it, checkpoints are in the database only."""

    audit_checkpoint_seconds: int = 60
    """The shortest time between two checkpoints; there is none while nothing happens. Unit: seconds.
    Limits: 1 to 86400."""

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

    shutdown_seconds: int = 30
    """How long requests and transfers of files may go on after the server was told to end (SIGTERM or SIGINT); then
    they are cut off, and up to five seconds later the server has ended. What stops the server must wait that long.
    Unit: seconds. Limits: 1 to 600."""

    drain_seconds: int = 0
    """How long the server serves on after it was told to end, before `shutdown_seconds` begin: `/health/ready` answers
    503 meanwhile, and every answer closes its connection. Behind a load balancer, set it to more than that needs to
    notice. Unit: seconds. Limits: 0 to 600."""

    @property
    def is_on_postgresql(self) -> bool:
        """Whether the database is a PostgreSQL server, and not a file of this machine."""
        return self.database is not None and self.database.startswith(("postgresql://", "postgres://"))

    @property
    def metrics_place(self) -> tuple[str, int] | None:
        """Host and port of the metrics, None without them."""
        if self.metrics_address is None:
            return None
        host, _, port = self.metrics_address.rpartition(":")
        return host.removeprefix("[").removesuffix("]"), int(port)

    @property
    def body_bytes(self) -> int:
        """The largest request body: 1 MiB, more when notes may be long (twelve bytes of JSON hold a code point)."""
        return max(_SMALLEST_BODY_BYTES, 12 * self.notes_max_characters + 262_144)


FLAGS = ("data", "database", "key_file", "root_provider", "host", "port", "workers")
"""Fields that the command line can set; the others belong into the settings file."""


AT_THE_TOP = frozenset({"data", "database", "database_password_file", "database_connections"}) | {
    *("key_file", "root_provider", "root_provider_file", "passphrase_file")
}
"""Fields that stand in no table of the settings file."""


def toml_key(name: str) -> tuple[str, str]:
    """Return table and key of a field in the settings file; the table is "" at the top."""
    if name in AT_THE_TOP:
        return "", name
    for table in ("access_keys", "audit", "backup", "compat", "files", "items", "metrics", "notes", "traces"):
        if name.startswith(f"{table}_"):
            return table, name.removeprefix(f"{table}_")
    return "server", name


def variable(name: str) -> str:
    """Return the environment variable of a field."""
    return f"MYSAFE_{name.upper()}"
