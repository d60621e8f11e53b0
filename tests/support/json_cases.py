# SPDX-License-Identifier: Apache-2.0
"""Several hundred JSON texts, each with the verdict that RFC 8259 and our documented bounds give it.

A case is a way to damage, or not to damage, a good object: most put one more member with an odd value behind the
others, the rest change the text as a whole. So every case can be thrown at every route that takes an object.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from typing import NamedTuple


class Verdict(Enum):
    """What a reader has to do with a text. EITHER is for what RFC 8259 leaves open and we document nowhere."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    EITHER = "either"


ACCEPT, REFUSE, EITHER = Verdict


class Case(NamedTuple):
    """A named change to a good object, and the verdict on its outcome."""

    name: str
    change: Callable[[bytes], bytes]
    verdict: Verdict


def with_member(value: bytes, good: bytes) -> bytes:
    """Return the object with one more member, `x`, of this value."""
    return good[:-1] + b',"x":' + value + b"}"


def with_key(key: bytes, good: bytes) -> bytes:
    """Return the object with one more member of this key, written as it stands, quotes included."""
    return good[:-1] + b"," + key + b":1}"


def _values(verdict: Verdict, group: str, texts: dict[str, bytes] | list[str]) -> Iterator[Case]:
    named = texts if isinstance(texts, dict) else {text: text.encode() for text in texts}
    for name, value in named.items():
        yield Case(f"{group}: {name}", partial(with_member, value), verdict)


# -- numbers -----------------------------------------------------------------------------------------------------------

_WHOLE = ["0", "-0", "7", "-10", "9223372036854775807", "-9223372036854775808"]
_FRACTIONS = ["", ".0", ".05"]
_EXPONENTS = ["", "e0", "E+2", "e-03"]
_NO_NUMBERS = [
    "01", "-01", "00", "0.", "-1.", "1.e1", ".5", "-.5", ".e1", "-", "+", "--1", "+1", "- 1", "1 2", "1 .5", "1. 5",
    "1e", "1e+", "1E-", "1ee5", "1e5.5", "1e+-5", "1e 5", "-e1", "1.2.3", "1..2", "0x1f", "0b1", "0o7", "1_000",
    "1,000",
    "1a", "1f", "1L", "1n", "1+2", "1/2", "(1)", "$1", "1%", "0e", "0.e1", "9.e+", "1.-2", "NaN", "-NaN", "nan",
    "Infinity", "-Infinity", "+Infinity", "infinity", "inf", "-inf", "\uff11", "\u0663", "\u22121", "\u221e", "\u00bd",
    "1e\uff11", "1\u00b2",
]  # fmt: skip
_TOO_LARGE = {
    "one above 64 bits": b"9223372036854775808",
    "one below 64 bits": b"-9223372036854775809",
    "20 digits": b"9" * 20,
    "400 digits": b"1" * 400,
    "5,000 digits": b"1" * 5_000,
    "200,000 digits": b"1" * 200_000,
    "1e400": b"1e400",
    "-1e400": b"-1e400",
    "1e999999999999": b"1e999999999999",
    "0.1e9999": b"0.1e9999",
    "400 digits and a fraction": b"1" * 400 + b".5",
}
_ODD_NUMBERS = {
    "1e-400": b"1e-400",
    "-1e-9999": b"-1e-9999",
    "1,000 decimals": b"0." + b"3" * 1000,
    "the largest double": b"1.7976931348623157e308",
    "the smallest double": b"5e-324",
}


def _numbers() -> Iterator[Case]:
    grid = ["".join(parts) for parts in itertools.product(_WHOLE, _FRACTIONS, _EXPONENTS)]
    yield from _values(ACCEPT, "number", grid)
    yield from _values(REFUSE, "no number", _NO_NUMBERS)
    yield from _values(REFUSE, "too large", _TOO_LARGE)
    yield from _values(EITHER, "odd number", _ODD_NUMBERS)


# -- strings -----------------------------------------------------------------------------------------------------------

_GOOD_STRINGS = [
    "", " ", "a", r"\"", r"\\", r"\/", "/", r"\b\f\n\r\t", r"\\u0041", r"\\\"", r"\u0000", r"\u001f", r"\u0022",
    r"\u005C", r"\u00e9", r"\u00E9", r"\uabCD", r"\ud7ff", r"\ue000", r"\ufeff", r"\ufffd", r"\ufffe", r"\uffff",
    r"\ufdd0", r"\ud800\udc00", r"\udbff\udfff", r"\uD83d\uDd11", r"\ud83d\udd11\ud83d\udd11", r"\u2028\u2029",
    "\x7f", "\u0080", "\u00a0", "\u0301", "\u200b\u200d\u202e", "\u2028", "\ufeff", "\ufffe\uffff", "\U0001f511",
    "\U0001fffe", "\U0010ffff", "'", "`", "{", "}", "[[[[", "]]]]", ":,", "//", "/* */", "NaN", "\\u0000" * 20,
]  # fmt: skip
_BROKEN_ESCAPES = [
    "\\", r"\a", r"\e", r"\v", r"\x41", r"\0", r"\012", r"\'", r"\`", r"\ ", r"\U0041", r"\N", r"\T", "\\\n", "\\\t",
    "\\\0", "\\\u00e9", "\\\U0001f511", r"\u", r"\u1", r"\u12", r"\u123", r"\u12g4", r"\uzzzz", r"\u+123", r"\u-123",
    r"\u 123", r"\u1_23", r"\u{41}", r"\uD83", r"\u\u0041", "\\u\uff11\uff12\uff13\uff14", r"\\\\\\\u12",
]  # fmt: skip
_HALF_PAIRS = [
    r"\ud800", r"\udbff", r"\udc00", r"\udfff", r"\uD800", r"a\ud800b", r"\ud800\ud800", r"\udd11\ud83d", r"\ud800\n",
    r"\ud800\u0041", r"\ud800\\udc00", r"\ud800\ud83d\udd11", r"\ud83d\udd11\udd11", r"\ud800" + "\U0001f511",
]  # fmt: skip
_NO_STRINGS = {
    "single quotes": b"'a'",
    "backticks": b"`a`",
    "typographic quotes": "“a”".encode(),
    "full-width quotes": "＂a＂".encode(),
    "no quotes": b"abc",
    "left open": b'"abc',
    "never opened": b'abc"',
    "three quotes": b'"""',
    "two strings": b'"a" "b"',
    "joined with a plus": b'"a"+"b"',
    "a prefix": b'u"a"',
    "escaped outside": rb"\u0022a\u0022",
    "a backslash outside": b'\\"a"',
}


def _strings() -> Iterator[Case]:
    for group, verdict, inner in (
        ("string", ACCEPT, _GOOD_STRINGS),
        ("broken escape", REFUSE, _BROKEN_ESCAPES),
        ("half a pair", REFUSE, _HALF_PAIRS),
    ):
        for text in inner:
            yield Case(f"{group}: {text!a}", partial(with_member, b'"%b"' % text.encode()), verdict)
            if not text or group != "string":
                yield Case(f"{group} as key: {text!a}", partial(with_key, b'"%b"' % text.encode()), verdict)
    for number in range(32):
        yield Case(f"raw control character {number}", partial(with_member, b'"a%cb"' % number), REFUSE)
    yield from _values(REFUSE, "no string", _NO_STRINGS)
    yield from _values(ACCEPT, "long string", {"100,000 letters": b'"' + b"x" * 100_000 + b'"'})


# -- bytes that are no UTF-8 -------------------------------------------------------------------------------------------

_NO_UTF8 = {
    "a lone continuation": "80", "another": "bf", "overlong NUL": "c080", "overlong slash": "c0af",
    "overlong DEL": "c1bf",
    "overlong in three": "e08080", "overlong slash in three": "e080af", "largest overlong in three": "e09fbf",
    "overlong in four": "f0808080", "largest overlong in four": "f08fbfbf", "a surrogate": "eda080",
    "the last surrogate": "edbfbf", "a pair of surrogates": "eda0bdedb491", "beyond Unicode": "f4908080",
    "far beyond": "f5808080", "five bytes": "f888808080", "six bytes": "fc8480808080", "fe": "fe", "ff": "ff",
    "a UTF-16 mark": "fffe", "Latin-1": "e9", "two bytes cut": "c3", "three bytes cut": "e282",
    "four bytes cut": "f09f94",
    "two bytes, bad second": "c328", "three bytes, bad third": "e28228", "four bytes, bad second": "f0288cbc",
}  # fmt: skip


def _encodings() -> Iterator[Case]:
    for name, digits in _NO_UTF8.items():
        raw = bytes.fromhex(digits)
        yield Case(f"no UTF-8 in a string: {name}", partial(with_member, b'"a' + raw + b'b"'), REFUSE)
        yield Case(f"no UTF-8 in a key: {name}", partial(with_key, b'"a' + raw + b'b"'), REFUSE)
        yield Case(f"no UTF-8 between tokens: {name}", partial(with_member, b" " + raw + b" 1"), REFUSE)
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "cp500"):
        yield Case(f"written in {encoding}", partial(_recoded, encoding), REFUSE)


def _recoded(encoding: str, good: bytes) -> bytes:
    return good.decode().encode(encoding)


# -- structure ---------------------------------------------------------------------------------------------------------

_GOOD_VALUES = [
    "null", "true", "false", "[]", "[ ]", "[1]", '[1, "a", null, true, [], {}]', "[[[]]]", "[{}]", "{}", "{ }",
    '{"a": 1}', '{"": ""}', '{"a": {"a": {"a": {}}}}', '{"a": [], "b": [], "A": []}', '[{"a": 1}, {"a": 1}]',
    '{"\u00e9": 1, "e\u0301": 2}', " \t\r\n1\n\r\t ", "[\n1\n,\r2\t]", '{\n"a"\t:\r1 }',
]  # fmt: skip
_BAD_VALUES = [
    "", " ", "True", "TRUE", "tru", "trues", "fals", "nul", "nulll", "NULL", "None", "nil", "undefined", "t", "true1",
    "truefalse", "null null", "[", "]", "[1", "1]", "[1}", "[}", "{]", "[1,]", "[,1]", "[1,,2]", "[,]", "[1 2]",
    "[1:2]",
    "[1;2]", '["a":1]', '["a"', "[...]", "()", "<1>", "[[]", "[]]", "{", "}", "{}}", "{{}}", "{[]}", '{"a"}', '{"a":}',
    '{"a" 1}', '{"a"::1}', '{"a":1,}', '{,"a":1}', "{,}", '{"a":1,,"b":2}', '{"a":1 "b":2}', '{"a":1;"b":2}', "{:1}",
    '{"a"=1}', '{"a"=>1}', '{"a",1}', '{"a":1:2}', '{"a":"b":"c"}', "{a:1}", "{'a':1}", "{1:1}", "{null:1}", "{[]:1}",
    "{{}:1}", '{"a":1', '{"a"', '{"a', '{"a":', "/**/1", "1/**/", "1//", "1#", "--1", "<!---->1", "1;", "=1", ",1",
    "1,",
    ":1", "*", "&a 1", "!!int 1", "@", "~", "?", "\\", "[\\n]", '{"a":\\u0031}',
]  # fmt: skip
_NO_SPACES = ["\x00", "\x0b", "\x0c", "\x1c", "\x1f", "\x7f", "\u0085", "\u00a0", "\u1680", "\u180e", "\u2000",
              "\u2003",
              "\u200b", "\u2028", "\u2029", "\u202f", "\u205f", "\u2060", "\u3000", "\ufeff"]  # fmt: skip
_TWICE = [
    '{"a":1,"a":1}', '{"a":1,"b":2,"a":3}', '{"":1,"":2}', r'{"a":1,"\u0061":2}', r'{"/":1,"\/":2}',
    '{"\U0001f511":1,' + r'"\ud83d\udd11":2}', r'{"\u00e9":1,"\u00E9":2}', '[[{"b":[{"c":1,"c":2}]}]]',
]  # fmt: skip


def _structure() -> Iterator[Case]:
    yield from _values(ACCEPT, "value", _GOOD_VALUES)
    yield from _values(REFUSE, "no value", _BAD_VALUES)
    yield from _values(REFUSE, "a key twice", _TWICE)
    for space in _NO_SPACES:
        for name, value in (("before", f"{space}1"), ("behind", f"1{space}"), ("within", f"[1,{space}2]")):
            yield Case(f"no white space {name}: {space!a}", partial(with_member, value.encode()), REFUSE)
    for key, verdict in ((b'"x":1,"x"', REFUSE), (b'"x":1,"X"', ACCEPT), (b'"y":1,"\\u0079"', REFUSE)):
        yield Case(f"members {key.decode()}", partial(with_key, key), verdict)


# -- depth and width ---------------------------------------------------------------------------------------------------


def _bounds() -> Iterator[Case]:
    for depth, verdict in ((31, ACCEPT), (32, REFUSE), (500, REFUSE), (100_000, REFUSE)):
        arrays, objects = b"[" * depth + b"]" * depth, b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)
        yield from _values(verdict, "depth", {f"{depth} arrays": arrays, f"{depth} objects": objects})
        pairs, rest = divmod(depth, 2)
        mixed = b'[{"a":' * pairs + b"[]" * rest + b"1" * (1 - rest) + b"}]" * pairs
        yield from _values(verdict, "depth", {f"{depth} in turn": mixed})
        yield from _values(REFUSE, "depth", {f"{depth} arrays left open": b"[" * depth})
    for count, verdict in ((4_900, ACCEPT), (5_001, REFUSE), (100_000, REFUSE)):
        numbers = b"[" + b",".join([b"1"] * count) + b"]"
        texts = b"[" + b",".join([b'",:"'] * count) + b"]"
        yield from _values(verdict, "width", {f"{count} numbers": numbers, f"{count} texts": texts})
    members = b",".join(b'"k%d":0' % number for number in range(2_600))
    yield from _values(REFUSE, "width", {"2,600 members": b"{" + members + b"}"})
    yield from _values(ACCEPT, "width", {"100,000 brackets in a text": b'"' + b"[{:,}]" * 16_000 + b'"'})


# -- the text as a whole -----------------------------------------------------------------------------------------------

_BEHIND = [b"x", b"}", b"]", b",", b";", b"{}", b" {}", b"\n{}", b"[]", b"null", b"\0", b"\x1a", b"\xef\xbb\xbf", b"//",
           b"/**/", b"#", b"\xff", b"\x0c", b"\xc2\xa0", b'"', b"=1", b"&a=1"]  # fmt: skip
_BEFORE = [b"\xef\xbb\xbf", b"x", b",", b"[", b"{", b"}", b"\0", b")]}',\n", b"while(1);", b"+", b"\x0b",
           b"\xc2\xa0", b"//",
           b"/**/", b"json=", b"\xff\xfe", b"\x1e", b"\xe2\x81\xa0", b'""']  # fmt: skip
_OTHER_ROOTS = [
    "[]", "[{}]", '""', '"a"', "0", "1", "-1", "0.5", "1e5", "true", "false", "null", "NaN", "Infinity", "abc", "{",
    "}",
    "[", "]", '"', "'", "\\", ",", ":", "-", "0x", "<a/>", "a: 1", "---\na: 1", "name=n", "a=1&b=2", "[[[[", "{{{{",
    "\0",
    "%7B%7D", '{"a":1',
]  # fmt: skip


def _around(head: bytes, tail: bytes, good: bytes) -> bytes:
    return head + good + tail


def _instead(text: bytes, good: bytes) -> bytes:
    return text


def _cut(percent: int, good: bytes) -> bytes:
    return good[: max(1, len(good) * percent // 100)]


def _wholes() -> Iterator[Case]:
    for tail in _BEHIND:
        yield Case(f"behind it: {tail!a}", partial(_around, b"", tail), REFUSE)
    for head in _BEFORE:
        yield Case(f"before it: {head!a}", partial(_around, head, b""), REFUSE)
    for text in _OTHER_ROOTS:
        yield Case(f"in its place: {text!a}", partial(_instead, text.encode()), REFUSE)
    for percent in range(5, 100, 5):
        yield Case(f"cut after {percent} %", partial(_cut, percent), REFUSE)
    yield Case("cut before the last brace", lambda good: good[:-1], REFUSE)
    yield Case("cut in front", lambda good: good[1:], REFUSE)
    yield Case("as it is", lambda good: good, ACCEPT)
    yield Case("white space around", lambda good: b" \t\r\n" + good + b"\n\r\t ", ACCEPT)
    yield Case("100,000 spaces around", lambda good: b" " * 100_000 + good + b"\n" * 100_000, ACCEPT)
    yield Case("indented", lambda good: json.dumps(json.loads(good), indent=4).encode(), ACCEPT)
    yield Case("its own list", lambda good: b"[" + good + b"]", REFUSE)
    yield Case("its own text", lambda good: json.dumps(good.decode()).encode(), REFUSE)
    yield Case("in parentheses", lambda good: b"(" + good + b")", REFUSE)
    yield Case("twice", lambda good: good * 2, REFUSE)
    yield Case("its members twice", lambda good: good[:-1] + b"," + good[1:], REFUSE)
    yield Case("every quote single", lambda good: good.replace(b'"', b"'"), REFUSE)
    yield Case("reversed", lambda good: good[::-1], REFUSE)


CASES = tuple(itertools.chain(_numbers(), _strings(), _encodings(), _structure(), _bounds(), _wholes()))
