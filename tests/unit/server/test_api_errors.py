# SPDX-License-Identifier: Apache-2.0
"""The API's table of errors: complete, and each answer as the contract words it (1.4, 1.5, 7)."""

import json

import pytest

from mysafe.domain import errors
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.errors import TABLE, answer_to, no_route, unexpected
from tests.support.golden import read

PLAIN = Compatibility()

EXAMPLES: list[tuple[errors.VaultError, int, str]] = [
    (errors.MissingField("name"), 400, "1001: Parameter 'name' was not informed!"),
    (errors.InvalidField("url"), 400, "1001: Parameter 'url' is invalid!"),
    (errors.TooLong("url", 2048), 400, "1001: Parameter url limited to 2048 characters"),
    (errors.BadSeed("secret_key"), 400, "1001: Parameter 'secret_key' must be encoded in base32"),
    (errors.BadBody(), 400, "1001: Request body is not valid JSON"),
    (errors.BadIdentifier(), 400, "1010: Unexpected identifier type"),
    (errors.DuplicateIdentifier(), 400, "1001: Identifier already found in another API key of this user"),
    (errors.VersionMismatch(), 412, "Precondition failed."),
    (errors.NotFound("note"), 400, "1005: Note not found"),
    (errors.Inactive("api_secret"), 400, "1009: Inactive Api secret"),
    (errors.NotFound("password"), 400, "1005: Password not found"),
    (errors.AccessDenied("has none, needs view", "password"), 400, "1006: User does not have access"),
    (errors.Inactive("password"), 400, "1009: Inactive password"),
    (errors.CallForbidden("address"), 403, "You are not authorized to access this resource."),
    (errors.TooMany(7), 429, "Too many requests."),
    (errors.TooLarge(10), 413, "Request body is too large."),
    (errors.QuotaReached(), 413, "File quota is used up."),
    (errors.StoreFull(), 507, "Insufficient storage."),
    (errors.BadMultipart(), 400, "1001: Request body is not valid multipart/form-data"),
    (errors.NotFound("file"), 400, "1005: File not found"),
    (errors.Inactive("file"), 400, "1009: Inactive file"),
    (errors.SlowBody(), 408, "Request timeout."),
    (errors.Sealed(), 503, "Service unavailable."),
    (errors.Busy(), 503, "Service unavailable."),
    (errors.NoSpace(), 503, "Service unavailable."),
    (errors.AuditUnwritable(), 503, "Service unavailable."),
    (errors.Unavailable(), 503, "Service unavailable."),
]
GATEWAY: list[tuple[errors.VaultError, int, str]] = [
    (errors.NotAuthenticated(was_sent=True), 401, "No route matched with those values."),
    (errors.NotAuthenticated(was_sent=False), 401, "No route matched with those values."),
    (errors.DatabaseUnreachable(), 502, "An invalid response was received from the upstream server"),
    (errors.DeadlinePassed(), 504, "The upstream server is timing out"),
]
ELSEWHERE = {
    errors.NotEncryptable,  # its text and its exception differ: see below
    errors.WrongPassword,  # only the management API asks for one
    errors.TooShort,  # passwords of people are set elsewhere
    errors.BadTokenRequest,  # the token endpoint words it (protocol.oauth2)
    errors.UnsupportedGrant,  # the same
    errors.WrongState,  # only the management API asks for a state
    errors.Conflict,  # no route of this door makes anything with a name of its own
    errors.NamedTwice,  # only the management API takes many at once
    errors.LimitReached,  # only access keys are counted
    errors.UnknownMember,  # the management API alone has members, administrators and passwords
    errors.LastAdministrator,
    errors.VaultError,  # these two are only parents
    errors.InvalidInput,
}


def classes(parent: type[errors.VaultError] = errors.VaultError) -> set[type[errors.VaultError]]:
    found = {parent}
    for child in parent.__subclasses__():
        found |= classes(child)
    return {one for one in found if not one.__name__.startswith("_") and one.__module__ == errors.__name__}


def test_every_class_of_the_tree_has_an_answer_of_this_door_or_a_reason_to_have_none() -> None:
    answered = {type(error) for error, _, _ in EXAMPLES + GATEWAY}
    assert len(classes()) > 20
    assert classes() - answered == ELSEWHERE
    assert set(TABLE) <= answered | {errors.NotEncryptable}


def test_what_cannot_be_encrypted_has_the_documented_answer() -> None:
    answer = answer_to(errors.NotEncryptable(), PLAIN)
    assert answer.status == 500
    assert json.loads(answer.body) == read("note.get.error.encryption.json")


@pytest.mark.parametrize(("error", "status", "text"), EXAMPLES)
def test_an_error_is_answered_in_the_envelope(error: errors.VaultError, status: int, text: str) -> None:
    answer = answer_to(error, PLAIN)
    body = json.loads(answer.body)
    assert (answer.status, body["code"], body["response"]["status"]) == (status, status, status)
    assert body["response"]["message"] == body["response"]["Message"] == body["exception"]["message"] == text
    assert body["exception"]["code"] == (int(text[:4]) if text[:4].isdigit() else status)


@pytest.mark.parametrize(("error", "status", "text"), GATEWAY)
def test_what_the_gateway_would_say_has_one_key(error: errors.VaultError, status: int, text: str) -> None:
    answer = answer_to(error, PLAIN)
    assert (answer.status, json.loads(answer.body)) == (status, {"message": text})


def test_a_challenge_says_whether_a_token_was_sent() -> None:
    sent, absent = (dict(answer_to(errors.NotAuthenticated(was_sent=one), PLAIN).headers) for one in (True, False))
    assert sent[b"www-authenticate"] == b'Bearer error="invalid_token"'
    assert absent[b"www-authenticate"] == b"Bearer"


def test_what_may_pass_says_when_to_try_again() -> None:
    assert dict(answer_to(errors.Busy(), PLAIN).headers)[b"retry-after"] == b"1"
    assert dict(answer_to(errors.TooMany(7), PLAIN).headers)[b"retry-after"] == b"7"


def test_existence_is_hidden_on_request_and_only_then() -> None:
    error = errors.AccessDenied("has none, needs view", "password")
    hidden = answer_to(error, Compatibility(is_existence_hidden=True))
    assert hidden == answer_to(errors.NotFound("password"), PLAIN)
    assert hidden != answer_to(error, PLAIN)


@pytest.mark.parametrize("error", [errors.NotFound("user"), errors.Conflict("user"), errors.UnsupportedGrant()])
def test_what_no_route_should_raise_is_an_unexpected_fault(error: errors.VaultError) -> None:
    assert answer_to(error, PLAIN) == unexpected(PLAIN)


def test_no_answer_repeats_the_reason_of_a_refusal() -> None:
    for error in (errors.AccessDenied("has view, needs edit", "password"), errors.CallForbidden("address")):
        assert str(error).encode() not in answer_to(error, PLAIN).body


def test_a_missing_route_is_404() -> None:
    assert (no_route().status, json.loads(no_route().body)) == (404, {"message": "No route matched with those values."})
