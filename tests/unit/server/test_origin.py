# SPDX-License-Identifier: Apache-2.0
"""Whose address a request is attributed to (T-PROXY)."""

from ipaddress import ip_network

import pytest

from mysafe.server.origin import client_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))


def forwarded(*values: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"a"), *((b"x-forwarded-for", value.encode("latin-1")) for value in values)]


@pytest.mark.parametrize(
    ("peer", "values", "expected"),
    [
        ("10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["203.0.113.9, 192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["203.0.113.9, 192.0.2.7, 10.2.3.4"], "192.0.2.7"),
        ("10.0.0.1", ["203.0.113.9", "192.0.2.7,10.2.3.4"], "192.0.2.7"),
        ("10.0.0.1", ["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
        ("10.0.0.1", ["::ffff:192.0.2.7"], "192.0.2.7"),
        ("::ffff:10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("2001:db8:1::5", ["2001:DB8::0:7"], "2001:db8::7"),
        ("10.0.0.1", ["192.0.2.7:4711"], "192.0.2.7"),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", ["[2001:db8::7]"], "2001:db8::7"),
        ("10.0.0.1", ["nonsense, 192.0.2.7"], "192.0.2.7"),
    ],
)
def test_a_trusted_proxy_names_the_client(peer: str, values: list[str], expected: str) -> None:
    assert client_address(peer, forwarded(*values), PROXIES) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nonsense",
        "192.0.2.7, nonsense",
        "192.0.2.7,",
        "192.0.2.7:x",
        "192.0.2.7:",
        "192.0.2.300",
        "[192.0.2.7]:1",
        "[2001:db8::7",
        "[2001:db8::7]x",
        "192.0.2.7\x00",
        "unknown",
        "192.0.2.7/32",
        "\xb9\xb2.0.2.7",
    ],
)
def test_a_malformed_hop_gives_the_proxy_itself(value: str) -> None:
    assert client_address("10.0.0.1", forwarded(value), PROXIES) == "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "expected"),
    [("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("2001:db8::0:1", "2001:db8::1"),
     ("fe80::1%eth0", "fe80::1"), ("", ""), ("not an address", "not an address")],
)  # fmt: skip
@pytest.mark.parametrize("proxies", [(), PROXIES], ids=["without proxies", "with proxies"])
def test_anybody_else_names_only_itself(peer: str, expected: str, proxies: tuple[object, ...]) -> None:
    assert client_address(peer, forwarded("203.0.113.9"), proxies) == expected  # type: ignore[arg-type]


def test_a_trusted_proxy_that_names_nobody_is_the_client() -> None:
    assert client_address("10.0.0.1", [(b"host", b"a")], PROXIES) == "10.0.0.1"
