# SPDX-License-Identifier: Apache-2.0
"""What a handler gets and what it gives back. Nothing here knows the web server."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from mysafe.domain.actions import Action
from mysafe.domain.errors import InvalidField, VaultError
from mysafe.domain.files import FileBounds, FileContent, StoredContent, Ticket
from mysafe.protocol.body import parse_body
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.multipart import Given, UploadReader
from mysafe.services.accounts.key_rules import KeyRules
from mysafe.services.authentication import Caller
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Identify


class Call(NamedTuple):
    """One request, as far as a handler may know it. `segments` are what stands for the variables of its path.

    `key_rules` are the vault's rules for access keys, `bounds` those for files.
    """

    method: str
    segments: tuple[str, ...]
    query_string: bytes
    headers: Mapping[bytes, bytes]
    body: bytes
    caller: Caller
    compatibility: Compatibility
    key_rules: KeyRules
    bounds: FileBounds = FileBounds()

    @property
    def identifier(self) -> str:
        """The first variable of the path, nearly always an identifier; "" without one."""
        return self.segments[0] if self.segments else ""

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


JSON = (b"content-type", b"application/json")

Headers = tuple[tuple[bytes, bytes], ...]
"""Names and values, in the order they are sent."""


class Outgoing(NamedTuple):
    """A part of a content that is sent instead of a body: from `start` up to `stop`."""

    file: FileContent
    start: int
    stop: int


class Answer(NamedTuple):
    """What is sent: status, body, and headers beyond the ones every answer has."""

    status: int
    body: bytes
    headers: Headers = ()
    content_type: tuple[bytes, bytes] = JSON
    outgoing: Outgoing | None = None


class Slow(NamedTuple):
    """Work that would hold up everybody else: it runs on a thread of its own, and says what to do next.

    Hashing a password is such work. It touches no unit of work, and its complaints are answered like those of one.
    """

    work: Callable[[], "Step"]


class Step(NamedTuple):
    """What a handler wants done: a use case bound to its input, and how its value becomes an answer.

    `encode` may return more to do instead. `is_look` says that it reveals no secret and may run on a snapshot.
    `identify` replaces the bearer token, and `claimant` is whom it claims to be, a client id: failures are counted for
    it (R-TOK-14). `things` is for how many requests the call counts.
    """

    work: Callable[[UnitOfWork], Any]
    encode: "Callable[[Any], Answer | Slow | Step | Together]"
    is_look: bool = False
    identify: Identify | None = None
    claimant: str | None = None
    things: int = 1


class Together(NamedTuple):
    """Several use cases, each in a unit of its own and committed as one group; none spoils another.

    `action` is what each is recorded as if it fails before it says more. `encode` gets what became of each, in order:
    its value or its exception.
    """

    action: Action
    works: Sequence[Callable[[UnitOfWork], Any]]
    encode: "Callable[[list[Any]], Answer | Slow | Step | Together]"


class Door(NamedTuple):
    """How a part of the API words its errors: the expected ones, and a fault of the server."""

    answer_to: Callable[[VaultError, Compatibility], Answer]
    unexpected: Callable[[Compatibility], Answer]


class About(NamedTuple):
    """What the description of the API says about an operation.

    `request` and `response` are the models of the bodies, None where there is none; `query` names the parameters.
    `media` is the media type of an answer that is not JSON; the model `bytes` is any sequence of bytes.
    """

    summary: str
    request: type | None = None
    response: type | None = None
    status: int = 200
    query: tuple[str, ...] = ()
    media: str = "application/json"


class Reception(NamedTuple):
    """How a body is taken that is stored while it arrives.

    `begin` is a use case that gives leave, before a byte is read, and is told the id of the content; `reader` finds
    the content in the body; `finish` returns what makes the stored content visible.
    """

    begin: Callable[[UnitOfWork, str], Ticket]
    reader: UploadReader
    finish: Callable[[StoredContent, Given], Step]


class Operation(NamedTuple):
    """One line of the route table.

    `refuse` words the refusals of the token endpoint; `door` is None for the errors of the documented API. `receive`
    says how the body of a call is stored while it arrives; None where it, or what it returns, is None.
    """

    method: str
    path: str
    action: Action
    handler: Callable[[Call], Step]
    is_public: bool = False
    refuse: Callable[[Call, VaultError], Answer | None] | None = None
    door: Door | None = None
    about: About | None = None
    receive: Callable[[Call], Reception | None] | None = None


class Match(NamedTuple):
    """The operation a request asks for, and what stands for the variables of its path."""

    operation: Operation
    segments: tuple[str, ...]


FindOperation = Callable[[str, bytes], Match | None]
"""Find what a method and a raw path ask for; None for an unknown path or a wrong method."""
