# SPDX-License-Identifier: Apache-2.0
"""Several queues of one port: connections are spread, and somebody else's port is not shared by mistake."""

import select
import socket
from collections.abc import Iterator

import pytest

from mysafe.server import listening
from mysafe.server.listening import Listeners

NUMBER = 4
CONNECTIONS = 64


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    opened = Listeners("127.0.0.1", 0, NUMBER)
    yield opened
    opened.close_all()


def port_of(listeners: Listeners) -> int:
    return int(listeners.of(0)[0].getsockname()[1])


def accepted(listeners: Listeners, port: int) -> list[int]:
    """Return how many connections each queue gets."""
    counts = [0] * NUMBER
    for _ in range(CONNECTIONS):
        with socket.create_connection(("127.0.0.1", port)):
            queues = {listeners.of(slot)[0]: slot for slot in range(NUMBER)}
            (queue, *_), _, _ = select.select(list(queues), [], [], 10)
            queue.accept()[0].close()
            counts[queues[queue]] += 1
    return counts


def test_connections_are_spread_over_the_queues(listeners: Listeners) -> None:
    assert all(accepted(listeners, port_of(listeners)))


def test_one_queue_for_all_does_where_nothing_is_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "IS_SPREAD", False)
    shared = Listeners("127.0.0.1", 0, NUMBER)
    assert shared.of(0) is shared.of(NUMBER - 1)
    shared.close(1)
    assert sum(accepted(shared, port_of(shared))) == CONNECTIONS
    shared.close_all()


def test_a_queue_that_is_closed_gets_nothing_and_is_opened_again(listeners: Listeners) -> None:
    port = port_of(listeners)
    before = listeners.of(1)[0]
    listeners.close(1)
    assert before.fileno() == -1
    assert listeners.of(1)[0].getsockname()[1] == port
    assert all(accepted(listeners, port))


def test_a_worker_keeps_its_own_sockets_only(listeners: Listeners) -> None:
    others = [listeners.of(slot)[0] for slot in (0, 1, 3)]
    (own,) = listeners.keep_only(2)
    assert own.fileno() >= 0
    assert {other.fileno() for other in others} == {-1}


def test_a_port_where_another_server_listens_is_refused(listeners: Listeners) -> None:
    with pytest.raises(OSError, match="Address already in use"):
        Listeners("127.0.0.1", port_of(listeners), NUMBER)
