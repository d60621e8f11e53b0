# SPDX-License-Identifier: Apache-2.0
"""The route table: one line for each operation, and how a path finds its line (contract 1.1)."""

from collections import defaultdict
from collections.abc import Iterable

from mysafe.domain.actions import Action
from mysafe.server.api import files, items, oauth2
from mysafe.server.api.call import Match, Operation
from mysafe.server.api.description.doors import described
from mysafe.server.api.manage import access_keys, batch, groups, history, me, transfers, users
from mysafe.server.paths import canonical_path

_UNDESCRIBED = (
    Operation("POST", "/api/oauth2/token", Action.TOKEN_ISSUE, oauth2.token, is_public=True, refuse=oauth2.refuse),
    Operation("GET", "/api/oauth2/token", Action.TOKEN_ISSUE, oauth2.token, is_public=True, refuse=oauth2.refuse),
    *(operation for wire in items.WIRES for operation in items.operations(wire)),
    *files.operations(),
    *me.OPERATIONS,
    *access_keys.OPERATIONS,
    *users.OPERATIONS,
    *groups.OPERATIONS,
    *history.OPERATIONS,
    *batch.OPERATIONS,
    *transfers.OPERATIONS,
)

OPERATIONS = described(_UNDESCRIBED)
"""Every route; the description of the API is for callers with a token."""

OPEN_OPERATIONS = described(_UNDESCRIBED, is_public=True)
"""The same with a description that anybody may read."""

_IDENTIFIER = "/{identifier}"


class Routes:
    """Find operations by method and path. A segment of a path in braces matches any text."""

    def __init__(self, operations: Iterable[Operation] = OPERATIONS) -> None:
        self._plain: dict[tuple[str, bytes, bool], Operation] = {}
        self._by_length: dict[tuple[str, int], list[tuple[list[str], Operation]]] = defaultdict(list)
        for operation in operations:
            method, path = operation.method, operation.path
            parent = path.removesuffix(_IDENTIFIER)
            if "{" not in parent:
                self._plain[method, parent.encode(), path != parent] = operation
            template = path.split("/")
            self._by_length[method, len(template)].append((template, operation))
        for templates in self._by_length.values():
            templates.sort(key=lambda pair: [_is_variable(segment) for segment in pair[0]])  # words before variables

    def match(self, method: str, raw_path: bytes) -> Match | None:
        """Return what is asked for, or None for an unknown path or a wrong method."""
        parent_path, _, last = raw_path.rpartition(b"/")
        if last.isdigit():  # the spelling of nearly every call needs no second one
            operation = self._plain.get((method, parent_path, True))
            if operation is not None:
                return Match(operation, (last.decode("ascii"),))
        elif (operation := self._plain.get((method, raw_path, False))) is not None:
            return Match(operation, ())
        path = canonical_path(raw_path)
        return None if path is None else self._match_template(method, path.split("/"))

    def _match_template(self, method: str, segments: list[str]) -> Match | None:
        for template, operation in self._by_length.get((method, len(segments)), ()):
            pairs = list(zip(template, segments, strict=True))
            if all(wanted == given or (_is_variable(wanted) and given) for wanted, given in pairs):
                return Match(operation, tuple(given for wanted, given in pairs if _is_variable(wanted)))
        return None


def _is_variable(segment: str) -> bool:
    return segment.startswith("{")
