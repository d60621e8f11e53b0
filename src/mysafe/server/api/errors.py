# SPDX-License-Identifier: Apache-2.0
"""From an error to the documented answer: the only table of the API (contract 1.4, 1.5, 7)."""

from collections.abc import Callable

from mysafe.domain import errors
from mysafe.domain.ids import Kind
from mysafe.protocol import codes, envelope
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.call import Answer

RETRY_AFTER = ((b"retry-after", b"1"),)
CLOSE = ((b"connection", b"close"),)

_Encode = Callable[[errors.VaultError, Compatibility], Answer]


def answer_to(error: errors.VaultError, compatibility: Compatibility) -> Answer:
    """Return the answer to an expected error; the nearest class in the tree decides."""
    for kind in type(error).__mro__:
        encode = TABLE.get(kind)
        if encode is not None:
            return encode(error, compatibility)
    return unexpected(compatibility)


def unexpected(compatibility: Compatibility) -> Answer:
    """Return the answer to a fault of the server: never any internals."""
    return _envelope(500, codes.UNEXPECTED, 500, compatibility)


def no_route() -> Answer:
    """Return the answer to an unknown path or a wrong method."""
    return _gateway(404, codes.NO_ROUTE)


def _envelope(
    status: int, text: str, code: int, compatibility: Compatibility, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> Answer:
    return Answer(status, envelope.failure(status, text, code, mensagem=compatibility.is_mensagem_sent), headers)


def _gateway(status: int, text: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    return Answer(status, envelope.gateway(text), headers)


def _numbered(text: str, compatibility: Compatibility) -> Answer:
    """Answer 400; the documented number stands before the colon of the text."""
    return _envelope(400, text, int(text.partition(":")[0]), compatibility)


def _field(word: Callable[[str], str]) -> _Encode:
    def encode(error: errors.VaultError, compatibility: Compatibility) -> Answer:
        return _numbered(word(getattr(error, "field", "")), compatibility)

    return encode


def _text(text: str) -> _Encode:
    return lambda error, compatibility: _numbered(text, compatibility)


def _too_long(error: errors.VaultError, compatibility: Compatibility) -> Answer:
    if not isinstance(error, errors.TooLong):
        return unexpected(compatibility)
    return _numbered(codes.too_long(error.field, error.limit), compatibility)


def _of_kind(texts: dict[Kind, str]) -> _Encode:
    def encode(error: errors.VaultError, compatibility: Compatibility) -> Answer:
        what = getattr(error, "what", "")
        return _numbered(texts[Kind(what)], compatibility) if what in texts else unexpected(compatibility)

    return encode


def _denied(error: errors.VaultError, compatibility: Compatibility) -> Answer:
    what = getattr(error, "what", "")
    is_hidden = compatibility.is_existence_hidden and what in codes.NOT_FOUND
    return _numbered(codes.NOT_FOUND[Kind(what)] if is_hidden else codes.NO_ACCESS, compatibility)


def _unauthenticated(error: errors.VaultError, compatibility: Compatibility) -> Answer:
    was_sent = isinstance(error, errors.NotAuthenticated) and error.was_sent
    challenge = b'Bearer error="invalid_token"' if was_sent else b"Bearer"
    return _gateway(compatibility.unauthenticated_status, codes.NO_ROUTE, ((b"www-authenticate", challenge),))


def _too_many(error: errors.VaultError, compatibility: Compatibility) -> Answer:
    if not isinstance(error, errors.TooMany):
        return unexpected(compatibility)
    return _envelope(429, codes.TOO_MANY_REQUESTS, 429, compatibility, retry_after(error))


def retry_after(error: errors.TooMany) -> tuple[tuple[bytes, bytes], ...]:
    """Return the header that says when to try again (R-API-14; RFC 9110, section 10.2.3)."""
    return ((b"retry-after", b"%d" % error.retry_after_seconds),)


def _not_encryptable(error: errors.VaultError, compatibility: Compatibility) -> Answer:
    body = envelope.failure(
        500, codes.UNEXPECTED, 400, exception=codes.ENCRYPTION_FAILED, mensagem=compatibility.is_mensagem_sent
    )
    return Answer(500, body)


def _plain(status: int, text: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> _Encode:
    return lambda error, compatibility: _envelope(status, text, status, compatibility, headers)


def _upstream(status: int, text: str) -> _Encode:
    return lambda error, compatibility: _gateway(status, text)


TABLE: dict[type, _Encode] = {
    errors.MissingField: _field(codes.missing),
    errors.InvalidField: _field(codes.invalid),
    errors.TooLong: _too_long,
    errors.BadSeed: _field(codes.bad_seed),
    errors.BadBody: _text(codes.BAD_BODY),
    errors.BadMultipart: _text(codes.BAD_MULTIPART),
    errors.BadIdentifier: _text(codes.BAD_IDENTIFIER),
    errors.DuplicateIdentifier: _text(codes.IDENTIFIER_CODE_TAKEN),
    errors.NotFound: _of_kind(codes.NOT_FOUND),
    errors.AccessDenied: _denied,
    errors.Inactive: _of_kind(codes.INACTIVE),
    errors.NotEncryptable: _not_encryptable,
    errors.VersionMismatch: _plain(412, codes.VERSION_MISMATCH),
    errors.NotAuthenticated: _unauthenticated,
    errors.CallForbidden: _plain(403, codes.NOT_AUTHORIZED),
    errors.TooMany: _too_many,
    errors.TooLarge: _plain(413, codes.BODY_TOO_LARGE),
    errors.QuotaReached: _plain(413, codes.QUOTA_REACHED),
    errors.SlowBody: _plain(408, codes.SLOW_BODY, CLOSE),
    errors.StoreFull: _plain(507, codes.STORE_FULL, RETRY_AFTER),
    errors.DatabaseUnreachable: _upstream(502, codes.UPSTREAM_INVALID),
    errors.DeadlinePassed: _upstream(504, codes.UPSTREAM_TIMEOUT),
    errors.Unavailable: _plain(503, codes.SERVICE_UNAVAILABLE, RETRY_AFTER),
}
"""What each class is answered with. Classes without a line take their parent's; a test names the ones that
no route of this door can raise."""
