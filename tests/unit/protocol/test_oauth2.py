# SPDX-License-Identifier: Apache-2.0
"""The token endpoint on the wire (contract 2.2 to 2.4)."""

import json
from base64 import b64encode
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.domain.access_keys import ClientCredentials
from mysafe.domain.errors import (
    BadBody,
    BadTokenRequest,
    InvalidField,
    InvalidInput,
    NotAuthenticated,
    UnsupportedGrant,
)
from mysafe.domain.secret_text import SecretText
from mysafe.protocol.json_body import NumberText
from mysafe.protocol.oauth2 import parse_basic, parse_token_request, token_answer, token_error
from tests.support.golden import parse, read

GRANT: dict[str, object] = {"grant_type": "client_credentials"}
BODY: dict[str, object] = {**GRANT, "client_id": "i", "client_secret": "s"}
BASIC = ClientCredentials("bi", SecretText("bs"))


def pair(credentials: ClientCredentials | None) -> tuple[str, str] | None:
    return None if credentials is None else (credentials.client_id, credentials.client_secret.reveal())


def header(text: str | bytes) -> str:
    raw = text.encode() if isinstance(text, str) else text
    return "Basic " + b64encode(raw).decode("ascii")


# HTTP Basic


@pytest.mark.parametrize("sent", [None, "", "Bearer x", "Basically x", "Digest username=x", "NTLM"])
def test_another_header_is_no_basic(sent: str | None) -> None:
    assert parse_basic(sent) is None


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (header("id:secret"), ("id", "secret")),
        (header("id:secret").replace("Basic", "bASIC"), ("id", "secret")),
        (header("id:secret").replace("Basic ", "Basic   ") + " ", ("id", "secret")),
        (header("id:a:b"), ("id", "a:b")),
        (header("id:"), ("id", "")),
        (header(":secret"), ("", "secret")),
        (header("a%3Ab:c+d%2B%C3%A9"), ("a:b", "c d+é")),
        (header("é:é"), ("é", "é")),
    ],
)
def test_both_parts_are_form_decoded(sent: str, expected: tuple[str, str]) -> None:
    assert pair(parse_basic(sent)) == expected


@pytest.mark.parametrize(
    "sent",
    ["Basic", "Basic ", "Basic !!!!", "Basic aWQ6c2Vjcm V0", "Basic aWQ6c2Vjcg", "Basic é",
     header("no colon"), header(b"\xff:\xff"), header("id:50%off"), header("id:%"), header("id:%FF"), header("%4:s")],
)  # fmt: skip
def test_basic_that_cannot_be_read_is_a_failed_log_in(sent: str) -> None:
    assert pair(parse_basic(sent)) == ("", "")


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_credentials_come_back_from_basic_as_they_were(client_id: str, secret: str) -> None:
    assert pair(parse_basic(header(f"{quote_plus(client_id)}:{quote_plus(secret)}"))) == (client_id, secret)


@given(st.text(max_size=40))
def test_any_header_is_credentials_or_none(text: str) -> None:
    assert parse_basic(f"Basic {text}") is not None
    parse_basic(text)


# The request


def test_the_body_gives_the_credentials_and_the_rest_is_ignored() -> None:
    fields = {**BODY, "scope": "x", "tenant": ["y"], "colour": None}
    assert pair(parse_token_request("POST", {}, fields, None)) == ("i", "s")


def test_basic_gives_the_credentials_with_the_grant_in_the_body() -> None:
    assert parse_token_request("POST", {}, GRANT, BASIC) is BASIC


@pytest.mark.parametrize("extra", [{"client_id": "bi"}, {"client_id": "", "client_secret": ""}, {"client_id": None}])
def test_basic_may_be_joined_by_the_same_client_id_or_by_empty_parameters(extra: dict[str, object]) -> None:
    assert parse_token_request("POST", {}, {**GRANT, **extra}, BASIC) is BASIC


@pytest.mark.parametrize(
    ("extra", "name"),
    [({"client_secret": "bs"}, "client_secret"), ({"client_id": "other"}, "client_id"),
     ({"client_id": "bi", "client_secret": "bs"}, "client_secret")],
)  # fmt: skip
def test_two_ways_at_once_are_refused(extra: dict[str, object], name: str) -> None:
    assert refusal("POST", {}, {**GRANT, **extra}, BASIC) == name


@pytest.mark.parametrize("query", [{}, {"grant_type": ""}, {"grant_type": "client_credentials"}, {"client_id": "x"}])
def test_get_takes_basic_and_may_leave_the_grant_out(query: dict[str, str]) -> None:
    assert parse_token_request("GET", query, {}, BASIC) is BASIC


def test_a_number_is_its_text() -> None:
    fields = {**GRANT, "client_id": NumberText("5"), "client_secret": NumberText("1e5")}
    assert pair(parse_token_request("POST", {}, fields, None)) == ("5", "1e5")


def refusal(
    method: str, query: dict[str, str], fields: dict[str, object], basic: ClientCredentials | None = None
) -> str:
    """Return the parameter that a request is refused for, "other grant" for a grant that is not supported."""
    with pytest.raises(InvalidInput) as caught:
        parse_token_request(method, query, fields, basic)
    if isinstance(caught.value, UnsupportedGrant):
        return "other grant"
    assert isinstance(caught.value, BadTokenRequest)
    return caught.value.field


@pytest.mark.parametrize("name", ["client_secret", "password", "access_token", "refresh_token"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("basic", [None, BASIC])
def test_a_secret_in_the_query_is_refused_before_everything(
    name: str, method: str, basic: ClientCredentials | None
) -> None:
    for query in ({name: "s"}, {name: ""}, {"grant_type": "other", "client_id": "i", name: "s"}):
        for fields in (BODY, {}, dict[str, object](grant_type="other")):
            assert refusal(method, query, fields, basic) == name


def test_the_checks_have_the_order_of_the_contract() -> None:
    assert refusal("POST", {"client_secret": "s"}, {}) == "client_secret"
    assert refusal("POST", {}, {}) == "grant_type"
    assert refusal("POST", {}, {"client_id": "i", "client_secret": "s"}) == "grant_type"
    assert refusal("POST", {}, {"grant_type": "password"}) == "other grant"
    assert refusal("POST", {}, {"grant_type": "password", "client_secret": "s"}, BASIC) == "other grant"
    assert refusal("POST", {}, GRANT) == "client_id"
    assert refusal("POST", {}, {**GRANT, "client_secret": "s"}) == "client_id"
    assert refusal("POST", {}, {**GRANT, "client_id": "i"}) == "client_secret"


@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize("name", ["grant_type", "client_id", "client_secret"])
def test_a_parameter_without_a_value_counts_as_left_out(name: str, empty: str | None) -> None:
    assert refusal("POST", {}, {**BODY, name: empty}) == name


@pytest.mark.parametrize("value", [True, False, [], {}, ["client_credentials"]], ids=repr)
@pytest.mark.parametrize("name", ["grant_type", "client_id", "client_secret"])
def test_a_parameter_of_another_type_is_refused(name: str, value: object) -> None:
    assert refusal("POST", {}, {**BODY, name: value}) == name


@pytest.mark.parametrize("grant", ["password", "authorization_code", "refresh_token", "Client_Credentials",
                                   " client_credentials", "client_credentials\0", NumberText("1")])  # fmt: skip
def test_another_grant_is_not_supported(grant: str) -> None:
    assert refusal("POST", {}, {**BODY, "grant_type": grant}) == "other grant"


def test_parameters_of_post_are_not_read_from_the_query() -> None:
    assert (
        refusal("POST", {"grant_type": "client_credentials"}, {"client_id": "i", "client_secret": "s"}) == "grant_type"
    )
    assert refusal("POST", {"client_id": "i"}, {**GRANT, "client_secret": "s"}) == "client_id"


def test_get_without_basic_is_refused_whatever_else_it_has() -> None:
    assert refusal("GET", {}, {}) == "grant_type"
    assert refusal("GET", {"grant_type": "password"}, {}) == "other grant"
    assert refusal("GET", {"grant_type": "password"}, {}, BASIC) == "other grant"
    assert refusal("GET", {"grant_type": "client_credentials", "client_id": "i"}, {}) == "client_id"


# Answers


def dumped(body: bytes) -> str:
    return json.dumps(parse(body))


def test_a_token_is_answered_as_documented() -> None:
    assert dumped(token_answer(SecretText("<signed JWT>"), 3600)) == json.dumps(read("oauth2.token.response.json"))


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (NotAuthenticated(was_sent=True), 401, "invalid-client"),
        (NotAuthenticated(was_sent=False), 401, "invalid-client"),
        (BadTokenRequest("grant_type"), 400, "missing-grant"),
        (BadTokenRequest("client_secret"), 400, "secret-in-query"),
        (InvalidField("client_secret"), 400, "secret-in-query"),
        (UnsupportedGrant(), 400, "unsupported-grant"),
        (BadBody(), 400, "missing-grant"),
    ],
)
def test_an_error_is_the_golden_one(error: InvalidInput | NotAuthenticated, status: int, name: str) -> None:
    got_status, body = token_error(error)
    assert got_status == status
    assert dumped(body) == json.dumps(read(f"oauth2.token.error.{name}.json"))


def test_the_credentials_of_the_golden_requests_are_read() -> None:
    fields = read("oauth2.token.request.json")
    assert isinstance(fields, dict)
    credentials = parse_token_request("POST", {}, dict(fields), None)
    assert pair(credentials) == (fields["client_id"], fields["client_secret"])
    assert str(fields["client_secret"]) not in repr(credentials)
    basic = read("oauth2.token.basic.request.json")
    assert isinstance(basic, dict)
    assert parse_token_request("POST", {}, dict(basic), BASIC) is BASIC
