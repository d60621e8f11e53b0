# SPDX-License-Identifier: Apache-2.0
"""A vault with an audit log, a file of checkpoints, and somebody who gets at the rows beside it."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mysafe import making, opening
from mysafe.audit.leaves import encode_leaf
from mysafe.audit.tree import Edge, leaf_hash
from mysafe.config import Settings, load_settings
from mysafe.domain.actions import Action
from mysafe.services.audit_tree import exporting, verifying
from mysafe.services.audit_tree.checkpoint_file import CheckpointFile
from mysafe.services.audit_tree.checkpoints import Checkpoints
from mysafe.services.audit_tree.sequencer import Sequencer
from mysafe.services.audit_tree.starting import check_start
from mysafe.services.audit_tree.verifying import Verified
from mysafe.services.authentication import local_operator
from mysafe.storage import audit_tree
from mysafe.storage.audit_log import AuditRow
from tests.support import databases
from verify_audit import check

_TABLES = ("audit", "audit_leaves", "audit_nodes", "audit_tree", "audit_checkpoints")
Log = dict[str, list[tuple[object, ...]]]

COLUMNS = ", ".join(AuditRow._fields)


class AuditScene:
    """Nothing runs by itself here: rows become leaves, and checkpoints are written, when a test says so."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings: Settings = load_settings(
            {
                "data": directory / "data",
                "audit_checkpoint_file": directory / "checkpoints",
                **databases.chosen(),
            },
            {},
            None,
        )
        making.initialise(self.settings)
        self.vault = opening.open_vault(self.settings)
        self.file = CheckpointFile(directory / "checkpoints")
        self.sequencer = Sequencer(self.vault)
        self._exports = 0

    def close(self) -> None:
        self.vault.close()

    def act(self, times: int = 1) -> None:
        """Do what leaves an entry each time."""
        for _ in range(times):
            self.vault.run(local_operator, lambda uow: uow.registry.permit(Action.AUDIT_READ)).result()

    def sign(self) -> None:
        """Let the tree catch up, and write a checkpoint."""
        self.sequencer.catch_up()
        Checkpoints(self.vault, self.file, 0).write()

    def grow(self, *sizes: int) -> None:
        """Act and sign until the tree has each of these sizes."""
        for size in sizes:
            self.sequencer.catch_up()
            self.act(size - self.size)
            self.sign()

    @property
    def size(self) -> int:
        return self.vault.engine.look(audit_tree.read_state).result().size

    def verify(self) -> Verified:
        return verifying.verify(self.vault, self.file)

    def faults(self) -> list[str]:
        """Return what the product finds."""
        return [f"entry {fault.entry} {fault.text}" for fault in self.verify().faults]

    def independent_faults(self) -> list[str]:
        """Return what the independent verifier finds in an export and the file."""
        self._exports += 1
        target = self.directory / f"export{self._exports}"
        exporting.export(self.vault, target)
        notes = self.file.path.read_text(encoding="utf-8") if self.file.path.exists() else ""
        return check(target.read_text(encoding="utf-8"), notes, exporting.verifier_key(self.vault))

    def check_start(self) -> None:
        check_start(self.vault, self.file)

    # -- what somebody with the database can do ------------------------------------------------------------------------

    def sql(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        with databases.beside(self.settings) as connection:
            rows = connection.execute(statement, values)
            assert statement.startswith("SELECT") or connection.changes() >= 1, "the edit changed nothing"
        return rows

    def rows(self) -> list[AuditRow]:
        return [AuditRow._make(row) for row in self.sql(f"SELECT {COLUMNS} FROM audit ORDER BY id")]

    def rows_but(self, number: int) -> list[AuditRow]:
        found = self.sql(f"SELECT {COLUMNS} FROM audit WHERE id <> ? ORDER BY id", number)
        return [AuditRow._make(row) for row in found]

    def insert(self, row: Sequence[object]) -> None:
        self.sql(f"INSERT INTO audit ({COLUMNS}) VALUES ({', '.join('?' * len(row))})", *row)

    def swap(self, one: int, other: int) -> None:
        """Let two rows change their numbers."""
        for old, new in ((one, -1), (other, one), (-1, other)):
            self.sql("UPDATE audit SET id = ? WHERE id = ?", new, old)

    def forge_tree(self) -> None:
        """Make all leaves, stored nodes and the edge fit the rows as they are now. Only signatures cannot be made."""
        edge, rows = Edge(), {row.id: row for row in self.rows()}
        leaves = self.sql("SELECT position, audit_id FROM audit_leaves ORDER BY position")
        for position, number in leaves:
            made = leaf_hash(encode_leaf(rows[int(str(number))]))
            self.sql("UPDATE audit_leaves SET hash = ? WHERE position = ?", made, position)
            for node in edge.add(made):
                if node.level >= audit_tree.STORED_LEVEL:
                    self.sql(
                        "UPDATE audit_nodes SET hash = ? WHERE level = ? AND number = ?",
                        node.hash,
                        node.level,
                        node.number,
                    )
        self.sql("UPDATE audit_tree SET edge = ?", edge.encode())

    @contextmanager
    def rolled_back(self) -> Iterator[None]:
        """Bring the whole log back to what it is now, after what is done inside."""
        state = self.sql("SELECT size, swept_id, swept_size, edge FROM audit_tree")[0]
        last = self.rows()[-1].id
        yield
        with databases.beside(self.settings) as connection:
            connection.execute("DELETE FROM audit WHERE id > ?", (last,))
            connection.execute("DELETE FROM audit_leaves WHERE position >= ?", (state[0],))
            connection.execute("DELETE FROM audit_checkpoints WHERE size > ?", (state[0],))
            connection.execute("DELETE FROM audit_nodes WHERE (number + 1) * 256 > ?", (state[0],))
            connection.execute("UPDATE audit_tree SET size = ?, swept_id = ?, swept_size = ?, edge = ?", state)

    def log(self) -> "Log":
        """Return all that a copy of the database has of the log, for `put_back`."""
        return {table: self.sql(f"SELECT * FROM {table}") for table in _TABLES}

    def put_back(self, log: "Log") -> None:
        """Bring the log back to what it was, whatever came meanwhile."""
        with databases.beside(self.settings) as connection:
            for table, rows in log.items():
                connection.execute(f"DELETE FROM {table}")
                for row in rows:
                    connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)

    def note_digests(self) -> list[str]:
        return [hashlib.sha256(note.encode().encode()).hexdigest() for note in self.file.read().notes]
