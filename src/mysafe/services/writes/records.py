# SPDX-License-Identifier: Apache-2.0
"""Seal a record of principals or credentials, store it, and record what was done to it."""

from mysafe.crypto.records import RecordAddress
from mysafe.domain.actions import Action
from mysafe.domain.errors import Busy
from mysafe.services.keys import VaultKeys, envelope_digest
from mysafe.services.recording import Recorder, Subject
from mysafe.storage.engine import Transaction
from mysafe.storage.principals import RecordRow, RecordTable


class RecordWriter:
    """Write records inside one unit of work. It decides nothing: whoever calls it has asked the policy."""

    def __init__(self, tx: Transaction, keys: VaultKeys, recorder: Recorder, now: int) -> None:
        self._tx = tx
        self._keys = keys
        self._recorder = recorder
        self._now = now

    def seal(
        self, table: RecordTable, numbers: tuple[int, int, int, int], index: bytes, meta: bytes, secret: bytes | None
    ) -> RecordRow:
        """Return a record as a row. `numbers` are its id, its owner, its version, and when it was made."""
        record_id, owner_id, version, created_at = numbers
        address = RecordAddress(table.name, table.name, record_id, owner_id, version)
        sealed = self._keys.cipher.seal(address, meta, secret)
        return RecordRow(
            record_id,
            owner_id,
            version,
            self._keys.cipher.epoch,
            index,
            created_at,
            self._now,
            None,
            sealed.dek,
            sealed.meta,
            sealed.secret,
        )

    def secret_of(self, table: RecordTable, row: RecordRow) -> bytes | None:
        """Return the secret part of a row, None if it has none. Raises SealBroken."""
        if row.secret is None:
            return None
        address = RecordAddress(table.name, table.name, row.id, row.owner_id, row.version)
        return self._keys.cipher.unwrap(address, row.dek).open_secret(row.secret)

    def insert(self, table: RecordTable, row: RecordRow, action: Action, name: str) -> None:
        """Store a new row and record `action` on it. Raises Conflict."""
        self._recorder.attempt(action, Subject(table.name, row.id, name=name))
        table.insert(self._tx, row)
        self._record(table, row, action, name)

    def replace(self, table: RecordTable, row: RecordRow, action: Action, name: str) -> None:
        """Store the next version of a row and record `action` on it. Raises Conflict, Busy."""
        self._recorder.attempt(action, Subject(table.name, row.id, name=name))
        if not table.replace(self._tx, row, row.version - 1):
            raise Busy
        self._record(table, row, action, name)

    def _record(self, table: RecordTable, row: RecordRow, action: Action, name: str) -> None:
        digest = envelope_digest(row.dek, row.meta, row.secret)
        self._recorder.allowed(action, Subject(table.name, row.id, row.version, digest, name))
