# SPDX-License-Identifier: Apache-2.0
"""The id of a request: a trusted proxy's counts, nobody else's does, and ours are never given twice."""

from ipaddress import ip_network

import pytest

from mysafe.server.request_ids import RequestIds

PROXY = "192.0.2.1"
TRUSTED = [ip_network("192.0.2.0/24")]


def the_id(given: list[str], peer: str = PROXY, *, ids: RequestIds | None = None) -> str:
    headers = [(b"host", b"x"), *((b"x-request-id", one.encode("latin-1")) for one in given)]
    return (ids or RequestIds(TRUSTED)).of({"headers": headers, "client": (peer, 1)})


@pytest.mark.parametrize("given", ["0123456789abcdef0123456789abcdef", "a1b2-c3d4_e5", "x" * 8, "x" * 64])
def test_the_id_of_a_trusted_proxy_is_taken(given: str) -> None:
    assert the_id([given]) == given


@pytest.mark.parametrize(
    "given",
    ["", "x" * 7, "x" * 65, "with space", "semi;colon", 'quo"te-quote', "new\nline-new", "ümlaut-xx", "xxxxxxxx\n"],
)
def test_an_id_that_is_not_well_formed_is_not_taken(given: str) -> None:
    assert the_id([given]) != given


def test_an_id_that_is_given_twice_is_not_taken() -> None:
    assert the_id(["x" * 8, "x" * 8]) != "x" * 8


@pytest.mark.parametrize("peer", ["198.51.100.1", "2001:db8::1", "", "unknown"])
def test_the_id_of_anybody_else_is_not_taken(peer: str) -> None:
    assert the_id(["x" * 8], peer) != "x" * 8


def test_without_proxies_no_id_is_taken() -> None:
    assert the_id(["x" * 8], ids=RequestIds()) != "x" * 8


def test_our_ids_differ() -> None:
    ids = [RequestIds(TRUSTED), RequestIds()]
    assert len({the_id([], ids=one) for one in ids for _ in range(100)}) == 200
    assert RequestIds().of({"headers": [], "client": None})
