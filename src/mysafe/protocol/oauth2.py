# SPDX-License-Identifier: Apache-2.0
"""The token endpoint on the wire: client credentials only (contract 2.2 to 2.4; RFC 6749). Checks no secret."""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import NotRequired, TypedDict
from urllib.parse import unquote_to_bytes

import msgspec

from mysafe.domain.access_keys import ClientCredentials
from mysafe.domain.errors import (
    BadTokenRequest,
    InvalidField,
    InvalidInput,
    NotAuthenticated,
    TooMany,
    UnsupportedGrant,
)
from mysafe.domain.secret_text import SecretText

GRANT = "client_credentials"
"""The only grant (contract 2.3)."""

NEVER_IN_QUERY = ("client_secret", "password", "access_token", "refresh_token")
"""What a query string must not carry, because logs keep it (contract 2.2; R-TOK-02)."""

CLIENT_FAILED = "Client authentication failed"
INVALID_REQUEST = (
    "The request is missing a required parameter, includes an invalid parameter value, "
    "includes a parameter more than once, or is otherwise malformed."
)
UNSUPPORTED_GRANT = "The authorization grant type is not supported by the authorization server."
UNSUPPORTED_HINT = "Check that all required parameters have been provided"
"""The texts of contract 2.4; the long ones are fixed by the golden files."""

THROTTLED = "Too many requests."
"""The text of contract 7 for 429, in the form of this endpoint (ours)."""

_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_encode = msgspec.json.Encoder().encode


class TokenAnswer(TypedDict):
    """A new access token."""

    token_type: str
    expires_in: int
    access_token: str


class TokenError(TypedDict):
    """Why there is no token (RFC 6749, section 5.2)."""

    error: str
    error_description: str
    hint: NotRequired[str]
    message: str


def parse_basic(header: str | None) -> ClientCredentials | None:
    """Return the credentials of an `Authorization: Basic` header, None without such a header.

    One that cannot be read becomes empty credentials: it is a failed log-in, not a request without any.

    Source: RFC 7617, section 2; RFC 6749, section 2.3.1 (both parts are form-encoded before they are joined).
    """
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        joined = b64decode(encoded.strip(" "), validate=True).decode("utf-8")
        client_id, colon, secret = joined.partition(":")
        if colon:
            return ClientCredentials(_form_decoded(client_id), SecretText(_form_decoded(secret)))
    except ValueError:  # not base64, not UTF-8, or a broken escape
        pass
    return ClientCredentials("", SecretText(""))


def parse_token_request(
    method: str, query: Mapping[str, str], fields: Mapping[str, object], basic: ClientCredentials | None
) -> ClientCredentials:
    """Return the credentials of a token request. `fields` are those of the body; GET has none.

    Checks in this order: secret in the query, grant missing, grant other, credentials missing (contract 2.3).
    `scope` and `tenant` are ignored.

    Raises:
        BadTokenRequest: a parameter is missing, misplaced, of a wrong type, or given twice.
        UnsupportedGrant: the grant is not GRANT.

    Source: contract 2.2 and 2.3.
    """
    check_query(query)
    if method == "GET":
        return _by_get(query, basic)
    _check_grant(_parameter(fields, "grant_type"))
    client_id = _parameter(fields, "client_id")
    secret = _parameter(fields, "client_secret")
    if basic is not None:
        return _only_basic(basic, client_id, secret)
    if client_id is None:
        raise BadTokenRequest("client_id")
    if secret is None:
        raise BadTokenRequest("client_secret")
    return ClientCredentials(client_id, SecretText(secret))


def check_query(query: Mapping[str, str]) -> None:
    """Check that a query string carries no secret; this comes before the body is looked at.

    Raises:
        BadTokenRequest: it does, right or wrong (contract 2.2; R-TOK-02).
    """
    for name in NEVER_IN_QUERY:
        if name in query:
            raise BadTokenRequest(name, is_exposed=True)


def token_answer(token: SecretText, lifetime_seconds: int) -> bytes:
    """Return the body of a token answer (contract 2.4)."""
    body: TokenAnswer = {
        "token_type": "Bearer",
        "expires_in": lifetime_seconds,
        "access_token": token.reveal(),
    }
    return _encode(body)


def token_error(error: InvalidInput | NotAuthenticated | TooMany) -> tuple[int, bytes]:
    """Return status and body of an error, keys in the order of contract 2.4.

    A body that cannot be read is answered like one without a grant, which is the first thing looked for in it.
    Throttling has no word in RFC 6749, section 5.2; that of section 4.1.2.1 is borrowed.
    """
    if isinstance(error, TooMany):
        return 429, _error("temporarily_unavailable", THROTTLED)
    if isinstance(error, NotAuthenticated):
        return 401, _error("invalid_client", CLIENT_FAILED)
    if isinstance(error, UnsupportedGrant):
        return 400, _error("unsupported_grant_type", UNSUPPORTED_GRANT, UNSUPPORTED_HINT)
    name = error.field if isinstance(error, BadTokenRequest | InvalidField) else "grant_type"
    return 400, _error("invalid_request", INVALID_REQUEST, f"Check the `{name}` parameter")


def _error(error: str, text: str, hint: str | None = None) -> bytes:
    body: TokenError = (
        {"error": error, "error_description": text, "message": text}
        if hint is None
        else {"error": error, "error_description": text, "hint": hint, "message": text}
    )
    return _encode(body)


def _by_get(query: Mapping[str, str], basic: ClientCredentials | None) -> ClientCredentials:
    """GET needs Basic, and then its grant may be left out (contract 2.2)."""
    grant = query.get("grant_type") or None
    if grant is not None or basic is None:
        _check_grant(grant)
    if basic is None:
        raise BadTokenRequest("client_id")
    return basic


def _only_basic(basic: ClientCredentials, client_id: str | None, secret: str | None) -> ClientCredentials:
    """Return the Basic credentials, unless the body tries another way at once (RFC 6749, section 2.3)."""
    if secret is not None:
        raise BadTokenRequest("client_secret")
    if client_id is not None and client_id != basic.client_id:
        raise BadTokenRequest("client_id")
    return basic


def _check_grant(grant: str | None) -> None:
    if grant is None:
        raise BadTokenRequest("grant_type")
    if grant != GRANT:
        raise UnsupportedGrant


def _parameter(fields: Mapping[str, object], name: str) -> str | None:
    """Return a parameter of the body. Without a value it counts as omitted (RFC 6749, section 3.2)."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise BadTokenRequest(name)
    return str(value)


def _form_decoded(text: str) -> str:
    """Undo form encoding. Raises ValueError for a broken escape or what is not UTF-8."""
    if _BROKEN_PERCENT.search(text):
        raise ValueError
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
