# SPDX-License-Identifier: Apache-2.0
"""Tests reach this machine and no other."""

import socket

import pytest

from tests.support.loopback import LeftTheMachine


def test_a_test_may_connect_to_loopback() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()[:2]) as end,
    ):
        assert end.getpeername() == listener.getsockname()


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_a_test_cannot_connect_elsewhere(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as end, pytest.raises(LeftTheMachine):
        end.connect((address, 9))


def test_a_test_cannot_send_a_packet_elsewhere() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end, pytest.raises(LeftTheMachine):
        end.sendto(b"x", ("192.0.2.1", 9))


def test_a_test_cannot_ask_for_the_address_of_another_machine() -> None:
    with pytest.raises(LeftTheMachine):
        socket.getaddrinfo("vault.example", 443)
