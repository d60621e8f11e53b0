# SPDX-License-Identifier: Apache-2.0
"""Write docs/api/openapi.json: the description that a server with the default settings gives of itself."""

import sys
from pathlib import Path

from mysafe.server.api.description import document
from mysafe.server.routes import OPERATIONS

FILE = Path(__file__).parents[1] / "docs/api/openapi.json"


def content() -> bytes:
    """Return what the file must hold."""
    return document.as_json(document.describe(OPERATIONS))


def main() -> int:
    """Write the file; with --check, only say whether it is up to date."""
    if sys.argv[1:] == ["--check"]:
        is_current = FILE.exists() and FILE.read_bytes() == content()
        print(f"{FILE.name} is up to date" if is_current else f"{FILE.name} is out of date: run make docs")
        return 0 if is_current else 1
    FILE.write_bytes(content())
    return 0


if __name__ == "__main__":
    sys.exit(main())
