# SPDX-License-Identifier: Apache-2.0
"""What a PostgreSQL server says about itself, and whether such a one may be used (R-CFG-04)."""

from typing import NamedTuple

from mysafe.storage.engine import Transaction
from mysafe.storage.migrations import HEAD
from mysafe.storage.postgres.history import Point
from mysafe.storage.statements import Statement

OLDEST_SERVER = 150_000
"""PostgreSQL 15, in the numbers of `server_version_num`."""

STANDBY = "the database server is a standby or read-only: rights are only decided on the primary"

SERVER = Statement(
    "SELECT current_setting('server_version_num')::bigint, current_setting('server_version'),"
    " current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),"
    " pg_is_in_recovery()::int,"
    " current_setting('synchronous_standby_names'),"
    " (SELECT system_identifier::text FROM pg_control_system()),"
    " CASE WHEN pg_is_in_recovery() THEN ''"
    " ELSE substr(pg_walfile_name(pg_current_wal_flush_lsn()), 1, 8) END,"
    " CASE WHEN pg_is_in_recovery() THEN 0 ELSE pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint END,"
    " current_setting('server_encoding')"
)
MOST_CONNECTIONS = Statement(
    "SELECT least(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,"
    " nullif(rolconnlimit, -1), nullif(datconnlimit, -1))"
    " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()"
)
"""How many connections this user can have to this database at all, if nobody else has any."""

_REVISION = Statement("SELECT version_num FROM alembic_version")
_STANDBYS = Statement("SELECT count(*) FROM pg_stat_replication")


class ServerState(NamedTuple):
    """The answer to SERVER, in its order."""

    number: int
    version: str
    fsync: str
    full_page_writes: str
    synchronous_commit: str
    is_standby: int
    synchronous_standby_names: str = ""
    system: str = ""
    timeline: str = ""
    position: int = 0
    encoding: str = "UTF8"

    @property
    def point(self) -> Point:
        """How far it has come, if it is no standby."""
        return Point(self.system, int(self.timeline or "0", 16), self.position)

    def complaint(self) -> str | None:
        """Return why this server is not used, in one sentence, or None."""
        if self.number < OLDEST_SERVER:
            return f"PostgreSQL {self.version} is too old: {OLDEST_SERVER // 10_000} or newer is needed"
        for name in ("fsync", "full_page_writes"):
            if getattr(self, name) != "on":
                return f"the database server has {name}=off and would lose what was acknowledged: set it to on"
        if self.synchronous_commit == "off":
            return "the database server has synchronous_commit=off and would lose what was acknowledged: set it to on"
        if self.synchronous_commit == "local" and self.synchronous_standby_names:
            return "the database server has synchronous_commit=local and would lose what was acknowledged: set it to on"
        if self.is_standby:
            return STANDBY
        if self.encoding != "UTF8":
            return f"the database has the encoding {self.encoding}, which has not every letter: make it with UTF8"
        return None


class Examined(NamedTuple):
    """A server that may be used, the revision of the schema in the database, and how many standbys are connected."""

    server: ServerState
    revision: str
    standbys: int = 0

    @property
    def is_standby_overtaken(self) -> bool:
        """Whether commits do not wait for the standbys that are connected."""
        return self.standbys > 0 and not self.server.synchronous_standby_names

    @property
    def is_schema_current(self) -> bool:
        """Whether the schema is that of this program."""
        return self.revision == HEAD


def examine(tx: Transaction) -> Examined:
    """Return what the server of a transaction says. Raises Unavailable."""
    (server,), (revision,), (standbys,) = tx.rows(SERVER), tx.rows(_REVISION), tx.rows(_STANDBYS)
    return Examined(ServerState._make(server), str(revision[0]), int(str(standbys[0])))
