# SPDX-License-Identifier: Apache-2.0
"""Broken JSON ends in BadBody, quickly and never otherwise; whole JSON is read as it was meant (rule 19, R-API-04)."""

import json
import math
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.domain.errors import BadBody
from mysafe.protocol.json_body import (
    DEEPEST,
    LARGEST_INTEGER,
    MOST_TOKENS,
    SMALLEST_INTEGER,
    NumberText,
    parse_json,
    parse_json_array,
)

SLOWEST_SECONDS = 0.5
"""Far above what is needed (a few milliseconds), far below what a quadratic reader takes for these bodies."""

MEBIBYTE = 1024 * 1024

KIND_TO_THE_STANDARD_READER = {
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "minus Infinity": b'{"a": [-Infinity]}',
    "1e400": b'{"a": 1e400}',
    "-1e400": b'{"a": -1e400}',
    "1.0E+999": b'{"a": 1.0E+999}',
    "a fraction of many digits": b'{"a": ' + b"1" * 400 + b".5}",
    "an integer one too large": b'{"a": 9223372036854775808}',
    "an integer one too small": b'{"a": -9223372036854775809}',
    "an integer of 4000 digits": b'{"a": ' + b"1" * 4000 + b"}",
    "a key twice": b'{"a": 1, "a": 1}',
    "a key twice with another between": b'{"a": 1, "b": 2, "a": 3}',
    "a key twice below": b'{"a": {"b": 1, "b": 2}}',
    "a key twice in an array": b'{"a": [{"b": 1}, {"c": [{"d": 1, "d": 2}]}]}',
    "a key twice, once escaped": b'{"name": 1, "n\\u0061me": 2}',
    "a key twice, escaped in two ways": b'{"\\u00e9": 1, "\\u00E9": 2}',
    "a key twice, a pair and a character": '{"\U0001f511": 1, "\\ud83d\\udd11": 2}'.encode(),
    "a key twice, slash and escaped slash": b'{"/": 1, "\\/": 2}',
    "an empty key twice": b'{"": 1, "": 2}',
    "a high surrogate": b'{"a": "\\ud800"}',
    "a low surrogate": b'{"a": "\\udfff"}',
    "a high surrogate in capitals": b'{"a": "x\\uDBFFy"}',
    "a pair the wrong way round": b'{"a": "\\udd11\\ud83d"}',
    "a high surrogate twice": b'{"a": "\\ud83d\\ud83d"}',
    "a surrogate as key": b'{"\\ud800": 1}',
    "a surrogate below": b'{"a": [[{"b": ["\\udc00"]}]]}',
    "depth 33 of arrays": b'{"a": ' + b"[" * 32 + b"]" * 32 + b"}",
    "depth 33 of objects": b'{"a":' * 33 + b"1" + b"}" * 33,
    "ten thousand and more elements": b'{"a": [' + b"1," * 10_000 + b"1]}",
    "UTF-16 with mark": '{"a": 1}'.encode("utf-16"),
    "UTF-16 big-endian": '{"a": 1}'.encode("utf-16-be"),
    "UTF-16 little-endian": '{"a": 1}'.encode("utf-16-le"),
    "UTF-32": '{"a": 1}'.encode("utf-32"),
    "a byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "a raw surrogate": b'{"a": "\xed\xa0\x80"}',
    "a raw surrogate pair": b'{"a": "\xed\xa0\xbd\xed\xb4\x91"}',
    "an array": b"[]",
    "an array of objects": b'[{"name": "n"}]',
    "a string": b'"name"',
    "a number": b"1",
    "minus zero alone": b"-0",
    "true": b"true",
    "false": b"false",
    "null": b"null",
}
"""What `json.loads` reads without complaint."""

BROKEN_FOR_EVERYBODY = {
    "empty": b"",
    "a space": b" ",
    "white space only": b" \t\r\n" * 10,
    "a NUL": b"\0",
    "only a byte order mark": b"\xef\xbb\xbf",
    "an open brace": b"{",
    "a closing brace": b"}",
    "an open bracket": b"[",
    "an open quote": b'"',
    "cut in a key": b'{"na',
    "cut after a key": b'{"name"',
    "cut after a colon": b'{"name":',
    "cut in a value": b'{"name": "n',
    "cut in an escape": b'{"name": "n\\',
    "cut in a number escape": b'{"name": "\\u00',
    "cut after a value": b'{"name": "n"',
    "cut after a comma": b'{"name": "n",',
    "cut in a list": b'{"name": ["n", ',
    "cut in a literal": b'{"name": tru',
    "cut in a number": b'{"name": -',
    "cut in a character": b'{"name": "\xc3',
    "trailing text": b'{"name": "n"} x',
    "trailing brace": b'{"name": "n"}}',
    "trailing comma": b'{"name": "n"},',
    "two objects": b'{"name": "n"}{"name": "n"}',
    "two objects on two lines": b'{"name": "n"}\n{"name": "n"}',
    "a trailing NUL": b'{"name": "n"}\0',
    "a trailing mark": b'{"name": "n"}\xef\xbb\xbf',
    "a leading form feed": b'\x0c{"name": "n"}',
    "a trailing no-break space": b'{"name": "n"}\xc2\xa0',
    "a no-break space inside": b'{"name":\xc2\xa0"n"}',
    "a comma before the end": b'{"name": "n",}',
    "a comma at the start": b'{,"name": "n"}',
    "two commas": b'{"a": 1,,"b": 2}',
    "no comma": b'{"a": 1 "b": 2}',
    "two colons": b'{"a":: 1}',
    "a comma in place of a colon": b'{"a", 1}',
    "a value without a key": b'{"a"}',
    "a key without quotes": b'{name: "n"}',
    "a key in single quotes": b"{'name': 'n'}",
    "a number as key": b'{1: "n"}',
    "null as key": b'{null: "n"}',
    "a list comma before the end": b'{"a": [1,]}',
    "a list of nothing but a comma": b'{"a": [,]}',
    "brackets crossed": b'{"a": [}]',
    "a comment": b'{"a": 1 /* x */}',
    "a line comment": b'{"a": 1} // x',
    "a hash comment": b'{"a": 1} # x',
    "a plus sign": b'{"a": +1}',
    "a leading zero": b'{"a": 01}',
    "a negative leading zero": b'{"a": -01}',
    "a point without digits": b'{"a": 1.}',
    "a point at the start": b'{"a": .5}',
    "an exponent without digits": b'{"a": 1e}',
    "an exponent with a sign only": b'{"a": 1e+}',
    "a hexadecimal number": b'{"a": 0x1f}',
    "a grouped number": b'{"a": 1_000}',
    "a full-width digit": '{"a": １}'.encode(),
    "an Arabic digit": '{"a": ٣}'.encode(),
    "two minus signs": b'{"a": --1}',
    "nan in lower case": b'{"a": nan}',
    "inf": b'{"a": inf}',
    "True": b'{"a": True}',
    "None": b'{"a": None}',
    "undefined": b'{"a": undefined}',
    "a raw newline in a string": b'{"a": "x\ny"}',
    "a raw tab in a string": b'{"a": "x\ty"}',
    "a raw NUL in a string": b'{"a": "x\0y"}',
    "a raw unit separator in a string": b'{"a": "x\x1fy"}',
    "a raw newline in a key": b'{"a\n": 1}',
    "an unknown escape": b'{"a": "\\x41"}',
    "an escaped quote of the other kind": b'{"a": "\\\'"}',
    "an escape in capitals": b'{"a": "\\N"}',
    "a short number escape": b'{"a": "\\u12"}',
    "a number escape that is none": b'{"a": "\\u12g4"}',
    "a number escape with a sign": b'{"a": "\\u+123"}',
    "a number escape with an underscore": b'{"a": "\\u1_23"}',
    "a half pair and half an escape": b'{"a": "\\ud83d\\u"}',
    "a byte that is no UTF-8": b'{"a": "\xff"}',
    "Latin-1": '{"a": "é"}'.encode("latin-1"),
    "a lone continuation byte": b'{"a": "\x80"}',
    "an overlong slash": b'{"a": "\xc0\xaf"}',
    "an overlong NUL": b'{"a": "\xc0\x80"}',
    "an overlong quote": b'{"a": "\xc0\xa2}',
    "an overlong three-byte slash": b'{"a": "\xe0\x80\xaf"}',
    "an overlong four-byte slash": b'{"a": "\xf0\x80\x80\xaf"}',
    "beyond Unicode": b'{"a": "\xf4\x90\x80\x80"}',
    "a five-byte character": b'{"a": "\xf8\x88\x80\x80\x80"}',
    "a bad byte between tokens": b'{"a": \xff1}',
    "a form": b"name=n&username=u",
    "markup": b"<name>n</name>",
}

DEEP_OR_LARGE = {
    "100,000 arrays": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 arrays never closed": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "100,000 objects never closed": b'{"a":' * 100_000,
    "100,000 arrays and objects in turn": b'[{"a":' * 50_000 + b"1" + b"}]" * 50_000,
    "a mebibyte of braces": b"{" * MEBIBYTE,
    "a mebibyte of closing brackets": b"]" * MEBIBYTE,
    "a mebibyte of quotes": b'"' * MEBIBYTE,
    "a mebibyte of escaped quotes": b'"' + b'\\"' * (MEBIBYTE // 2),
    "a mebibyte of backslashes": b'{"a": "' + b"\\" * MEBIBYTE,
    "a mebibyte of commas": b'{"a": [' + b"," * MEBIBYTE,
    "a mebibyte of digits": b'{"a": ' + b"1" * MEBIBYTE + b"}",
    "a mebibyte of fraction": b'{"a": 1' + b"0" * MEBIBYTE + b".5}",
    "a mebibyte of words": b'{"a": ' + b"1 " * (MEBIBYTE // 2) + b"}",
    "a mebibyte of spaces": b" " * MEBIBYTE,
    "a mebibyte of NUL": b"\0" * MEBIBYTE,
    "100,000 strings": b'{"a": [' + b'"",' * 100_000 + b'""]}',
    "100,000 empty keys": b'{"a": 1' + b',"":0' * 100_000 + b"}",
    "deep, with brackets in strings": b'{"]]]]": "' + b"]" * 64 + b'", "b": ' + b"[" * 40 + b"]" * 40 + b"}",
    "deep, with an escaped quote": b'{"a": "\\"", "b": ' + b"[" * 40 + b"]" * 40 + b"}",
}

EVERY_BROKEN_BODY = KIND_TO_THE_STANDARD_READER | BROKEN_FOR_EVERYBODY | DEEP_OR_LARGE


def outcome(read: Callable[[bytes], object], body: bytes) -> str:
    """Return what comes of reading a body: "read", or the name of the exception."""
    try:
        read(body)
    except Exception as error:  # noqa: BLE001  # which one it is, is what the test is about
        return type(error).__name__
    return "read"


@pytest.mark.parametrize("body", EVERY_BROKEN_BODY.values(), ids=EVERY_BROKEN_BODY)
def test_a_broken_body_is_refused_quickly_and_in_no_other_way(body: bytes) -> None:
    began = time.perf_counter()
    assert outcome(parse_json, body) == "BadBody"
    assert time.perf_counter() - began < SLOWEST_SECONDS


@pytest.mark.parametrize("body", KIND_TO_THE_STANDARD_READER.values(), ids=KIND_TO_THE_STANDARD_READER)
def test_the_standard_reader_would_accept_it(body: bytes) -> None:
    if body.startswith(b"\xef\xbb\xbf") or b"\xed\xa0" in body:
        assert outcome(lambda sent: json.loads(sent.decode("utf-8-sig", "surrogatepass")), body) == "read"
    else:
        assert outcome(json.loads, body) == "read"


def test_the_standard_reader_fails_the_same_check_with_another_exception_when_it_is_deep() -> None:
    assert outcome(json.loads, DEEP_OR_LARGE["100,000 arrays"]) == "RecursionError"


def test_every_beginning_of_a_good_body_is_refused() -> None:
    body = '{"name": "né\\u0041", "tags": ["a", 1.5], "users_allowed": [{"username": "x", "can_edit": true}]}'.encode()
    assert parse_json(body)
    for end in range(len(body)):
        assert outcome(parse_json, body[:end]) == "BadBody", body[:end]


@pytest.mark.parametrize("body", [b'{"password": "8jhfy@3789"', b'{"password": "8jhfy@3789\xff"}', b'{"a": 1e400}'])
def test_the_error_does_not_carry_the_body(body: bytes) -> None:
    with pytest.raises(BadBody) as caught:
        parse_json(body)
    assert caught.value.args == ()
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_the_standard_readers_error_does_carry_the_body() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(b'{"password": "8jhfy@3789"')
    assert "8jhfy@3789" in caught.value.doc


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"{}", {}),
        (b' \t\r\n{ "a" : [ ] } \n', {"a": []}),
        (b'{"a": null, "b": true, "c": false, "d": {}}', {"a": None, "b": True, "c": False, "d": {}}),
        (b'{"": ""}', {"": ""}),
        (b'{"a": "\\u0000"}', {"a": "\0"}),
        (b'{"a": "\\"\\\\\\/\\b\\f\\n\\r\\t"}', {"a": '"\\/\b\f\n\r\t'}),
        (b'{"a": "\\ud83d\\udd11"}', {"a": "\U0001f511"}),
        (b'{"a": "\\uD83D\\uDD11 \\ud83d\\udd11"}', {"a": "\U0001f511 \U0001f511"}),
        (b'{"a": "\\\\ud800"}', {"a": "\\ud800"}),
        ('{"a": "\U0001f511\ufeff\x7f\u2028"}'.encode(), {"a": "\U0001f511\ufeff\x7f\u2028"}),
        (b'{"a": "' + b"[" * 100 + b'"}', {"a": "[" * 100}),
        (b'{"a": "\\"' + b"{" * 100 + b'"}', {"a": '"' + "{" * 100}),
        (b'{"a": {"x": 1}, "b": {"x": 1}}', {"a": {"x": "1"}, "b": {"x": "1"}}),
        ('{"\u00e9": 1, "e\u0301": 2}'.encode(), {"\u00e9": "1", "e\u0301": "2"}),
        (b'{"a": 1, "A": 2}', {"a": "1", "A": "2"}),
    ],
)
def test_a_whole_object_is_read(body: bytes, fields: dict[str, object]) -> None:
    assert parse_json(body) == fields


@pytest.mark.parametrize(
    "literal",
    ["0", "-0", "1", "12345678901", "1.50", "-0.0", "1e5", "1E+5", "1e-400", "0.1e1", "1.7976931348623157e308",
     str(LARGEST_INTEGER), str(SMALLEST_INTEGER), "0." + "0" * 1000 + "1"],
)  # fmt: skip
def test_a_number_keeps_its_literal_text(literal: str) -> None:
    (value,) = parse_json(f'{{"a": {literal}}}'.encode()).values()
    assert isinstance(value, NumberText)
    assert value == literal


def test_a_string_of_digits_is_no_number() -> None:
    (value,) = parse_json(b'{"a": "1"}').values()
    assert type(value) is str


def nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def test_the_depth_allowed_is_allowed_and_one_more_is_not() -> None:
    assert parse_json(nested(DEEPEST))
    assert outcome(parse_json, nested(DEEPEST + 1)) == "BadBody"
    shallow_but_many = b'{"a":[' + b"[]," * 1000 + b"[]]}"
    assert parse_json(shallow_but_many)


def wide(tokens: int) -> bytes:
    """Return an object of exactly so many tokens: `{ "a" : [ ] }` are six, and each element brings a comma."""
    count, is_odd_one_out = divmod(tokens - 5, 2)
    elements = [[b"1", b'"x"', b"null"][index % 3] for index in range(count)]
    if is_odd_one_out:
        elements[0] = b"[]"
    return b'{"a":[' + b",".join(elements) + b"]}"


def test_the_tokens_allowed_are_allowed_and_one_more_is_not() -> None:
    assert len(parse_json(wide(MOST_TOKENS))) == 1
    assert len(wide(MOST_TOKENS)) > MOST_TOKENS, "so few bytes are not counted at all"
    for more in (1, 2, 3, 5000):
        assert outcome(parse_json, wide(MOST_TOKENS + more)) == "BadBody"
        assert outcome(json.loads, wide(MOST_TOKENS + more)) == "read"


def test_a_long_text_is_one_token_whatever_is_in_it() -> None:
    text = ' {}[]:,"\\1 é\U0001f511' * 20_000
    assert parse_json(json.dumps({"notes": text}).encode()) == {"notes": text}
    assert parse_json(json.dumps({"notes": text}, ensure_ascii=False).encode()) == {"notes": text}


def test_an_array_is_read_with_the_same_care() -> None:
    assert parse_json_array(' [{"username": "x", "can_edit": 1}] ') == [{"username": "x", "can_edit": "1"}]
    for text in ("{}", "", '[{"a": 1, "a": 2}]', "[NaN]", '["\\ud800"]', "[" * 100_000):
        with pytest.raises(BadBody):
            parse_json_array(text)


def test_a_surrogate_that_came_in_raw_makes_no_array() -> None:
    assert outcome(lambda _: parse_json_array('["\ud800"]'), b"") == "BadBody"


# Laws

texts = st.text(st.characters(codec="utf-8"))
json_values = st.recursive(
    st.none() | st.booleans() | texts | st.integers(SMALLEST_INTEGER, LARGEST_INTEGER) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def with_literals(value: object) -> object:
    """Return the value as our reader gives it: numbers as the text that `json.dumps` writes for them."""
    if isinstance(value, dict):
        return {key: with_literals(member) for key, member in value.items()}
    if isinstance(value, list):
        return [with_literals(element) for element in value]
    return json.dumps(value) if type(value) in {int, float} else value


def is_finite(value: object) -> bool:
    if isinstance(value, dict | list):
        return all(map(is_finite, value.values() if isinstance(value, dict) else value))
    return not isinstance(value, float) or math.isfinite(value)


@given(st.dictionaries(texts, json_values, max_size=5), st.booleans(), st.sampled_from([None, 0, 3]))
def test_what_another_program_writes_is_read_or_refused_for_a_reason(
    fields: dict[str, object], escaped: bool, indent: int | None
) -> None:
    body = json.dumps(fields, ensure_ascii=escaped, indent=indent).encode()
    assert outcome(parse_json, body) == ("read" if is_finite(fields) else "BadBody")
    if is_finite(fields):
        assert parse_json(body) == with_literals(fields)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]:,"\\ud80019eE+-.truefalsn \n', max_size=60).map(str.encode))
def test_any_bytes_are_an_object_or_a_bad_body(body: bytes) -> None:
    if outcome(parse_json, body) == "read":
        assert isinstance(json.loads(body), dict)
    else:
        assert outcome(parse_json, body) == "BadBody"


@given(st.dictionaries(st.text(), st.text(), max_size=3))
def test_text_with_surrogates_is_never_taken(fields: dict[str, str]) -> None:
    has_surrogates = any("\ud800" <= letter <= "\udfff" for text in (*fields, *fields.values()) for letter in text)
    body = json.dumps(fields).encode()
    assert outcome(parse_json, body) == ("BadBody" if has_surrogates else "read")
