# SPDX-License-Identifier: Apache-2.0
"""Forms are read into what the same fields would be in JSON, or refused whole (contract 1.2)."""

import json
import time
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.domain.errors import BadBody
from mysafe.protocol.form_body import LARGEST_INDEX, MOST_PAIRS, parse_form


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", {}),
        (b"&", {}),
        (b"name=n", {"name": "n"}),
        (b"name=n&username=u&", {"name": "n", "username": "u"}),
        (b"name=", {"name": ""}),
        (b"password=a=b==", {"password": "a=b=="}),
        (b"password=p%26%3D+%2B", {"password": "p&= +"}),
        (b"password=8jhfy@3789!*'()~", {"password": "8jhfy@3789!*'()~"}),
        (b"name=%C3%A9%f0%9f%94%91", {"name": "é\U0001f511"}),
        ("name=é".encode(), {"name": "é"}),
        (b"name=a b", {"name": "a b"}),
        (b"notes=a%0D%0Ab%00", {"notes": "a\r\nb\0"}),
        (b"n%61me=n", {"name": "n"}),
        (b"name=%2541", {"name": "%41"}),
        (b"colour=red", {"colour": "red"}),
        (b"tags=a%2C+b", {"tags": "a, b"}),
    ],
)
def test_a_form_is_read_byte_for_byte(body: bytes, fields: dict[str, object]) -> None:
    assert parse_form(body) == fields


REFUSED = {
    "a name twice": b"name=a&name=b",
    "a name twice, once escaped": b"name=a&n%61me=b",
    "a pair without an equals sign": b"name=a&username",
    "no pair at all": b"hello",
    "a percent sign at the end": b"name=%",
    "half an escape": b"name=%4",
    "half an escape before the next pair": b"name=%4&a=1",
    "an escape that is none": b"name=%zz",
    "an escape with a sign": b"name=%+1",
    "an escape in a name that is none": b"na%me=1",
    "escaped Latin-1": b"name=%E9",
    "raw Latin-1": b"name=\xe9",
    "an escaped surrogate": b"name=%ED%A0%80",
    "an overlong escape": b"name=%C0%AF",
    "an escaped name that is not UTF-8": b"%FF=1",
    "a raw newline": b"name=a\n",
    "a raw NUL": b"name=a\0",
    "a multipart body": b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nn\r\n--x--',
    "a list without an index": b"users_allowed[][username]=x",
    "a list without a member": b"users_allowed[0]=x",
    "a list index that is none": b"users_allowed[x][username]=x",
    "a list index with a leading zero": b"users_allowed[00][username]=x",
    "a negative list index": b"users_allowed[-1][username]=x",
    "a list index in other digits": "users_allowed[٣][username]=x".encode(),
    "a list index too large": f"users_allowed[{LARGEST_INDEX + 1}][username]=x".encode(),
    "a list index far too large": b"groups_allowed[99999999999999999999][name]=x",
    "a list too deep": b"users_allowed[0][username][0]=x",
    "a list not closed": b"users_allowed[0][username=x",
    "a list member twice": b"users_allowed[0][username]=x&users_allowed[0][username]=y",
    "a list in both forms": b"users_allowed=[]&users_allowed[0][username]=x",
    "a list in both forms, the other way round": b"users_allowed[0][username]=x&users_allowed=[]",
    "too many pairs": b"&".join(b"a%d=1" % number for number in range(MOST_PAIRS + 1)),
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_a_form_that_could_be_misread_is_refused_whole(body: bytes) -> None:
    with pytest.raises(BadBody) as caught:
        parse_form(body)
    assert caught.value.args == ()
    assert caught.value.__context__ is None


@pytest.mark.parametrize("name", ["a name twice", "an escape that is none", "escaped Latin-1", "half an escape"])
def test_the_standard_reader_takes_it_as_something_else(name: str) -> None:
    assert parse_qs(REFUSED[name].decode("ascii"))


def test_as_many_pairs_as_allowed_are_read() -> None:
    assert len(parse_form(b"&".join(b"a%d=1" % number for number in range(MOST_PAIRS)))) == MOST_PAIRS


def test_list_members_in_brackets_become_objects_in_the_order_of_their_indexes() -> None:
    body = (
        b"users_allowed[7][username]=z&users_allowed[0][can_edit]=true&name=n&users_allowed[0][username]=x"
        b"&groups_allowed%5B10000%5D%5Bname%5D=G+1&groups_allowed[2][colour]=red"
    )
    assert parse_form(body) == {
        "name": "n",
        "users_allowed": [{"can_edit": "true", "username": "x"}, {"username": "z"}],
        "groups_allowed": [{"colour": "red"}, {"name": "G 1"}],
    }


@pytest.mark.parametrize("text", ["[]", "", "  "])
def test_a_list_field_may_be_empty(text: str) -> None:
    assert parse_form(urlencode({"users_allowed": text}).encode()) == {"users_allowed": []}


def test_a_list_field_may_hold_json() -> None:
    shares = [{"username": "x", "can_edit": True}, {"username": "é", "can_edit": 1}]
    fields = parse_form(urlencode({"users_allowed": json.dumps(shares), "notes": "[1]"}).encode())
    assert fields == {
        "users_allowed": [{"username": "x", "can_edit": True}, {"username": "é", "can_edit": "1"}],
        "notes": "[1]",
    }


@pytest.mark.parametrize("text", ["pduarte", "{}", '[{"username": "x"', '[{"a": 1, "a": 2}]', "[NaN]", "null", "1"])
def test_a_list_field_that_is_no_json_array_stays_text_and_is_found_invalid_in_its_turn(text: str) -> None:
    assert parse_form(urlencode({"groups_allowed": text}).encode()) == {"groups_allowed": text}


@pytest.mark.parametrize(
    "body",
    [b"a=" + b"%41" * 349_000, b"a=" + b"+" * 1_048_000, b"&" * 9_999 + b"a=1", b"=" * 1_048_576, b"%" * 1_048_576,
     b"users_allowed[0][username]=" + b"[" * 1_000_000, b"users_allowed=" + b"[" * 1_000_000],
    ids=["escapes", "spaces", "separators", "equals", "percents", "brackets in a value", "deep JSON"],
)  # fmt: skip
def test_a_large_form_is_read_or_refused_quickly(body: bytes) -> None:
    began = time.perf_counter()
    try:
        assert parse_form(body)
    except BadBody:
        assert body.startswith(b"%")
    assert time.perf_counter() - began < 0.5


texts = st.text(st.characters(codec="utf-8"))
names = texts.filter(lambda name: not name.startswith(("users_allowed", "groups_allowed")))


@given(st.dictionaries(names, texts, max_size=5))
def test_what_a_client_encodes_comes_back_as_it_was(fields: dict[str, str]) -> None:
    assert parse_form(urlencode(fields).encode("ascii")) == fields


@given(st.lists(st.fixed_dictionaries({"username": texts, "can_edit": texts}), min_size=1, max_size=4))
def test_a_list_in_brackets_and_a_list_in_json_are_the_same(shares: list[dict[str, str]]) -> None:
    brackets = {f"users_allowed[{at}][{key}]": text for at, share in enumerate(shares) for key, text in share.items()}
    assert parse_form(urlencode(brackets).encode()) == {"users_allowed": shares}
    assert parse_form(urlencode({"users_allowed": json.dumps(shares)}).encode()) == {"users_allowed": shares}


@given(st.binary(max_size=40) | st.text("users_allowed[0]=&%41+", max_size=60).map(str.encode))
def test_any_bytes_are_fields_or_a_bad_body(body: bytes) -> None:
    try:
        fields = parse_form(body)
    except BadBody:
        return
    assert all(isinstance(value, str | list) for value in fields.values())
