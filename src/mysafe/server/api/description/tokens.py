# SPDX-License-Identifier: Apache-2.0
"""Describe the token endpoint (contract 2.2 to 2.4; RFC 6749)."""

import json

from mysafe.domain import errors
from mysafe.domain.access_keys import TOKEN_LIFETIME_SECONDS
from mysafe.domain.secret_text import SecretText
from mysafe.protocol import oauth2
from mysafe.protocol.body import FORM, JSON
from mysafe.server.api.call import Answer, Operation
from mysafe.server.api.description import failures, parts
from mysafe.server.api.description.failures import Failure
from mysafe.server.api.description.parts import Maker
from mysafe.server.api.description.schemas import REFERENCE, Schema
from mysafe.server.api.endpoint import DOCUMENTED
from mysafe.server.api.errors import retry_after
from mysafe.server.api.oauth2 import CHALLENGE

_BASIC_ONLY = (
    "Only with HTTP Basic: the client id as the user, the client secret as the password. A secret in the query is"
    " refused, even when it is right."
)
_REQUEST: Schema = {
    "grant_type": oauth2.GRANT,
    "client_id": "9b2f0c6d1e5a47838c0d2b7e64f1a9c3d5e80712f",
    "client_secret": "3f9a1c7e5b2d4860a8c6e4f2b0d19375",
}


def describe(operation: Operation, maker: Maker) -> Schema:
    """Return the description of one method of the token endpoint."""
    is_get = operation.method == "GET"
    found: Schema = {
        "operationId": "get_token" if is_get else "issue_token",
        "summary": "Get an access token" + (" with GET" if is_get else ""),
        "description": _BASIC_ONLY if is_get else "Client id and secret stand in the body, or in HTTP Basic.",
        "tags": ["Tokens"],
        "security": [{"basic": []}] if is_get else [{"basic": []}, {}],
        "parameters": parts.query_parameters(("grant_type",)) if is_get else [],
    }
    if not is_get:
        schema = {"$ref": REFERENCE + "TokenRequest"}
        content = {JSON: {"schema": schema, "example": _REQUEST}, FORM: {"schema": schema, "example": _REQUEST}}
        found["requestBody"] = {"required": True, "content": content}
    answers = {"200": _issued(maker)} | parts.failed(maker, operation, "", _failures(maker))
    found["responses"] = dict(sorted(answers.items()))
    return found


def _issued(maker: Maker) -> Schema:
    body = json.loads(oauth2.token_answer(SecretText("mst_bm90IGEgcmVhbCB0b2tlbg"), TOKEN_LIFETIME_SECONDS))
    content = {JSON: {"schema": maker.schemas.of(oauth2.TokenAnswer), "example": body}}
    return {"description": "A new token, good for an hour.", "headers": dict(parts.REQUEST_ID), "content": content}


def _failures(maker: Maker) -> list[Failure]:
    """Return the refusals of the endpoint, and what every call may be answered."""
    exposed = errors.BadTokenRequest("client_secret", is_exposed=True)
    unknown = errors.NotAuthenticated(was_sent=True)
    found = (exposed, errors.BadTokenRequest("grant_type"), errors.UnsupportedGrant(), unknown, errors.TooMany(30))
    refused = [Failure(failures.name_of(one), _refusal(one), is_specific=True) for one in found]
    names = {one.name for one in refused} | {"CallForbidden"}  # the limits of a key are told as wrong credentials here
    return refused + [one for one in failures.general(DOCUMENTED, maker.compatibility) if one.name not in names]


def _refusal(error: errors.InvalidInput | errors.NotAuthenticated | errors.TooMany) -> Answer:
    status, body = oauth2.token_error(error)
    if isinstance(error, errors.TooMany):
        return Answer(status, body, retry_after(error))
    return Answer(status, body, (CHALLENGE,) if status == 401 else ())
