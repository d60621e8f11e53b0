# SPDX-License-Identifier: Apache-2.0
"""The token endpoint (contract 2.2 to 2.4)."""

from mysafe.domain.access_keys import TOKEN_LIFETIME_SECONDS
from mysafe.domain.errors import InvalidInput, NotAuthenticated, TooMany, VaultError
from mysafe.domain.secret_text import SecretText
from mysafe.protocol import oauth2
from mysafe.server.api.call import Answer, Call, Step
from mysafe.server.api.errors import retry_after
from mysafe.services.authentication import client_credentials, issue_token

NO_CACHE = ((b"pragma", b"no-cache"),)
"""R-API-11: token answers carry `Pragma` besides `Cache-Control`."""

CHALLENGE = (b"www-authenticate", b'Basic realm="mysafe"')


_IN_QUERY = ("grant_type", "client_id", "client_secret", "password", "access_token", "refresh_token")


def token(call: Call) -> Step:
    """POST and GET /api/oauth2/token."""
    query = call.query(*_IN_QUERY)
    oauth2.check_query(query)
    fields = call.fields() if call.method == "POST" else {}
    basic = oauth2.parse_basic(_authorization(call))
    credentials = oauth2.parse_token_request(call.method, query, fields, basic)
    identify = client_credentials(credentials, call.caller)
    return Step(issue_token, _issued, identify=identify, claimant=credentials.client_id)


def refuse(call: Call, error: VaultError) -> Answer | None:
    """Return the OAuth 2.0 error answer, or None for what is no fault of the client.

    Where Basic was tried, a 401 says so (RFC 6749, section 5.2).
    """
    if not isinstance(error, InvalidInput | NotAuthenticated | TooMany):
        return None
    status, body = oauth2.token_error(error)
    if isinstance(error, TooMany):
        return Answer(status, body, (*NO_CACHE, *retry_after(error)))
    tried_basic = oauth2.parse_basic(_authorization(call)) is not None
    return Answer(status, body, (*NO_CACHE, CHALLENGE) if status == 401 and tried_basic else NO_CACHE)


def _issued(token: SecretText) -> Answer:
    return Answer(200, oauth2.token_answer(token, TOKEN_LIFETIME_SECONDS), NO_CACHE)


def _authorization(call: Call) -> str | None:
    header = call.headers.get(b"authorization")
    return header.decode("latin-1") if header is not None else None
