# SPDX-License-Identifier: Apache-2.0
"""A file layer under SQLite that records what is done to the write-ahead log, and fails on demand."""

from collections.abc import Iterator
from contextlib import contextmanager

import apsw

LOG = "-wal"


class FaultyFiles(apsw.VFS):
    """Pass everything to the real file layer. `trace` receives "write" and "sync" of the log; others may add to it.

    `write_fault` and `sync_fault` are SQLite's error codes to fail with, 0 to work.
    """

    NAME = "faulty"

    def __init__(self) -> None:
        self.real = apsw.vfs_names()[0]
        super().__init__(self.NAME, self.real, makedefault=True)
        self.trace: list[str] = []
        self.write_fault = 0
        self.sync_fault = 0

    def xOpen(self, name: "str | apsw.URIFilename | None", flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # SQLite's
        """Open a file; only the log is watched."""
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        return _Log(self, name, flags) if path.endswith(LOG) else apsw.VFSFile(self.real, name, flags)


class _Log(apsw.VFSFile):
    def __init__(self, files: FaultyFiles, name: "str | apsw.URIFilename | None", flags: list[int]) -> None:
        super().__init__(files.real, name, flags)
        self._files = files

    def xWrite(self, data: object, offset: int) -> None:  # noqa: N802  # SQLite's name
        """Write and record, or fail."""
        _fail(self._files.write_fault)
        self._files.trace.append("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802  # SQLite's name
        """Sync and record, or fail."""
        _fail(self._files.sync_fault)
        super().xSync(flags)
        self._files.trace.append("sync")


def _fail(code: int) -> None:
    if code:
        raise apsw.exception_for(code)


@contextmanager
def faulty_files() -> Iterator[FaultyFiles]:
    """Put the layer under every database opened from now on, and take it away in the end."""
    files = FaultyFiles()
    try:
        yield files
    finally:
        apsw.set_default_vfs(files.real)
        apsw.unregister_vfs(files.NAME)
