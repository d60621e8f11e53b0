# SPDX-License-Identifier: Apache-2.0
"""Keep the tests on this machine: a connection to any other one is refused by the interpreter itself."""

import sys
from ipaddress import ip_address


class LeftTheMachine(Exception):
    """A test tried to reach another machine."""


_ADDRESS_AT = {"socket.connect": 1, "socket.sendto": 1, "socket.getaddrinfo": 0}
"""Audit event of Python → which of its arguments is the address or the name of the other side."""


def stay_on_loopback() -> None:
    """Refuse, for the rest of this process, every Python socket that connects or sends beyond loopback."""
    sys.addaudithook(_refuse_far_addresses)


def _refuse_far_addresses(event: str, arguments: tuple[object, ...]) -> None:
    if event in _ADDRESS_AT:
        address = arguments[_ADDRESS_AT[event]]
        if not is_near(address):
            raise LeftTheMachine(f"a test tried to reach {address!r}")


def is_near(address: object) -> bool:
    """Return whether an address or a host name is loopback, or not of the Internet at all."""
    host = address[0] if isinstance(address, tuple) else address
    if not isinstance(host, str) or host in {"", "localhost"}:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return isinstance(address, str) and address.startswith("/")  # a Unix socket
