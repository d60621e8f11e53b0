# SPDX-License-Identifier: Apache-2.0
"""What a handler gets and what it gives back. Nothing here knows the web server."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from mysafe.domain.actions import Action
from mysafe.domain.errors import InvalidField, VaultError
from mysafe.domain.files import FileBounds, FileContent, StoredContent, Ticket
from mysafe.protocol.body import parse_body
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.multipart import Given, UploadReader
from mysafe.services.authentication import Caller
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Identify


class Call(NamedTuple):
    """One request, as far as a handler may know it. `identifier` is that of its path, or ""."""

    method: str
    identifier: str
    query_string: bytes
    headers: Mapping[bytes, bytes]
    body: bytes
    caller: Caller
    compatibility: Compatibility
    bounds: FileBounds = FileBounds()

    def announced_bytes(self) -> int | None:
        """Return how long the request says its body is, None if it does not say."""
        length = self.headers.get(b"content-length")
        return int(length) if length is not None else None

    def fields(self) -> dict[str, object]:
        """Return the fields of the body, JSON or form. Raises BadBody."""
        content_type = self.headers.get(b"content-type")
        return parse_body(self.body, content_type.decode("latin-1") if content_type else None)

    def query(self, *known: str) -> dict[str, str]:
        """Return the known query parameters; others are ignored.

        Raises:
            InvalidField: a known one is given twice (R-API-07), or is not UTF-8.
        """
        found: dict[str, str] = {}
        for pair in self.query_string.split(b"&"):
            key, _, value = pair.partition(b"=")
            name = _unquoted(key).decode("latin-1")
            if name in known:
                if name in found:
                    raise InvalidField(name)
                found[name] = _utf8(name, _unquoted(value))
        return found


def _unquoted(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _utf8(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidField(name) from None


class Outgoing(NamedTuple):
    """A part of a content that is sent instead of a body: from `start` up to `stop`."""

    file: FileContent
    start: int
    stop: int


class Answer(NamedTuple):
    """What is sent: status, body, and headers beyond the ones every answer has."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    outgoing: Outgoing | None = None


class Step(NamedTuple):
    """What a handler wants done: a use case bound to its input, and how its value becomes an answer.

    `is_look` says that it reveals no secret and may run on a snapshot. `identify` replaces the bearer token.
    """

    work: Callable[[UnitOfWork], Any]
    encode: Callable[[Any], Answer]
    is_look: bool = False
    identify: Identify | None = None


class Reception(NamedTuple):
    """How a body is taken that is stored while it arrives.

    `begin` is a use case that gives leave, before a byte is read; `reader` finds the content in the body; `finish`
    returns what makes the stored content visible.
    """

    begin: Callable[[UnitOfWork], Ticket]
    reader: UploadReader
    finish: Callable[[StoredContent, Given], Step]


class Operation(NamedTuple):
    """One line of the route table. `refuse` words the refusals of a door with an error format of its own.

    `receive` says how the body of a call is stored while it arrives; None where it, or what it returns, is None.
    """

    method: str
    path: str
    action: Action
    handler: Callable[[Call], Step]
    is_public: bool = False
    refuse: Callable[[Call, VaultError], Answer | None] | None = None
    receive: Callable[[Call], Reception | None] | None = None


class Match(NamedTuple):
    """The operation a request asks for, and the identifier in its path or ""."""

    operation: Operation
    identifier: str


FindOperation = Callable[[str, bytes], Match | None]
"""Find what a method and a raw path ask for; None for an unknown path or a wrong method."""
