# SPDX-License-Identifier: Apache-2.0
"""What a PostgreSQL server says about itself, and whether such a one may be used (R-CFG-04)."""

from typing import NamedTuple

from mysafe.storage.engine import Transaction
from mysafe.storage.migrations import HEAD
from mysafe.storage.statements import Statement

OLDEST_SERVER = 150_000
"""PostgreSQL 15, in the numbers of `server_version_num`."""

SERVER = Statement(
    "SELECT current_setting('server_version_num')::bigint, current_setting('server_version'),"
    " current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'),"
    " pg_is_in_recovery()::int, current_setting('server_encoding')"
)
MOST_CONNECTIONS = Statement(
    "SELECT least(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,"
    " nullif(rolconnlimit, -1), nullif(datconnlimit, -1))"
    " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()"
)
"""How many connections this user can have to this database at all, if nobody else has any."""

_REVISION = Statement("SELECT version_num FROM alembic_version")


class ServerState(NamedTuple):
    """The answer to SERVER, in its order."""

    number: int
    version: str
    fsync: str
    full_page_writes: str
    synchronous_commit: str
    is_standby: int
    encoding: str

    def complaint(self) -> str | None:
        """Return why this server is not used, in one sentence, or None."""
        if self.number < OLDEST_SERVER:
            return f"PostgreSQL {self.version} is too old: {OLDEST_SERVER // 10_000} or newer is needed"
        for name in ("fsync", "full_page_writes"):
            if getattr(self, name) != "on":
                return f"the database server has {name}=off and would lose what was acknowledged: set it to on"
        if self.synchronous_commit == "off":
            return "the database server has synchronous_commit=off and would lose what was acknowledged: set it to on"
        if self.is_standby:
            return "the database server is a standby: rights are only decided on the primary"
        if self.encoding != "UTF8":
            return f"the database has the encoding {self.encoding}, which has not every letter: make it with UTF8"
        return None


class Examined(NamedTuple):
    """A server that may be used, and the revision of the schema in the database."""

    server: ServerState
    revision: str

    @property
    def is_schema_current(self) -> bool:
        """Whether the schema is that of this program."""
        return self.revision == HEAD


def examine(tx: Transaction) -> Examined:
    """Return what the server of a transaction says. Raises Unavailable."""
    (server,), (revision,) = tx.rows(SERVER), tx.rows(_REVISION)
    return Examined(ServerState._make(server), str(revision[0]))
