# SPDX-License-Identifier: Apache-2.0
"""The answers to errors, as the server itself gives them: each error is made once and shown to its door."""

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import NamedTuple

from mysafe.domain import errors
from mysafe.domain.errors import VaultError
from mysafe.protocol.compatibility import Compatibility
from mysafe.server import limits
from mysafe.server.api.call import Answer, Door
from mysafe.server.api.description.schemas import REFERENCE, Schema
from mysafe.server.api.errors import no_route

GENERAL: tuple[type[VaultError], ...] = (
    errors.NotAuthenticated,
    errors.CallForbidden,
    errors.TooMany,
    errors.TooLarge,
    errors.SlowBody,
    errors.Unavailable,
)
"""Errors that may end every call, and with them what is below them. Any other one is raised by some operations only."""

_CONNECTION = (limits.LONG_URL, limits.LARGE_HEAD, limits.TOO_MANY, limits.FULL, limits.SLOW_REQUEST)
"""What a connection may be answered before there is a request."""

_FACTS: Mapping[str, object] = {"field": "name", "limit": 255, "was_sent": True, "what": "item"}

_MEANINGS: Mapping[int, str] = {
    400: "The request cannot be used, or the item does not exist or may not be read; the text says which.",
    401: "The access token is missing, wrong or expired.",
    403: "The access key may not be used so.",
    404: "No route has this path.",
    408: "The request came too slowly.",
    409: "The state of the record forbids it.",
    412: "The item is not at the version that `If-Match` names.",
    413: "The body is too large.",
    507: "There is no room for the file.",
    414: "The URL is too long.",
    422: "The value cannot be encrypted for the access key.",
    429: "Too much at once; try again later.",
    431: "The headers are too large.",
    500: "A fault of the server, or a value too long to encrypt.",
    502: "The database cannot be reached.",
    503: "The vault cannot do this now; nothing was changed.",
    504: "The request took too long.",
}


class Failure(NamedTuple):
    """An answer to an error, and the name of its example. `is_specific` says that only some operations give it."""

    name: str
    answer: Answer
    is_specific: bool = False


def is_specific(kind: type[VaultError]) -> bool:
    """Return whether only some operations can raise errors of a class."""
    return not issubclass(kind, GENERAL)


def every_error() -> list[type[VaultError]]:
    """Return every class of the error tree, in a fixed order, the wider ones first."""
    return sorted(_below(VaultError), key=lambda kind: (len(kind.__mro__), kind.__name__))


def _below(kind: type[VaultError]) -> Iterator[type[VaultError]]:
    for child in kind.__subclasses__():
        if not child.__name__.startswith("_"):
            yield child
        yield from _below(child)


def example(kind: type[VaultError], **facts: object) -> VaultError:
    """Return an error of a class, made with plain facts where none are given."""
    parameters = inspect.signature(kind.__init__).parameters if "__init__" in _own_names(kind) else {}
    known = {**_FACTS, **facts}
    names = [name for name, one in parameters.items() if name != "self" and one.default is one.empty]
    made: VaultError = kind(
        *(_fact(known, name) for name in names if parameters[name].kind is not inspect.Parameter.KEYWORD_ONLY),
        **{name: _fact(known, name) for name in names if parameters[name].kind is inspect.Parameter.KEYWORD_ONLY},
    )
    return made


def _own_names(kind: type[VaultError]) -> set[str]:
    return {name for one in kind.__mro__ if issubclass(one, VaultError) for name in vars(one)}


def _fact(known: Mapping[str, object], name: str) -> object:
    return known.get(name, 1)


def general(door: Door, compatibility: Compatibility) -> list[Failure]:
    """Return what every call may be answered, whatever it asks for."""
    kinds = [kind for kind in every_error() if not is_specific(kind)]
    found = [Failure("Unexpected", door.unexpected(compatibility))]
    found += [failure(door, example(kind), compatibility) for kind in kinds]
    return found + [_of_connection(answer) for answer in _CONNECTION]


def failure(door: Door, error: VaultError, compatibility: Compatibility) -> Failure:
    """Return the answer of a door to an error."""
    return Failure(name_of(error), door.answer_to(error, compatibility), is_specific(type(error)))


def name_of(error: VaultError) -> str:
    """Return the name of an example: the class of the error, and the field or kind it is about."""
    of = getattr(error, "field", "") or getattr(error, "what", "")
    return type(error).__name__ + (f"_{of}" if of else "")


def unknown_path() -> Failure:
    """Return the answer to a path that a variable makes unknown: one with an escape in it, for example."""
    return Failure("NoRoute", no_route())


def _of_connection(raw: bytes) -> Failure:
    head, _, body = raw.partition(b"\r\n\r\n")
    status, _, lines = head.partition(b"\r\n")
    pairs = [line.partition(b": ") for line in lines.split(b"\r\n")]
    kept = tuple((name, value) for name, _, value in pairs if name == b"retry-after")
    return Failure("Connection" + status.split()[1].decode("ascii"), Answer(int(status.split()[1]), body, kept))


def by_status(failures: Iterable[Failure]) -> dict[int, list[Failure]]:
    """Return the failures of each status, statuses ascending, each answer once."""
    found: dict[int, list[Failure]] = {}
    for one in failures:
        same = found.setdefault(one.answer.status, [])
        if not any(other.answer.body == one.answer.body for other in same):
            same.append(one)
    return dict(sorted(found.items()))


def response(status: int, failures: list[Failure]) -> Schema:
    """Return the description of the answers with one status."""
    content: dict[str, list[Failure]] = {}
    for one in failures:
        content.setdefault(one.answer.content_type[1].decode("ascii"), []).append(one)
    described: Schema = {
        "description": _MEANINGS.get(status, HTTPStatus(status).phrase + "."),
        "content": {media: _content(some) for media, some in sorted(content.items())},
    }
    names = sorted({name.decode("ascii") for one in failures for name, _ in one.answer.headers} & set(HEADERS))
    if names:
        described["headers"] = {HEADERS[name]: {"$ref": f"#/components/headers/{HEADERS[name]}"} for name in names}
    return described


HEADERS: Mapping[str, str] = {"etag": "ETag", "retry-after": "Retry-After", "www-authenticate": "WWW-Authenticate"}
"""Headers that are described, by their name as it is sent."""


def _content(failures: list[Failure]) -> Schema:
    bodies = {one.name: json.loads(one.answer.body) for one in failures}
    names = sorted({_schema_name(body) for body in bodies.values()})
    references = [{"$ref": REFERENCE + name} for name in names]
    examples = {name: {"summary": _summary(body), "value": body} for name, body in bodies.items()}
    return {"schema": references[0] if len(references) == 1 else {"anyOf": references}, "examples": examples}


def _schema_name(body: Schema) -> str:
    for key, name in (("exception", "Failure"), ("type", "ProblemDocument"), ("error", "TokenError")):
        if key in body:
            return name
    return "Gateway"


def _summary(body: Schema) -> str:
    text = body.get("exception", body).get("message") or body.get("title", "")
    return str(text)
