# SPDX-License-Identifier: Apache-2.0
"""From an error to a problem document: the only table of the management API (RFC 9457; R-API-10).

    {"type": "about:blank", "title": …, "status": …, "code": …, "field": …}

`code` is one word for programs and never changes; `field` stands only where one field is at fault. No document holds
a value that was sent, nor a reason of the policy.
"""

import json
from typing import NamedTuple, NotRequired, TypedDict, cast

from mysafe.domain import errors
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.call import Answer, Door
from mysafe.server.api.errors import retry_after

CONTENT_TYPE = (b"content-type", b"application/problem+json")
RETRY_AFTER = (b"retry-after", b"1")


class _Facts(TypedDict, total=False):
    field: str
    limit: int


class ProblemDocument(TypedDict):
    """Why a call was refused (RFC 9457). `code` is for programs and never changes."""

    type: str
    title: str
    status: int
    code: str
    field: NotRequired[str]
    limit: NotRequired[int]


class _Problem(NamedTuple):
    status: int
    code: str
    title: str


TABLE: dict[type[errors.VaultError], _Problem] = {
    errors.VaultError: _Problem(400, "refused", "The request was refused."),
    errors.InvalidInput: _Problem(400, "invalid", "The request cannot be used."),
    errors.MissingField: _Problem(400, "missing_field", "A required field is missing or empty."),
    errors.InvalidField: _Problem(400, "invalid_field", "A field has a type or a form that cannot be used."),
    errors.TooLong: _Problem(400, "too_long", "A field is too long."),
    errors.TooShort: _Problem(400, "too_short", "A field is too short."),
    errors.BadSeed: _Problem(400, "bad_seed", "A TOTP seed is not base32."),
    errors.NamedTwice: _Problem(400, "named_twice", "The same record is named twice."),
    errors.BadBody: _Problem(400, "bad_body", "The body is not the JSON object it should be."),
    errors.BadIdentifier: _Problem(400, "bad_identifier", "An identifier is a positive decimal number."),
    errors.NotFound: _Problem(404, "not_found", "There is no such record, or it is not visible to you."),
    errors.UnknownMember: _Problem(400, "unknown_member", "A name is not that of an active user, or of a member."),
    errors.LastAdministrator: _Problem(409, "last_administrator", "This is the last active administrator."),
    errors.WrongPassword: _Problem(403, "wrong_password", "The password is wrong."),
    errors.AccessDenied: _Problem(403, "access_denied", "You may not do this."),
    errors.CallForbidden: _Problem(403, "call_forbidden", "The access key may not be used from here."),
    errors.Inactive: _Problem(409, "inactive", "The record is deactivated or revoked."),
    errors.WrongState: _Problem(409, "wrong_state", "The record is not in the state that this needs."),
    errors.Conflict: _Problem(409, "conflict", "The name is taken."),
    errors.LimitReached: _Problem(409, "limit_reached", "There are as many of these records as there may be."),
    errors.DuplicateIdentifier: _Problem(409, "duplicate_identifier", "The identifier code is taken."),
    errors.VersionMismatch: _Problem(412, "version_mismatch", "The record was changed meanwhile."),
    errors.NotEncryptable: _Problem(422, "not_encryptable", "The value is too long for the access key to encrypt."),
    errors.NotAuthenticated: _Problem(401, "not_authenticated", "The access token is missing, wrong or expired."),
    errors.TooLarge: _Problem(413, "too_large", "The body is too large."),
    errors.SlowBody: _Problem(408, "slow_body", "The body came too slowly."),
    errors.TooMany: _Problem(429, "too_many", "There were too many requests."),
    errors.DatabaseUnreachable: _Problem(502, "database_unreachable", "The database cannot be reached."),
    errors.DeadlinePassed: _Problem(504, "deadline_passed", "The request took too long."),
    errors.Unavailable: _Problem(503, "unavailable", "The vault cannot do this now; try again."),
}
"""What each class is answered with. Classes without a line take their parent's."""

_UNEXPECTED = _Problem(500, "unexpected", "Unexpected error.")


def answer_to(error: errors.VaultError, compatibility: Compatibility) -> Answer:
    """Return the problem document of an expected error; the nearest class in the tree decides."""
    problem = _problem(error, compatibility)
    facts = {name: getattr(error, name) for name in ("field", "limit") if hasattr(error, name)}
    return _answer(problem, facts, _headers(error))


def code_of(error: BaseException, compatibility: Compatibility) -> str:
    """Return the word for programs of an error that is one of several results; a fault of the server has one too."""
    return _problem(error, compatibility).code if isinstance(error, errors.VaultError) else _UNEXPECTED.code


def _problem(error: errors.VaultError, compatibility: Compatibility) -> _Problem:
    if isinstance(error, errors.AccessDenied) and error.what and compatibility.is_existence_hidden:
        return TABLE[errors.NotFound]
    return next(TABLE[kind] for kind in type(error).__mro__ if kind in TABLE)


def unexpected(compatibility: Compatibility) -> Answer:
    """Return the problem document of a fault of the server: never any internals."""
    return _answer(_UNEXPECTED, {})


def _headers(error: errors.VaultError) -> tuple[tuple[bytes, bytes], ...]:
    match error:
        case errors.NotAuthenticated(was_sent=was_sent):
            return ((b"www-authenticate", b'Bearer error="invalid_token"' if was_sent else b"Bearer"),)
        case errors.TooMany():
            return retry_after(error)
        case errors.SlowBody():
            return ((b"connection", b"close"),)
        case errors.DatabaseUnreachable() | errors.DeadlinePassed():
            return ()
        case errors.Unavailable():
            return (RETRY_AFTER,)
        case _:
            return ()


def _answer(problem: _Problem, facts: dict[str, object], headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    document: ProblemDocument = {
        "type": "about:blank",
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        **cast("_Facts", facts),
    }
    body = json.dumps(document, separators=(",", ":")).encode("ascii")
    return Answer(problem.status, body, headers, content_type=CONTENT_TYPE)


PROBLEMS = Door(answer_to, unexpected)
"""How the management API words its errors."""
