# SPDX-License-Identifier: Apache-2.0
"""Read an upload as it arrives: the fields are kept, the content is passed on piece by piece. No I/O, no disk.

    multipart/form-data      fields, and one part named `file`, in any order            RFC 7578, RFC 2046
    anything else            the body is the content; its fields stand in a header

Strict where two readers could disagree: no preamble, no nested or encoded parts, each name once.
"""

import re
from typing import NamedTuple, Protocol

from mysafe.domain.errors import BadMultipart, MissingField, TooLarge
from mysafe.domain.files import EXTRA_BYTES

MOST_HEADER_BYTES = 4096
"""Most bytes of the headers of one part."""

MOST_PARTS = 1000

# RFC 2046, 5.1.1, without space and without what needs no quotes in no other place.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}")
_PARAMETER = re.compile(r';[ \t]*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"([^"\r\n]*)"|([!#$%&\'*+.^_`|~0-9A-Za-z-]+))[ \t]*')
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Given(NamedTuple):
    """What an upload says besides its content. `file_name` and `media_type` are those of the part, or None."""

    pairs: list[tuple[str, str]]
    file_name: str | None = None
    media_type: str | None = None


class UploadReader(Protocol):
    """Take a body in pieces and give its content in pieces."""

    def feed(self, data: bytes) -> list[memoryview]:
        """Return what of the content is in the next piece of the body. Raises InvalidInput."""

    def finish(self) -> Given:
        """Return what else the body said, now that it is complete. Raises InvalidInput."""


class RawReader:
    """A body that is all content."""

    def feed(self, data: bytes) -> list[memoryview]:
        """Return it all."""
        return [memoryview(data)] if data else []

    def finish(self) -> Given:
        """Return nothing: the fields are elsewhere."""
        return Given([])


class MultipartReader:
    """A multipart body. `content_name` names the part that is the content.

    Raises:
        BadMultipart: the content type has no boundary that can be used.
    """

    def __init__(self, content_type: str, content_name: str) -> None:
        boundary = _parameters(content_type).get("boundary", "")
        if not _BOUNDARY.fullmatch(boundary):
            raise BadMultipart
        self._delimiter = b"\r\n--" + boundary.encode("ascii")
        self._content_name = content_name
        # The first delimiter needs no line before it: it gets one, and all are alike.
        self._buffer = b"\r\n"
        self._state = self._between
        self._name = ""
        self._is_content = False
        self._value = bytearray()
        self._pairs: list[tuple[str, str]] = []
        self._extra_bytes = 0
        self._content: Given | None = None

    def feed(self, data: bytes) -> list[memoryview]:
        """Return what of the content is in the next piece of the body.

        Raises:
            BadMultipart: it is not such a body.
            TooLarge: there is more around the content than EXTRA_BYTES.
        """
        self._buffer = self._buffer + data if self._buffer else data
        found: list[memoryview] = []
        while self._state(found):
            pass
        return found

    def finish(self) -> Given:
        """Return fields, name and type of the content.

        Raises:
            BadMultipart: the body ended too early.
            MissingField: there was no content.
        """
        if self._state != self._behind:
            raise BadMultipart
        if self._content is None:
            raise MissingField(self._content_name)
        return self._content._replace(pairs=self._pairs)

    # -- one method for each place in the body; each says whether there is more to do --------------------------

    def _between(self, found: list[memoryview]) -> bool:
        """At the delimiter before a part, or the one that ends the body."""
        size = len(self._delimiter)
        if not self._delimiter.startswith(self._buffer[:size]):
            raise BadMultipart
        end = self._buffer[size : size + 2]
        if len(end) < 2:
            return False
        self._count(size + 2)
        self._buffer = self._buffer[size + 2 :]
        if end == b"--":
            self._state = self._behind
        elif end == b"\r\n":
            self._state = self._in_head
        else:
            raise BadMultipart
        return True

    def _in_head(self, found: list[memoryview]) -> bool:
        """In the headers of a part."""
        end = self._buffer.find(b"\r\n\r\n")
        if end > MOST_HEADER_BYTES or (end < 0 and len(self._buffer) > MOST_HEADER_BYTES):
            raise BadMultipart
        if end < 0:
            return False
        self._begin_part(self._buffer[:end])
        self._count(end + 4)
        self._buffer = self._buffer[end + 4 :]
        self._state = self._in_part
        return True

    def _in_part(self, found: list[memoryview]) -> bool:
        """In the content, or the value of a field."""
        end = self._buffer.find(self._delimiter)
        safe = end if end >= 0 else max(len(self._buffer) - len(self._delimiter) + 1, 0)
        if safe:
            piece = memoryview(self._buffer)[:safe]
            if self._is_content:
                found.append(piece)
            else:
                self._count(safe)
                self._value += piece
            self._buffer = self._buffer[safe:]
        if end < 0:
            return False
        self._end_part()
        self._state = self._between
        return True

    def _behind(self, found: list[memoryview]) -> bool:
        """After the last delimiter, where only an end of line may stand."""
        if not b"\r\n".startswith(self._buffer):
            raise BadMultipart
        return False

    def _count(self, size: int) -> None:
        self._extra_bytes += size
        if self._extra_bytes > EXTRA_BYTES:
            raise TooLarge(EXTRA_BYTES)

    def _begin_part(self, head: bytes) -> None:
        headers = _headers(head)
        disposition = headers.get("content-disposition", "")
        parameters = _parameters(disposition)
        name = parameters.get("name")
        if disposition.partition(";")[0].strip().lower() != "form-data" or not name or len(self._pairs) >= MOST_PARTS:
            raise BadMultipart
        if headers.get("content-transfer-encoding", "binary").lower() not in {"binary", "8bit", "7bit"}:
            raise BadMultipart
        self._name, self._is_content = name, name == self._content_name
        if self._is_content:
            if self._content is not None:
                raise BadMultipart
            self._content = Given([], _unescaped(parameters.get("filename")), headers.get("content-type"))

    def _end_part(self) -> None:
        if self._is_content:
            return
        try:
            self._pairs.append((self._name, self._value.decode("utf-8")))
        except UnicodeDecodeError:
            raise BadMultipart from None
        self._value = bytearray()


def _headers(head: bytes) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in head.split(b"\r\n"):
        name, colon, value = line.partition(b":")
        key = name.decode("latin-1").lower()
        if not colon or not _TOKEN.fullmatch(name) or key in headers or b"\n" in value or b"\r" in value:
            raise BadMultipart
        try:
            headers[key] = value.decode("utf-8").strip(" \t")
        except UnicodeDecodeError:
            raise BadMultipart from None
    return headers


def _parameters(value: str) -> dict[str, str]:
    """Return the parameters of a header value. Raises BadMultipart for what cannot be read, or stands there twice."""
    start = value.find(";")
    found: dict[str, str] = {}
    while 0 <= start < len(value):
        match = _PARAMETER.match(value, start)
        if match is None or match[1].lower() in found:
            raise BadMultipart
        found[match[1].lower()] = match[2] if match[2] is not None else match[3]
        start = match.end()
    return found


def _unescaped(name: str | None) -> str | None:
    """Return a file name as it was before a browser escaped it (RFC 7578, 4.2; WHATWG HTML, 4.10.21.8)."""
    if name is None:
        return None
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
