# SPDX-License-Identifier: Apache-2.0
"""What an access key is confined to (contract 2.6; R-TOK-11, R-TOK-13)."""

from dataclasses import replace

import pytest

from mysafe.authz.restrictions import canonical_blocks, canonical_fingerprint, forbidden_by, is_address_allowed
from mysafe.domain.access_keys import AccessKey
from mysafe.domain.ids import AccessKeyId, UserId

KEY = AccessKey(AccessKeyId(1), 1, UserId(1), "k", "c", b"", (), (), None, is_revoked=False, created_at=0)

ADDRESSES = [
    # blocks of the key, client address, allowed
    ((), "198.51.100.7", True),
    ((), "local", True),
    (("203.0.113.9/32",), "203.0.113.9", True),
    (("203.0.113.9/32",), "203.0.113.10", False),
    (("203.0.113.0/24",), "203.0.113.255", True),
    (("203.0.113.0/24",), "203.0.114.0", False),
    (("2001:db8::/32",), "2001:db8::1", True),
    (("2001:db8::/32",), "2001:db9::1", False),
    (("203.0.113.9/32",), "::ffff:203.0.113.9", True),
    (("203.0.113.9/32",), "2001:db8::1", False),
    (("10.0.0.0/8", "2001:db8::/32"), "10.1.2.3", True),
    (("10.0.0.0/8",), "", False),
    (("10.0.0.0/8",), "local", False),
    (("10.0.0.0/8",), "10.1.2.3.4", False),
]


@pytest.mark.parametrize(("blocks", "address", "is_allowed"), ADDRESSES)
def test_an_address_is_allowed_inside_the_blocks_only(blocks: tuple[str, ...], address: str, is_allowed: bool) -> None:
    assert is_address_allowed(blocks, address) is is_allowed
    assert (forbidden_by(replace(KEY, addresses=blocks), address, None) is None) is is_allowed


def test_the_referer_is_compared_as_sent_when_the_key_lists_any() -> None:
    key = replace(KEY, referers=("https://one.example/", "https://two.example/"))
    assert forbidden_by(key, "10.0.0.1", "https://two.example/") is None
    assert forbidden_by(key, "10.0.0.1", "https://three.example/") == "referer"
    assert forbidden_by(key, "10.0.0.1", None) == "referer"
    assert forbidden_by(KEY, "10.0.0.1", "https://three.example/") is None


def test_blocks_are_stored_in_canonical_form_and_a_star_is_any_address() -> None:
    assert canonical_blocks(["10.0.0.1", "2001:DB8::/32"]) == ("10.0.0.1/32", "2001:db8::/32")
    assert canonical_blocks(["10.0.0.1", "*"]) == ()
    assert canonical_blocks([]) == ()
    mapped = ["::ffff:10.0.0.1", "::ffff:10.0.0.0/104", "::ffff:0:0/96", "::/0"]
    assert canonical_blocks(mapped) == ("10.0.0.1/32", "10.0.0.0/8", "0.0.0.0/0", "::/0")
    assert is_address_allowed(canonical_blocks(mapped[:1]), "::ffff:10.0.0.1")


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0", "host.example", "", "10.0.0.0/33"])
def test_what_is_no_address_or_block_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the text is the library's
        canonical_blocks([text])


PRINT = "ab" * 32


@pytest.mark.parametrize(
    ("certificate", "rule"),
    [
        (PRINT, None),
        (None, "certificate"),
        ("", "certificate"),
        ("cd" * 32, "certificate"),
        (PRINT[:-1], "certificate"),
    ],
)
def test_a_key_with_a_fingerprint_is_forbidden_without_that_certificate(
    certificate: str | None, rule: str | None
) -> None:
    assert forbidden_by(replace(KEY, fingerprint=PRINT), "192.0.2.1", None, certificate) == rule
    assert forbidden_by(KEY, "192.0.2.1", None, certificate) is None


@pytest.mark.parametrize("text", [PRINT, PRINT.upper(), ":".join(["AB"] * 32), " ".join(["ab"] * 32)])
def test_the_spelling_of_a_fingerprint_does_not_count(text: str) -> None:
    assert canonical_fingerprint(text) == PRINT
    assert canonical_fingerprint("") == ""


@pytest.mark.parametrize("text", [PRINT[:-1], PRINT + "a", "xy" * 32, "sha256", "\u0661" * 64])
def test_what_is_no_sha256_is_no_fingerprint(text: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        canonical_fingerprint(text)
