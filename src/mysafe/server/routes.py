# SPDX-License-Identifier: Apache-2.0
"""The route table: one line for each operation, and how a path finds its line (contract 1.1)."""

from collections.abc import Iterable

from mysafe.domain.actions import Action
from mysafe.server.api import files, items, oauth2
from mysafe.server.api.call import Match, Operation
from mysafe.server.paths import canonical_path

OPERATIONS = (
    Operation("POST", "/api/oauth2/token", Action.TOKEN_ISSUE, oauth2.token, is_public=True, refuse=oauth2.refuse),
    Operation("GET", "/api/oauth2/token", Action.TOKEN_ISSUE, oauth2.token, is_public=True, refuse=oauth2.refuse),
    *(operation for wire in items.WIRES for operation in items.operations(wire)),
    *files.operations(),
)

_IDENTIFIER = "/{identifier}"


class Routes:
    """Find operations by method and path. The identifier is the last segment, or the last but one."""

    def __init__(self, operations: Iterable[Operation] = OPERATIONS) -> None:
        self._operations = {(operation.method, operation.path): operation for operation in operations}
        self._plain = {
            (method, path.removesuffix(_IDENTIFIER).encode(), path.endswith(_IDENTIFIER)): operation
            for (method, path), operation in self._operations.items()
        }

    def match(self, method: str, raw_path: bytes) -> Match | None:
        """Return what is asked for, or None for an unknown path or a wrong method."""
        parent_path, _, last = raw_path.rpartition(b"/")
        if last.isdigit():  # the spelling of nearly every call needs no second one
            operation = self._plain.get((method, parent_path, True))
            if operation is not None:
                return Match(operation, last.decode("ascii"))
        elif (operation := self._plain.get((method, raw_path, False))) is not None:
            return Match(operation, "")
        path = canonical_path(raw_path)
        if path is None:
            return None
        operation = self._operations.get((method, path))
        if operation is not None and not path.endswith(_IDENTIFIER):
            return Match(operation, "")
        parent, _, identifier = path.rpartition("/")
        operation = self._operations.get((method, parent + _IDENTIFIER))
        if operation is None:
            grandparent, _, middle = parent.rpartition("/")
            operation, identifier = self._operations.get((method, f"{grandparent}{_IDENTIFIER}/{identifier}")), middle
        return Match(operation, identifier) if operation is not None and identifier else None
