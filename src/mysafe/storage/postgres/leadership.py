# SPDX-License-Identifier: Apache-2.0
"""Who leads, of the servers of a vault: the holder of one advisory lock, on a connection of its own (decision 0020).

    holder    asks something every second, and counts as holder for two seconds and a half after it last asked and was
              answered
    server    ends the connection three seconds after the last question, and the lock with it
    others    try to get the lock twice a second

So no two lead at the same time as long as clocks run, and when a holder dies, freezes or is cut off, another leads
within four seconds.
"""

import logging
import threading
import time

from mysafe.domain.errors import DatabaseUnreachable
from mysafe.storage.engine import StorageRefused
from mysafe.storage.postgres.connection import Broken, Call, Connection, Failed, connect, rows_in
from mysafe.storage.postgres.history import Past, complaint_about
from mysafe.storage.postgres.server_state import SERVER, ServerState
from mysafe.storage.postgres.texts import rows_of
from mysafe.storage.statements import Statement

_log = logging.getLogger("mysafe.server")

LOCK = 0x6D79_7361_6665_01
"""Number of the advisory lock: the bytes of the product's name, and 1."""

PROBE_SECONDS = 1.0
TRY_SECONDS = 0.5
HELD_SECONDS = 2.5
SESSION_SECONDS = 3.0
"""After so long without a question the server ends the session. It must be longer than HELD_SECONDS."""

ANSWER_SECONDS = 2.0
"""How long an answer to a question may take."""

_PREPARE = Statement(f"SELECT set_config('idle_session_timeout', '{SESSION_SECONDS * 1000:.0f}', false)")
_TRY = Statement(f"SELECT pg_try_advisory_lock({LOCK})::int")


class LeadershipByLock:
    """Try to get the lock, and keep it, in a thread of its own, until it is closed.

    Args:
        text: what the driver needs to reach the database.
        past: how far the database had come before: a server that is behind makes nobody lead. None: not known.
    """

    def __init__(self, text: str, past: Past | None = None) -> None:
        self._text = text
        self._past = past or Past()
        self._connection: Connection | None = None
        self._is_locked = False
        self._held_until = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leadership", daemon=True)
        self._thread.start()

    def is_held(self) -> bool:
        """Return whether this process leads now."""
        return time.monotonic() < self._held_until

    def close(self) -> None:
        """Give the lock up."""
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._is_over.wait(pause):
            pause = self._step()
        self._held_until = 0.0
        self._drop()

    def _step(self) -> float:
        """Ask once, and return the seconds until the next time."""
        asked_at = time.monotonic()
        try:
            if self._ask():
                self._held_until = asked_at + HELD_SECONDS
        except (DatabaseUnreachable, StorageRefused, Broken, Failed):
            self._drop()
        except Exception as error:  # noqa: BLE001  # without this thread this process would never lead again
            _log.error("the lock of the background work failed: %s", type(error).__name__)
            self._drop()
        return PROBE_SECONDS if self._is_locked else TRY_SECONDS

    def _ask(self) -> bool:
        """Return whether the lock is ours, got now or before."""
        if self._connection is not None and self._past.is_over(self._connection.began_at):
            self._drop()  # who holds the lock of an old primary leads nobody
            self._held_until = 0.0
        if self._connection is None:
            self._connection = connect(self._text, self._past, answer_seconds=ANSWER_SECONDS)
            self._connection.exchange([Call(_PREPARE)])
        self._note_point(self._connection)
        if self._is_locked:
            return True
        ((is_locked,),) = rows_in(self._connection.exchange([Call(_TRY)])[0])
        self._is_locked = bool(is_locked)
        if self._is_locked:
            _log.info("this process leads: it does the background work")
        return self._is_locked

    def _note_point(self, connection: Connection) -> None:
        """Remember how far the database has come, for all connections of this process.

        Raises StorageRefused if it is not to be used any more: it is a standby, or behind what was seen before.
        """
        known = self._past.furthest
        state = ServerState._make(rows_of(connection.exchange([Call(SERVER)])[0])[0])
        complaint = state.complaint() or complaint_about(state.point, known)
        if complaint is not None:
            raise StorageRefused(complaint)
        self._past.note(state.point)

    def _drop(self) -> None:
        if self._is_locked and not self._is_over.is_set():
            _log.warning("this process leads no more: its connection to the database broke")
        self._is_locked = False
        if self._connection is not None:
            self._connection.close()
        self._connection = None
