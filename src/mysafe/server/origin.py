# SPDX-License-Identifier: Apache-2.0
"""Where a request comes from. It must not decide what an address may do."""

import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import unquote

_IS_SHA256 = re.compile("[0-9a-f]{64}").fullmatch
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----", re.ASCII)

Network: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

CERTIFICATE = "mysafe.client_certificate"
"""Where the scope's `extensions` hold the client certificate of our own TLS: `{"sha256": hexadecimal digits}`."""


class Proxies(NamedTuple):
    """The reverse proxies whose word counts: their addresses, and in which header (lower case) they name the client's
    certificate, None if in none."""

    trusted: Sequence[Network] = ()
    certificate_header: bytes | None = None


NO_PROXIES = Proxies()


def client_certificate(peer: str, scope: Mapping[str, Any], proxies: Proxies) -> str | None:
    """Return the SHA-256 of the caller's certificate as hexadecimal digits, None without one.

    From a trusted proxy as `peer`, only the header counts: a certificate of that connection is the proxy's own. It
    must stand there once, since a caller may have sent another one. From anybody else, only our own TLS counts.

    Source: R-TOK-12.
    """
    if proxies.trusted and is_trusted(peer, proxies.trusted):
        values = [value for name, value in scope["headers"] if name == proxies.certificate_header]
        return fingerprint_in(values[0]) if len(values) == 1 else None
    extensions = scope.get("extensions")
    return extensions.get(CERTIFICATE, {}).get("sha256") if extensions else None


def fingerprint_in(value: bytes) -> str | None:
    """Return the SHA-256 that a header gives for a certificate, as hexadecimal digits in lower case, or None.

    The value is the digest itself, 64 hexadecimal digits with or without colons; or the certificate as PEM, which
    may be percent-encoded (nginx, `$ssl_client_escaped_cert`); or its DER as `:base64:` (RFC 9440, `Client-Cert`).
    """
    text = value.decode("latin-1").strip()
    digits = text.replace(":", "").lower()
    if _IS_SHA256(digits):
        return digits
    if text.startswith(":"):
        encoded = text.strip(":")
    else:
        found = _PEM.fullmatch(unquote(text).strip())
        encoded = "".join(found[1].split()) if found else ""
    try:
        certificate = b64decode(encoded, validate=True)
    except ValueError:
        return None
    return sha256(certificate).hexdigest() if certificate else None


def client_address(peer: str, headers: Sequence[tuple[bytes, bytes]], trusted_proxies: Sequence[Network]) -> str:
    """Return the address a request is attributed to, in canonical form.

    Without a trusted proxy as `peer` this is the peer, whatever the headers say. Otherwise it is the rightmost
    address of X-Forwarded-For that is no trusted proxy itself; the leftmost if all are; the peer if one of those
    looked at is malformed. An IPv4 address mapped into IPv6 comes back as IPv4.

    Args:
        peer: address of the other end of the connection; "" where there is none (a unix socket).
        headers: names in lower case.

    Source: R-API-15, R-TOK-11.
    """
    if not trusted_proxies and ":" not in peer:
        return peer
    nearest = parse_address(peer)
    if nearest is None or not is_within(nearest, trusted_proxies):
        return peer if nearest is None else str(nearest)
    client = nearest
    for hop in _hops_from_the_right(headers):
        address = _parse_hop(hop)
        if address is None:
            return str(nearest)
        client = address
        if not is_within(address, trusted_proxies):
            break
    return str(client)


def source_of(address: str) -> str:
    """Return what failures are counted by: an IPv4 address as it is, the /64 block of an IPv6 one.

    Whoever has one address of a /64 block has all of it (R-TOK-14).
    """
    parsed = parse_address(address)
    if parsed is None or parsed.version == 4:
        return address
    return str(IPv6Network((int(parsed) >> 64 << 64, 64)))


def parse_address(text: str) -> Address | None:
    """Return the address, IPv4 where it is IPv4 mapped into IPv6, without zone; None if it is no address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address if address.version == 4 else address.ipv4_mapped or address


def is_trusted(peer: str, trusted_proxies: Sequence[Network]) -> bool:
    """Return whether the other end of a connection is a trusted proxy."""
    address = parse_address(peer)
    return address is not None and is_within(address, trusted_proxies)


def is_within(address: Address, networks: Sequence[Network]) -> bool:
    """Return whether one of `networks` holds `address`."""
    return any(address in network for network in networks)


def _hops_from_the_right(headers: Sequence[tuple[bytes, bytes]]) -> list[str]:
    values = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
    hops = [hop.strip() for hop in ",".join(values).split(",")] if values else []
    return hops[::-1]


def _parse_hop(hop: str) -> Address | None:
    """Return the address of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`."""
    if hop.startswith("["):
        inside, bracket, rest = hop[1:].partition("]")
        return parse_address(inside) if bracket and ":" in inside and _is_port(rest) else None
    if hop.count(":") == 1:
        host, _, port = hop.partition(":")
        return parse_address(host) if _is_port(f":{port}") else None
    return parse_address(hop)


def _is_port(text: str) -> bool:
    return not text or (text[0] == ":" and text[1:].isascii() and text[1:].isdigit())
