# SPDX-License-Identifier: Apache-2.0
"""Conditions of requests: `If-Match`, and the `ETag` it names (RFC 9110, 8.8.3 and 13.1.1; R-API-12)."""

import re

from mysafe.server.api.call import Call

_TAG = re.compile(r'(?:W/)?"[^"]*"')
_STRONG_TAG = re.compile(r'(?<!/)"([1-9][0-9]{0,18})"')


def expected_versions(call: Call) -> frozenset[int] | None:
    """Return the versions an If-Match header names, None without one or for `*`. A weak tag matches nothing."""
    header = call.headers.get(b"if-match")
    text = header.decode("latin-1").strip() if header is not None else "*"
    if text == "*":
        return None
    is_list = not _TAG.sub("", text).strip(", \t")
    return frozenset(map(int, _STRONG_TAG.findall(text))) if is_list else frozenset()


def tag(version: int) -> tuple[bytes, bytes]:
    """Return the ETag header of a record at a version."""
    return b"etag", b'"%d"' % version
