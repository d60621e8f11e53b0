# SPDX-License-Identifier: Apache-2.0
"""The content type chooses the reader; without one both are tried (contract 1.2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.domain.errors import BadBody
from mysafe.protocol.body import parse_body

JSON = b'{"name": "n"}'
FORM = b"name=n"
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("content_type", [JSON_TYPE, FORM_TYPE, None, "", "text/plain", "multipart/form-data"])
@pytest.mark.parametrize("body", [b"", b" ", b"\r\n\t "])
def test_an_empty_body_has_no_fields_whatever_its_type(body: bytes, content_type: str | None) -> None:
    assert parse_body(body, content_type) == {}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON_TYPE, JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/json;charset=latin-1", JSON),
        (" APPLICATION/Json ;x", JSON),
        (FORM_TYPE, FORM),
        (f"{FORM_TYPE}; charset=UTF-8", FORM),
        (FORM_TYPE.upper(), FORM),
        (None, JSON),
        (None, b"\r\n " + JSON),
        (None, FORM),
        ("", JSON),
        ("", FORM),
        ("text/plain", JSON),
        ("text/plain", FORM),
        ("application/vnd.api+json", JSON),
        ("application/octet-stream", FORM),
        (";", JSON),
    ],
)
def test_the_reader_is_chosen_by_the_media_type_or_tried(content_type: str | None, body: bytes) -> None:
    assert parse_body(body, content_type) == {"name": "n"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (JSON_TYPE, FORM),
        (" Application/JSON ;x", FORM),
        (FORM_TYPE, JSON),
        (f"{FORM_TYPE.upper()};x", JSON),
        (FORM_TYPE, b"name=a&name=b"),
        (FORM_TYPE, b"name=%FF"),
        (None, b'{"name": "a=b"'),
        (None, b'{"name": "n", "name": "n"}'),
        (None, b'["a=b"]'),
        (None, b'"a=b"'),
        (None, b"null"),
        (None, b'\xef\xbb\xbf{"name": "a=b"}'),
        (None, '{"name": "a=b"}'.encode("utf-16")),
        (None, b"hello"),
        (None, "name=é".encode()),
        (None, b"<a href='x'>"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nn\r\n--x--'),
        ("multipart/form-data", b"\x00\xff"),
    ],
)
def test_a_body_that_is_neither_is_bad(content_type: str | None, body: bytes) -> None:
    with pytest.raises(BadBody):
        parse_body(body, content_type)


def test_a_form_of_no_declared_type_may_have_lists() -> None:
    fields = {"name": "n", "users_allowed": [{"username": "x", "can_edit": "true"}]}
    for body in (
        b"name=n&users_allowed[0][username]=x&users_allowed[0][can_edit]=true",
        b"name=n&users_allowed%5B0%5D%5Busername%5D=x&users_allowed%5B0%5D%5Bcan_edit%5D=true",
        b"name=n&users_allowed=%5B%7B%22username%22%3A%22x%22%2C%22can_edit%22%3A%22true%22%7D%5D",
    ):
        assert parse_body(body, None) == fields


@given(st.binary(max_size=60), st.sampled_from([JSON_TYPE, FORM_TYPE, None, "text/plain"]) | st.text(max_size=30))
def test_any_body_of_any_type_is_fields_or_a_bad_body(body: bytes, content_type: str | None) -> None:
    try:
        assert isinstance(parse_body(body, content_type), dict)
    except BadBody:
        pass
