# SPDX-License-Identifier: Apache-2.0
"""The product on a disk that pretends to be full as long as there is a file FULL_WHILE (a path).

What pretends lies below the product: SQLite's layer of files, where it writes its log, and the calls by which contents
are written. With EAGER=yes the product is the negative control of T-DISKFULL: it answers before the commit. Never part
of the product.
"""

import errno
import os
import sys
from typing import Any

import apsw

from mysafe import app, opening
from mysafe.cli.main import main as run
from mysafe.storage.blobs import directory
from tests.support.early_engine import EarlyEngine

_FLAG = os.environ.get("FULL_WHILE", "")


def _is_full() -> bool:
    return os.path.exists(_FLAG)


class _Files(apsw.VFS):
    def __init__(self) -> None:
        self.real = apsw.vfs_names()[0]
        super().__init__("full", self.real, makedefault=True)

    def xOpen(self, name: "str | apsw.URIFilename | None", flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # SQLite's
        # Only the log: SQLite keeps quiet about a checkpoint that fails after a commit, the exception would not.
        path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        return (_Log if path.endswith("-wal") else apsw.VFSFile)(self.real, name, flags)


class _Log(apsw.VFSFile):
    def xWrite(self, data: object, offset: int) -> None:  # noqa: N802  # SQLite's name
        if _is_full():
            raise apsw.exception_for(apsw.SQLITE_FULL)
        super().xWrite(data, offset)


class _FullOs:
    """The module `os`, whose writing calls fail while the disk is full."""

    def __getattr__(self, name: str) -> Any:
        if name in {"write", "mkdir", "rename"} and _is_full():
            return self._refuse
        return getattr(os, name)

    def _refuse(self, *arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def main() -> int:
    files = _Files() if _FLAG else None
    directory.os = _FullOs()  # type: ignore[assignment, attr-defined]  # this is the fault
    if os.environ.get("EAGER"):
        real_open = opening.open_vault

        def eager_open(*arguments: Any, **options: Any) -> Any:
            vault = real_open(*arguments, **options)
            vault.engine = EarlyEngine(vault.engine)
            return vault

        app.open_vault = eager_open  # type: ignore[attr-defined]  # where the server takes it from
    try:
        return run(sys.argv[1:])
    finally:
        if files is not None:
            apsw.set_default_vfs(files.real)


if __name__ == "__main__":
    raise SystemExit(main())
