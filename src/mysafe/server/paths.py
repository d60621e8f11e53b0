# SPDX-License-Identifier: Apache-2.0
"""One spelling for each path, before routing. It must not know the routes."""

import re

_PLAIN = re.compile(rb"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9\-._~!$&'()*+,=:@]+)+/?")
"""Segments of plain characters, none of them `.` or `..`; at most one slash in a row, one may end the path."""

_ALIASES = ("/api/iso/", "/iso/")
_PREFIX = "/api/"


def canonical_path(raw_path: bytes) -> str | None:
    """Return the one spelling of a path, or None for a path that no route may answer (404).

    Percent-encoding, dot segments, `//`, `;`, NUL and everything outside ASCII give None: two readers could take
    such a path for different ones. One slash at the end is dropped. `/iso/…` and `/api/iso/…` become `/api/…`.

    Source: R-API-06; contract 1.1 (aliases, trailing slash).
    """
    if raw_path == b"/":
        return "/"
    if _PLAIN.fullmatch(raw_path) is None:
        return None
    path = raw_path.decode("ascii").removesuffix("/")
    if path.startswith(_PREFIX) and not path.startswith(_ALIASES):
        return path
    for alias in _ALIASES:
        if path.startswith(alias):
            return _PREFIX + path[len(alias) :]
    return path
