# SPDX-License-Identifier: Apache-2.0
"""Envelopes and texts against the golden answers and the tables of the contract (1.3 to 1.5, 7)."""

import json

import pytest

from mysafe.domain.ids import Kind
from mysafe.protocol import codes, envelope, passwords
from mysafe.protocol.json_body import parse_json
from tests.support.golden import GOLDEN, parse, read
from tests.unit.protocol.views import entity_of, listed, view

KIND = Kind.PASSWORD


def same(body: bytes, name: str) -> bool:
    """Return whether a body is the golden one, the order of keys included."""
    return json.dumps(parse(body)) == json.dumps(read(name))


def test_the_whole_answer_of_the_documentation_comes_out() -> None:
    fields = parse_json((GOLDEN / "password.create.request.json").read_bytes())
    body = envelope.success(201, codes.PASSWORD.created, "password_entity", passwords.changed(view(fields)))
    assert same(body, "password.create.response.json")


def test_a_single_read_comes_out_whole() -> None:
    answer = read("password.get.totp.response.json")
    assert isinstance(answer, dict)
    fields = answer["password_entity"]
    assert isinstance(fields, dict)
    shown = entity_of(view(fields, 197, token=str(fields["token"])))
    body = envelope.success(200, codes.SUCCESS, "password_entity", shown)
    assert same(body, "password.get.totp.response.json")


def test_a_list_comes_out_whole() -> None:
    answer = read("password.list.response.json")
    assert isinstance(answer, dict)
    wanted = answer["password_on_list"]
    assert isinstance(wanted, list)
    fields = [line for line in wanted if isinstance(line, dict)]
    lines = [passwords.line(listed(line, int(str(line["identifier"])))) for line in fields]
    body = envelope.success(200, codes.LISTED, "password_on_list", lines)
    assert same(body, "password.list.response.json")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("password.disable.response.json", "Password successfully deactivated"),
        ("password.enable.already.response.json", "Password has already been activated"),
    ],
)
def test_without_a_key_there_is_no_entity(name: str, text: str) -> None:
    assert same(envelope.success(200, text), name)


def test_an_empty_list_is_sent_as_one() -> None:
    assert parse(envelope.success(200, codes.LISTED, "password_on_list", [])) == {
        **dict(parse_response(200, "", is_error=False)),
        "password_on_list": [],
    }


def parse_response(status: int, text: str, *, is_error: bool) -> dict[str, object]:
    """Return what every answer starts with, written out by hand."""
    number = 1 if is_error else 0
    return {
        "code": status,
        "response": {
            "status": status, "message": text, "error": is_error, "error_code": number, "detail": "",
            "Message": text, "erro": is_error, "cod_erro": number,
        },
    }  # fmt: skip


FAILURES = [
    ("password.create.error.missing-name.json", 400, codes.missing("name"), 1001),
    ("password.create.error.missing-username.json", 400, codes.missing("username"), 1001),
    ("password.create.error.missing-password.json", 400, codes.missing("password"), 1001),
    ("password.create.error.unexpected.json", 500, codes.UNEXPECTED, 500),
    ("password.get.error.not-found.json", 400, codes.NOT_FOUND[KIND], 1005),
    ("password.get.error.no-access.json", 400, codes.NO_ACCESS, 1006),
    ("password.get.error.inactive.json", 400, codes.INACTIVE[KIND], 1009),
    ("password.get.error.bad-identifier.json", 400, codes.BAD_IDENTIFIER, 1010),
    ("password.update.error.no-access.json", 400, codes.NO_ACCESS, 1006),
    ("password.update.error.not-found.json", 400, codes.NOT_FOUND[KIND], 1005),
    ("password.disable.error.not-found.json", 400, codes.NOT_FOUND[KIND], 1005),
    ("password.enable.error.no-access.json", 400, codes.NO_ACCESS, 1006),
    ("note.create.error.too-long.json", 400, codes.too_long("note", 900), 1001),
    ("secretapi.create.error.duplicate-identifier.json", 400, codes.IDENTIFIER_CODE_TAKEN, 1001),
    ("auth.error.not-authorized.json", 403, codes.NOT_AUTHORIZED, 403),
]


@pytest.mark.parametrize(("name", "status", "text", "code"), FAILURES, ids=[row[0] for row in FAILURES])
def test_an_error_comes_out_whole(name: str, status: int, text: str, code: int) -> None:
    assert same(envelope.failure(status, text, code), name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("gateway.no-route.json", codes.NO_ROUTE),
        ("gateway.invalid-upstream.json", codes.UPSTREAM_INVALID),
        ("gateway.timeout.json", codes.UPSTREAM_TIMEOUT),
    ],
)
def test_a_gateway_answer_comes_out_whole(name: str, text: str) -> None:
    assert same(envelope.gateway(text), name)


def test_a_changed_order_would_be_noticed() -> None:
    body = envelope.failure(400, codes.NO_ACCESS, 1006)
    assert same(body, "password.get.error.no-access.json")
    turned = json.dumps(dict(reversed(json.loads(body).items()))).encode()
    assert json.loads(turned) == read("password.get.error.no-access.json")
    assert not same(turned, "password.get.error.no-access.json")


def test_mensagem_stands_after_message_only_where_it_is_wanted() -> None:
    names = ["status", "message", "error", "error_code", "detail", "Message", "erro", "cod_erro"]
    with_mensagem = [*names[:6], "mensagem", *names[6:]]
    for plain, wordy in (
        (envelope.success(200, "t"), envelope.success(200, "t", mensagem=True)),
        (envelope.failure(400, "t", 1001), envelope.failure(400, "t", 1001, mensagem=True)),
    ):
        assert list(json.loads(plain)["response"]) == names
        assert list(json.loads(wordy)["response"]) == with_mensagem
        assert json.loads(wordy)["response"]["mensagem"] == "t"


def test_text_is_sent_as_it_is() -> None:
    text = '<b>&amp;</b> é \U0001f511 \u2028 \x7f " \\ / \n \0'
    body = envelope.success(200, "", "e", {"t": text})
    assert json.loads(body)["e"]["t"] == text
    assert "<b>&amp;</b> é \U0001f511".encode() in body


def test_flags_are_booleans_and_numbers_are_integers() -> None:
    assert b'"error":false,"error_code":0' in envelope.success(200, "")
    assert b'"erro":true,"cod_erro":1' in envelope.failure(400, "", 1001)
    assert b'"detail":null' in envelope.failure(400, "", 1001)


CONTRACT = [
    (codes.PASSWORD.created, "Password successfully registered"),
    (codes.SUCCESS, "Success"),
    (codes.LISTED, ""),
    (codes.missing("name"), "1001: Parameter 'name' was not informed!"),
    (codes.invalid("url"), "1001: Parameter 'url' is invalid!"),
    (codes.too_long("note", 900), "1001: Parameter note limited to 900 characters"),
    (codes.bad_seed("secret_key"), "1001: Parameter 'secret_key' must be encoded in base32"),
    (codes.BAD_BODY, "1001: Request body is not valid JSON"),
    (codes.IDENTIFIER_CODE_TAKEN, "1001: Identifier already found in another API key of this user"),
    (codes.NOT_FOUND[KIND], "1005: Password not found"),
    (codes.NO_ACCESS, "1006: User does not have access"),
    (codes.INACTIVE[KIND], "1009: Inactive password"),
    (codes.BAD_IDENTIFIER, "1010: Unexpected identifier type"),
    (codes.NOT_AUTHORIZED, "You are not authorized to access this resource."),
    (codes.UNEXPECTED, "Unexpected error."),
    (codes.TOO_MANY_REQUESTS, "Too many requests."),
    (codes.SERVICE_UNAVAILABLE, "Service unavailable."),
    (codes.BODY_TOO_LARGE, "Request body is too large."),
    (codes.SLOW_BODY, "Request timeout."),
    (codes.NO_ROUTE, "No route matched with those values."),
    (codes.UPSTREAM_INVALID, "An invalid response was received from the upstream server"),
    (codes.UPSTREAM_TIMEOUT, "The upstream server is timing out"),
    (codes.USER_NOT_FOUND, "User not found"),
    (codes.GROUP_NOT_FOUND, "Group not found"),
]


@pytest.mark.parametrize(("text", "contract"), CONTRACT, ids=[row[1] or "empty" for row in CONTRACT])
def test_every_text_is_spelled_as_in_the_contract(text: str, contract: str) -> None:
    assert text == contract


def test_every_kind_has_its_texts() -> None:
    assert set(codes.NOT_FOUND) == set(codes.INACTIVE) == set(Kind)
