# SPDX-License-Identifier: Apache-2.0
"""Reading uploads: the pieces a body arrives in do not matter, and what two readers could disagree about is refused."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.domain.errors import BadMultipart, InvalidInput, MissingField, TooLarge, VaultError
from mysafe.domain.files import EXTRA_BYTES
from mysafe.server.api.multipart import Given, MultipartReader, RawReader

TYPE = "multipart/form-data; boundary=B"
FILE = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\nContent-Type: text/x\r\n\r\n'
FIELD = b'--B\r\nContent-Disposition: form-data; name="name"\r\n\r\n'
END = b"\r\n--B--\r\n"
NASTY = b"\r\n--\r\n-\r\n--A--B\r\n\r\r\n--"


def body(content: bytes, fields: dict[str, str], *, is_content_first: bool = False) -> bytes:
    parts = [
        f'--B\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    parts.insert(0 if is_content_first else len(parts), FILE + content + b"\r\n")
    return b"".join(parts) + b"--B--\r\n"


def read(raw: bytes, step: int = 1 << 20, content_type: str = TYPE) -> tuple[bytes, Given]:
    reader = MultipartReader(content_type, "file")
    found = bytearray()
    for start in range(0, len(raw), step):
        for piece in reader.feed(raw[start : start + step]):
            found += piece
    return bytes(found), reader.finish()


@given(
    st.lists(st.sampled_from([NASTY, b"x", b"\r", b"\n", b"\r\n--B"[:5], bytes(300)]) | st.binary(max_size=40)),
    st.integers(1, 90),
    st.booleans(),
)
def test_a_content_comes_out_as_it_went_in(pieces: list[bytes], step: int, is_content_first: bool) -> None:
    content = b"".join(pieces).replace(b"\r\n--B", b"")
    fields = {"name": "a name, Zoë", "notes": "two\r\nlines", "tags": ""}
    found, said = read(body(content, fields, is_content_first=is_content_first), step)
    assert found == content
    assert said == Given(list(fields.items()), "a.bin", "text/x")


def test_names_of_files_are_unescaped_and_kept() -> None:
    raw = FILE.replace(b"a.bin", "../Zoë %22x%22\\n.bin".encode()) + b"c" + END
    assert read(raw)[1].file_name == '../Zoë "x"\\n.bin'


def test_a_boundary_may_be_quoted() -> None:
    raw = FILE + b"c" + END
    quoted = 'multipart/form-data; charset=utf-8; boundary="B"'
    assert read(raw, content_type=quoted)[0] == b"c"


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=a; boundary=b",
        'multipart/form-data; boundary="a b"',
        f"multipart/form-data; boundary={'x' * 71}",
        "multipart/form-data; boundary=a b",
        "multipart/form-data; boundary",
    ],
)
def test_a_content_type_without_a_clear_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(BadMultipart):
        MultipartReader(content_type, "file")


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", BadMultipart),
        (b"--B--\r\n", MissingField),
        (FIELD + b"only a field" + END, MissingField),
        (b"preamble\r\n" + FILE + b"c" + END, BadMultipart),
        (FILE + b"c" + END + b"epilogue", BadMultipart),
        (FILE + b"c", BadMultipart),
        (FILE + b"c\r\n--B", BadMultipart),
        (FILE + b"c\r\n--B-", BadMultipart),
        (FILE + b"c\r\n--Bx", BadMultipart),
        (FILE + b"c\r\n" + FILE + b"d" + END, BadMultipart),
        (FIELD + b"\xff" + b"\r\n" + FILE + b"c" + END, BadMultipart),
        (b"--B\r\n\r\nno headers\r\n" + FILE + b"c" + END, BadMultipart),
        (FILE.replace(b"form-data", b"attachment") + b"c" + END, BadMultipart),
        (FILE.replace(b'name="file"; ', b"") + b"c" + END, BadMultipart),
        (FILE.replace(b'name="file"', b'name=""') + b"c" + END, BadMultipart),
        (FILE.replace(b'name="file"', b'name="file"; name="x"') + b"c" + END, BadMultipart),
        (FILE.replace(b"Content-Type", b"content-disposition") + b"c" + END, BadMultipart),
        (FILE.replace(b"Content-Type: text/x", b"Content-Transfer-Encoding: base64") + b"Yw==" + END, BadMultipart),
        (FILE.replace(b"Content-Type: text/x", b" folded") + b"c" + END, BadMultipart),
        (FILE.replace(b"text/x", b"x" * 5000) + b"c" + END, BadMultipart),
        (b"--B\r\n" + b"x" * 5000, BadMultipart),
        (FIELD + b"x" * (EXTRA_BYTES + 1) + b"\r\n" + FILE + b"c" + END, TooLarge),
        (FIELD + b"x" * (2 * EXTRA_BYTES), TooLarge),
        ((FIELD + b"\r\n") * 1001 + FILE + b"c" + END, VaultError),
    ],
)
@pytest.mark.parametrize("step", [1 << 20, 7])
def test_what_is_no_upload_is_refused(raw: bytes, error: type[Exception], step: int) -> None:
    with pytest.raises(error):
        read(raw, step)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_nothing_else_is_ever_raised(raw: bytes, step: int) -> None:
    for mutate in _MUTATIONS:
        try:
            read(mutate(raw), step)
        except (InvalidInput, TooLarge):
            continue


_MUTATIONS: list[Callable[[bytes], bytes]] = [
    lambda raw: raw,
    lambda raw: b"--B\r\n" + raw,
    lambda raw: FILE + raw,
    lambda raw: FILE.replace(b"form-data", raw) + b"c" + END,
    lambda raw: FILE + b"c\r\n--B" + raw,
]


def test_memory_does_not_grow_with_the_content() -> None:
    reader = MultipartReader(TYPE, "file")
    reader.feed(FILE)
    for _ in range(100):
        assert sum(map(len, reader.feed(bytes(100_000)))) > 99_000
        assert len(reader._buffer) < 10


def test_a_raw_body_is_all_content() -> None:
    reader = RawReader()
    assert [bytes(piece) for data in (b"ab", b"", b"c") for piece in reader.feed(data)] == [b"ab", b"c"]
    assert reader.finish() == Given([])
