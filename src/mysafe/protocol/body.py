# SPDX-License-Identifier: Apache-2.0
"""Choose the reader of a request body by its content type (contract 1.2). Reads no headers itself."""

import re

from mysafe.domain.errors import BadBody
from mysafe.protocol.form_body import parse_form
from mysafe.protocol.json_body import BLANK, parse_json

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

_BLANK_BYTES = BLANK.encode("ascii")

# What RFC 3986 allows in a query, and brackets. Without a content type that says so, a form must look like one:
# else a broken JSON text with an equals sign in it would be a form with a strange field.
_LOOKS_LIKE_FORM = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:@/?%\[\]-]+")


def parse_body(body: bytes, content_type: str | None) -> dict[str, object]:
    """Return the fields of a body; `{}` when it is empty or blank.

    Parameters of the content type are ignored: JSON is UTF-8 whatever they say (RFC 8259, section 8.1).

    Raises:
        BadBody: it is not what its content type says, or neither JSON nor a form when the type says neither.

    Source: contract 1.2; contract 9, rule 19 (empty body).
    """
    if not body or not body.strip(_BLANK_BYTES):
        return {}
    media_type = _media_type(content_type)
    if media_type == JSON:
        return parse_json(body)
    if media_type == FORM:
        return parse_form(body)
    if body.lstrip(_BLANK_BYTES).startswith(b"{"):  # no other JSON is an object, and no form starts so
        return parse_json(body)
    if _LOOKS_LIKE_FORM.fullmatch(body):
        return parse_form(body)
    raise BadBody


def _media_type(content_type: str | None) -> str:
    if content_type is None or content_type == JSON:
        return content_type or ""
    return content_type.partition(";")[0].strip().lower()
