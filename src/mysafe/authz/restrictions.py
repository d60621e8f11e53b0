# SPDX-License-Identifier: Apache-2.0
"""What an access key is confined to. A restriction only takes away (contract 2.6)."""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from mysafe.domain.access_keys import AccessKey

_SEPARATORS = str.maketrans("", "", ": ")
_IS_SHA256 = re.compile("[0-9a-f]{64}").fullmatch

_MAPPED_PREFIX = 96
"""Length of ::ffff:0:0/96, the block of mapped addresses (RFC 4291, 2.5.5.2)."""


def forbidden_by(key: AccessKey, address: str, referer: str | None, certificate: str | None = None) -> str | None:
    """Return the rule of `key` that forbids a call from here: "address", "certificate" or "referer", or None.

    `certificate` is the SHA-256 of the client certificate as 64 hexadecimal digits, None without one (R-TOK-12).
    The referer is compared as sent; it is a courtesy of the protocol, not a security control (R-TOK-13).
    """
    if key.addresses and not is_address_allowed(key.addresses, address):
        return "address"
    if key.fingerprint and certificate != key.fingerprint:
        return "certificate"
    if key.referers and referer not in key.referers:
        return "referer"
    return None


def is_address_allowed(blocks: Sequence[str], address: str) -> bool:
    """Return whether `address` is in one of the CIDR blocks; no block is any address.

    An address that is none ("local", "") is in no block. IPv4 addresses mapped into IPv6 count as IPv4.
    """
    if not blocks:
        return True
    try:
        parsed = _parse(address)
    except ValueError:
        return False
    return any(parsed in network for network in _networks(tuple(blocks)))


def _parse(address: str) -> IPv4Address | IPv6Address:
    parsed = ip_address(address)
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed


@lru_cache(maxsize=1024)
def _networks(blocks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(block) for block in blocks)


def canonical_fingerprint(text: str) -> str:
    """Return a certificate's SHA-256 as 64 hexadecimal digits in lower case, "" for an empty text.

    Colons, spaces and case do not count.

    Raises:
        ValueError: it is none.
    """
    digits = text.translate(_SEPARATORS).lower()
    if digits and _IS_SHA256(digits) is None:
        raise ValueError("not 64 hexadecimal digits")
    return digits


def canonical_blocks(texts: Sequence[str]) -> tuple[str, ...]:
    """Return addresses and CIDR blocks in canonical form; `*` among them means any address, returned as ().

    Raises:
        ValueError: a text is neither `*`, an address nor a block, or a block has host bits set.
    """
    if "*" in texts:
        return ()
    return tuple(str(_canonical(ip_network(text))) for text in texts)


def _canonical(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Return an IPv4 block for IPv4 addresses mapped into IPv6: clients are compared in that form, too."""
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    if mapped is None or network.prefixlen < _MAPPED_PREFIX:
        return network
    return IPv4Network((mapped, network.prefixlen - _MAPPED_PREFIX))
