# SPDX-License-Identifier: Apache-2.0
"""Texts that programs like to damage, and all of Unicode in pieces."""

from collections.abc import Iterator

ODD_TEXTS = {
    "a combining mark": "e\u0301",
    "the same in one character": "\u00e9",
    "a mark at the start": "\u0301e",
    "sixty marks on one letter": "Z" + "\u0335\u0322\u0353" * 20,
    "marks in an order that normalising changes": "a\u0301\u0323 a\u0323\u0301",
    "an angstrom and a ring": "\u212b \u00c5 A\u030a",
    "an ohm and an omega": "\u2126 \u03a9",
    "a ligature and a full-width letter": "\ufb01 \uff21 \u00b2 \u2460",
    "Hangul in one and in three": "\uac01 \u1100\u1161\u11a8",
    "compatibility ideographs": "\uf900 \U0002f800",
    "letters whose case changes their length": "\u00df \u0130 \u0149 \ufb03 \u1e9e",
    "sigmas": "\u03a3\u03c3\u03c2",
    "Turkish": "\u0131Ii\u0130",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "overrides": "\u202epassword\u202c \u202dx\u202c",
    "isolates left open": "\u2066a\u2067b\u2068c",
    "marks of direction": "\u200e\u200f\u061c",
    "joiners": "\u200da\u200cb\u200d",
    "widths of nothing": "a\u200b\u2060\ufeff\u00adb",
    "only a width of nothing": "\u200b",
    "all spaces": "a\u0020\u00a0\u1680\u2000\u2003\u2007\u202f\u205f\u3000b",
    "spaces at the ends": " \u00a0a\u3000 ",
    "ends of line": "a\nb\r\nc\rd\u0085e\u2028f\u2029g",
    "tabs and feeds": "a\tb\x0bc\x0cd",
    "control characters": "a\x01\x02\x07\x08\x1a\x1b\x1f\x7fb",
    "more control characters": "a\x80\x8d\x9b\x9fb",
    "a cursor sequence": "\x1b[2J\x1b]0;title\x07",
    "a byte order mark": "\ufeffa",
    "a mark turned round": "\ufffea",
    "noncharacters": "\ufdd0\ufdef\uffff\U0001fffe\U0010ffff",
    "a replacement character": "\ufffd\ufffc",
    "around the surrogates": "\ud7ff\ue000",
    "the ends of every length": "\x7f\u0080\u07ff\u0800\uffff\U00010000\U0010ffff",
    "a private character": "\ue000\U000f0000\U0010fffd",
    "an emoji": "\U0001f511",
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "a skin colour": "\U0001f44d\U0001f3fd",
    "a flag of letters": "\U0001f1e7\U0001f1f7\U0001f1e7",
    "a flag of tags": "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "a keycap": "1\ufe0f\u20e3",
    "variations": "\u2764\ufe0e\u2764\ufe0f\u845b\U000e0100",
    "mathematical letters": "\U0001d4e2\U0001d4ee\U0001d4ec",
    "a letter assigned lately": "\U0001e4d0\U0001f6dc\U00031350",
    "markup": "<script>alert('x')</script><!-- -->",
    "entities": "&amp; &#0; &lt;b&gt; &nbsp;",
    "quotes": "'\"`\u201c\u201d\u2018\u2019\u00ab\u00bb",
    "backslashes": r"\ \\ \n \u0000 \x00 \" C:\new",
    "SQL": "'; DROP TABLE items; -- \x1a",
    "wildcards": "%_*?[a-z]",
    "templates": "{{7*7}} ${7*7} #{7*7} <%= 7*7 %> %s %n {0} {name}",
    "escapes of URLs": "%00 %0a %25 +&=;#? %zz",
    "paths": "../../etc/passwd\\..\\ ~ /dev/null CON",
    "a shell": "$(id) `id` | ; && > <",
    "words that mean something": "null",
    "another such word": "undefined",
    "not a number": "NaN",
    "digits": "0000123",
    "a large number": "1e1000",
    "a formula": "=1+1;@SUM(A1) -1 +1",
    "JSON": '{"password": ["x", null]}',
    "a log line": '" 200 -\n{"level":"info"}',
    "words": "pässwörd пароль 密码 パスワード كلمة",
}
"""Name → text. All can be stored; none has a NUL."""


def scalar_values() -> str:
    """Return every character that UTF-8 can write but NUL: all of Unicode without the surrogates."""
    return "".join(map(chr, [*range(1, 0xD800), *range(0xE000, 0x110000)]))


def pieces(text: str, size: int) -> Iterator[str]:
    """Cut a text into pieces of `size` characters; the last may be shorter."""
    for start in range(0, len(text), size):
        yield text[start : start + size]
