# SPDX-License-Identifier: Apache-2.0
"""What names a request in the answer, in the audit log and in the server's logs."""

import itertools
import re
from collections.abc import Mapping, Sequence
from secrets import token_hex
from typing import Any

from mysafe.server.origin import Network, is_trusted

HEADER = b"x-request-id"

_is_well_formed = re.compile(rb"[A-Za-z0-9_-]{8,64}").fullmatch


class RequestIds:
    """Give each request its id: that of a trusted proxy, which its own logs have too, else one of ours.

    A proxy's counts if the header stands there once and is 8 to 64 letters, digits, hyphens and underscores. From
    anybody else it is ignored: callers must not choose what the logs say about them.
    """

    def __init__(self, trusted_proxies: Sequence[Network] = ()) -> None:
        self._trusted = trusted_proxies
        # Asking the system for randomness gives up the interpreter's lock: once for the process is enough.
        self._prefix = f"{token_hex(6)}-"
        self._numbers = itertools.count(1)

    def of(self, scope: Mapping[str, Any]) -> str:
        """Return the id of the request with this ASGI scope."""
        if self._trusted:
            given = [value for name, value in scope["headers"] if name == HEADER]
            peer = scope["client"][0] if scope.get("client") else ""
            if len(given) == 1 and _is_well_formed(given[0]) and is_trusted(peer, self._trusted):
                return str(given[0], "ascii")
        return f"{self._prefix}{next(self._numbers):x}"
