# SPDX-License-Identifier: Apache-2.0
"""Handlers of files: like the other items, but their content is streamed in and out (docs/api/files.md)."""

from functools import partial
from urllib.parse import quote

from mysafe.domain.actions import Action
from mysafe.domain.deferred import Deferred
from mysafe.domain.errors import MissingField
from mysafe.domain.files import FileContent, StoredContent
from mysafe.domain.items import ItemChange
from mysafe.protocol import codes, envelope
from mysafe.protocol import files as wire
from mysafe.protocol.files import FILES
from mysafe.protocol.form_body import form_fields
from mysafe.protocol.items import read_change
from mysafe.server.api import items
from mysafe.server.api.call import Answer, Call, Operation, Outgoing, Reception, Step
from mysafe.server.api.conditions import expected_versions
from mysafe.server.api.multipart import Given, MultipartReader, RawReader, UploadReader
from mysafe.server.api.ranges import find_span
from mysafe.services.files import downloads, uploads

MULTIPART = "multipart/form-data"
RAW = "application/octet-stream"
FIELDS_HEADER = b"mysafe-fields"

DOWNLOAD_HEADERS = (
    (b"content-security-policy", b"sandbox; default-src 'none'"),
    (b"accept-ranges", b"bytes"),
)
"""R-FILE-05: whatever a file is, no browser shows it as part of this site."""

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_.()")


def operations() -> tuple[Operation, ...]:
    """Return the routes of files: those of every kind, two of which take a content, and the way to the content."""
    path = f"/api/mysafe/{FILES.name}"
    takes = {("POST", path): receive_new, ("POST", f"{path}/update/{{identifier}}"): receive_next}
    takes["PUT", f"{path}/update/{{identifier}}"] = receive_next
    usual = (one._replace(receive=takes.get((one.method, one.path))) for one in items.operations(FILES))
    return (*usual, Operation("GET", f"{path}/{{identifier}}/content", Action.ITEM_DOWNLOAD, content))


def receive_new(call: Call) -> Reception:
    """POST /api/mysafe/file: leave first, then the content, then the item."""
    reader = _reader(call)
    if reader is None:
        raise MissingField(wire.CONTENT)
    begin = partial(uploads.begin, ref=None, announced_bytes=call.announced_bytes(), bounds=call.bounds)
    _header_fields(call)  # what is wrong with it is known before the content, and said before it
    return Reception(begin, reader, partial(_create, call))


def receive_next(call: Call) -> Reception | None:
    """PUT /api/mysafe/file/update/{identifier} with a content; None if the body has only fields."""
    reader = _reader(call)
    if reader is None:
        return None
    begin = partial(
        uploads.begin,
        ref=items.ref_of(FILES, call),
        announced_bytes=call.announced_bytes(),
        bounds=call.bounds,
        expected_versions=expected_versions(call),
    )
    return Reception(begin, reader, partial(_replace, call))


def content(call: Call) -> Step:
    """GET /api/mysafe/file/{identifier}/content."""
    return Step(partial(downloads.open_content, ref=items.ref_of(FILES, call)), partial(_content, call))


def _create(call: Call, stored: StoredContent, given: Given) -> Step:
    work = partial(uploads.create, stored=stored, fields=_change(call, given), bounds=call.bounds)
    return Step(work, partial(items.changed, FILES, call, 201, FILES.texts.created))


def _replace(call: Call, stored: StoredContent, given: Given) -> Step:
    work = partial(
        uploads.replace,
        ref=items.ref_of(FILES, call),
        stored=stored,
        change=_change(call, given),
        bounds=call.bounds,
        expected_versions=expected_versions(call),
    )
    return Step(work, partial(items.changed, FILES, call, 200, FILES.texts.updated))


def _content(call: Call, file: FileContent) -> Answer:
    tag = f'"{file.blob_id}"'
    span = find_span(_text(call, b"range"), _text(call, b"if-range"), tag, file.size_bytes)
    if span is None:
        body = envelope.failure(416, codes.BAD_RANGE, 416, mensagem=call.compatibility.is_mensagem_sent)
        return Answer(416, body, ((b"content-range", b"bytes */%d" % file.size_bytes),))
    headers: tuple[tuple[bytes, bytes], ...] = (
        *DOWNLOAD_HEADERS,
        (b"content-disposition", _disposition(file.file_name)),
        (b"etag", tag.encode()),
    )
    if span.is_part:
        headers += ((b"content-range", b"bytes %d-%d/%d" % (span.start, span.stop - 1, file.size_bytes)),)
    content_type = (b"content-type", RAW.encode("ascii"))
    return Answer(206 if span.is_part else 200, b"", headers, content_type, Outgoing(file, span.start, span.stop))


def _reader(call: Call) -> UploadReader | None:
    """Return what reads the content out of the body; None if the body has none."""
    content_type = _text(call, b"content-type") or ""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == MULTIPART:
        return MultipartReader(content_type, wire.CONTENT)
    return RawReader() if media_type == RAW else None


def _change(call: Call, given: Given) -> Deferred[ItemChange]:
    """Return what the fields ask for; a name or type of the content itself counts where no field says another."""

    def parse() -> ItemChange:
        fields = form_fields(given.pairs) | _header_fields(call)
        for name, value in ((wire.FILE_NAME, given.file_name), (wire.MEDIA_TYPE, given.media_type)):
            if value is not None:
                fields.setdefault(name, value)
        return read_change(fields, FILES.shape, call.compatibility)

    return Deferred(parse)


def _header_fields(call: Call) -> dict[str, object]:
    header = _text(call, FIELDS_HEADER)
    return wire.parse_fields_header(header) if header is not None else {}


def _disposition(file_name: str) -> bytes:
    """Return the header that makes a browser save the file under its name (RFC 6266), without any path in it."""
    name = file_name.replace("/", "_").replace("\\", "_")
    plain = "".join(letter if letter in _PLAIN else "_" for letter in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}".encode("ascii")


def _text(call: Call, header: bytes) -> str | None:
    value = call.headers.get(header)
    return value.decode("latin-1") if value is not None else None
