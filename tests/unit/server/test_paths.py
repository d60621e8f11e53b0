# SPDX-License-Identifier: Apache-2.0
"""One spelling for each path (T-PATH)."""

import pytest

from mysafe.server.paths import canonical_path


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"/", "/"),
        (b"/api/mysafe/password", "/api/mysafe/password"),
        (b"/api/mysafe/password/", "/api/mysafe/password"),
        (b"/api/mysafe/password/312", "/api/mysafe/password/312"),
        (b"/api/mysafe/password/312/", "/api/mysafe/password/312"),
        (b"/iso/mysafe/password/312", "/api/mysafe/password/312"),
        (b"/api/iso/mysafe/password/312/", "/api/mysafe/password/312"),
        (b"/iso/oauth2/token", "/api/oauth2/token"),
        (b"/api/oauth2/token", "/api/oauth2/token"),
        (b"/api/mysafe/password/abc", "/api/mysafe/password/abc"),
        (b"/api/mysafe/password/-1", "/api/mysafe/password/-1"),
        (b"/api/mysafe/password/1.5", "/api/mysafe/password/1.5"),
        (b"/api/mysafe/password/...", "/api/mysafe/password/..."),
        (b"/api/mysafe/password/.a", "/api/mysafe/password/.a"),
        (b"/healthz", "/healthz"),
        (b"/isolated/x", "/isolated/x"),
        (b"/api/isolated/x", "/api/isolated/x"),
        (b"/iso", "/iso"),
        (b"/iso/iso/mysafe/password", "/api/iso/mysafe/password"),
        (b"/api/iso/iso/mysafe/password", "/api/iso/mysafe/password"),
    ],
)
def test_a_plain_path_has_one_spelling(raw: bytes, expected: str) -> None:
    assert canonical_path(raw) == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"api",
        b"//",
        b"//api/mysafe/password",
        b"/api//mysafe/password",
        b"/api/mysafe/password//",
        b"/api/./mysafe/password",
        b"/api/../mysafe/password",
        b"/api/mysafe/password/.",
        b"/api/mysafe/password/..",
        b"/api/mysafe/password/../",
        b"/..",
        b"/api/mysafe/pass%77ord",
        b"/api/mysafe%2fpassword",
        b"/api/mysafe/password/%2e%2e/x",
        b"/api/mysafe/password/1%00",
        b"/api/mysafe/password/1\x00",
        b"/api/mysafe/password;x=1",
        b"/api\\mysafe",
        b"/api/mysafe/password\n",
        b"/api/mysafe/password 1",
        "/api/mysafe/password/é".encode(),
        b"/api/mysafe/password?x",
    ],
)
def test_a_path_that_could_be_read_in_two_ways_has_no_spelling(raw: bytes) -> None:
    assert canonical_path(raw) is None
