# SPDX-License-Identifier: Apache-2.0
"""Which PostgreSQL servers may be used, and how they are reached (R-TLS-04)."""

from ipaddress import ip_address

import psycopg
from psycopg import conninfo

from mysafe.storage.engine import StorageRefused

SOCKETS = "/var/run/postgresql"
"""Where Debian's server has its socket; the library's own default is elsewhere."""

SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
REFUSED = (*SECRETS, "service", "options", "replication", "sslkeylogfile")
"""What an address may not say: a secret has its own place, and the rest would change what is checked here."""

FIXED = {
    "application_name": "mysafe",
    "client_encoding": "UTF8",
    "connect_timeout": "3",
    "gssencmode": "disable",
    "options": "",
    "keepalives_idle": "10",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "target_session_attrs": "read-write",
}
"""Always the same, whatever the library's environment variables say. The last one passes over a standby: rights are
never decided from a replica."""

TLS_VERSIONS = frozenset({"TLSv1.2", "TLSv1.3"})


def connection_text(address: str, password: str | None) -> str:
    """Return what the driver needs to connect.

    Args:
        address: `postgresql://…`, without a password.
        password: from its own file, or None.

    Raises:
        StorageRefused: the address cannot be read, or leads to another machine without a verified certificate.
    """
    try:
        parts = {name: str(value) for name, value in conninfo.conninfo_to_dict(address).items()}
    except psycopg.Error:
        raise StorageRefused("the address of the database cannot be read: postgresql://USER@HOST/DATABASE") from None
    for name in REFUSED:
        if name in parts:
            raise StorageRefused(f"the address of the database may not set {name}")
    parts |= FIXED
    parts.setdefault("host", parts.get("hostaddr", SOCKETS))
    parts.setdefault("hostaddr", "")  # or PGHOSTADDR would lead elsewhere than what is checked here
    if parts.setdefault("ssl_min_protocol_version", "TLSv1.2") not in TLS_VERSIONS:
        raise StorageRefused("a database is reached with TLS 1.2 or newer")
    if not all(map(is_local, (parts["hostaddr"] or parts["host"]).split(","))):
        if parts.setdefault("sslmode", "verify-full") != "verify-full":
            raise StorageRefused("a database on another machine is only reached with sslmode=verify-full")
        parts.setdefault("sslrootcert", "system")
    parts.setdefault("sslmode", "prefer")
    if password is not None:
        parts["password"] = password
    return conninfo.make_conninfo("", **parts)


def is_local(host: str) -> bool:
    """Return whether a host is a socket or loopback of this machine."""
    try:
        return host.startswith(("/", "@")) or host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
