# SPDX-License-Identifier: Apache-2.0
"""Which package of somebody else may be used where. A package that is not listed may be used nowhere."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.architecture import house
from tests.architecture.house import Module, Verdict

HOMES: dict[str, tuple[str, ...]] = {
    "alembic": ("src/mysafe/storage/",),
    "apsw": ("src/mysafe/storage/",),
    "botocore": ("src/mysafe/storage/blobs/s3.py", "src/mysafe/crypto/root_key/devices/aws_kms.py"),
    "cryptography": ("src/mysafe/crypto/",),
    "httptools": ("src/mysafe/server/",),
    "msgspec": (
        "src/mysafe/protocol/",
        "src/mysafe/server/api/description/",
        "src/mysafe/server/api/manage/",
        "src/mysafe/services/payloads/",
    ),
    "opentelemetry": ("src/mysafe/server/observing/spans.py",),
    "pkcs11": ("src/mysafe/crypto/root_key/devices/pkcs11_token.py",),
    "psycopg": ("src/mysafe/storage/postgres/",),
    "pyrage": ("src/mysafe/crypto/age.py",),
    "requests": ("src/mysafe/server/observing/spans.py",),
    "sqlalchemy": ("src/mysafe/storage/",),
    "uvicorn": ("src/mysafe/server/", "src/mysafe/app.py"),
    "uvloop": ("src/mysafe/server/", "src/mysafe/app.py"),
}
"""Top-level package → where it may be imported."""

PURE_ROOMS = ("audit", "authz", "domain")
"""Rooms that import the standard library and lower rooms only."""


def third_parties_stay_home(root: Path) -> Verdict:
    """Find every import of a package that is neither ours nor Python's."""
    found, wrong = [], []
    for module, node, name in _foreign_imports(root):
        found.append(f"{house.place(module, node)} {name}")
        if not module.path.startswith(HOMES.get(name, ("nowhere",))):
            wrong.append(found[-1])
    return Verdict(found, wrong)


def pure_rooms_are_pure(root: Path) -> Verdict:
    """Find every module of the pure rooms, and what they import besides Python and this package."""
    rooms = tuple(f"src/mysafe/{room}/" for room in PURE_ROOMS)
    found = [module.path for module in house.modules(root) if module.path.startswith(rooms)]
    wrong = [
        f"{house.place(module, node)} {name}"
        for module, node, name in _foreign_imports(root)
        if module.path.startswith(rooms)
    ]
    return Verdict(found, wrong)


def _foreign_imports(root: Path) -> Iterator[tuple[Module, ast.AST, str]]:
    for module, node in house.nodes(root):
        for name in _imported_packages(node):
            if name != "mysafe" and name not in sys.stdlib_module_names:
                yield module, node, name


def _imported_packages(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name.partition(".")[0] for alias in names]
        case ast.ImportFrom(module=str(module), level=0):
            return [module.partition(".")[0]]
        case _:
            return []
