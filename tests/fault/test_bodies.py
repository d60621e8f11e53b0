# SPDX-License-Identifier: Apache-2.0
"""T-BODY: requests that are too long or lie about their length get a 4xx early, and take next to no memory.

Many of them come at once. The control is a server whose limit is raised: it listens on, and its memory grows.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat
from pathlib import Path

import pytest

from tests.support.couple import couple
from tests.support.file_client import RAW, fields_header
from tests.support.hostile import Address, Flooded, chunks, flood, head
from tests.support.writers import fields_of

CLIENTS = 8
MIB = 1024 * 1024
TEN_GB = 10 * 1024 * MIB
MOST_GROWTH_MIB = 32
MOST_SENT = 512 * MIB
"""Much less than would be sent. A busy machine may take a moment to answer, and the client goes on meanwhile."""

PASSWORD, FILE = "/api/mysafe/password", "/api/mysafe/file"
JSON = "Content-Type: application/json"
CHUNKED = "Transfer-Encoding: chunked"
UPLOAD = (f"Content-Type: {RAW}", f"MySafe-Fields: {fields_header(file_name='f', name='f')['MySafe-Fields']}")

Attack = Callable[[Address, str], Flooded]


def _sends(path: str, *lines: str, rest: Callable[[], Iterator[bytes]]) -> Attack:
    return lambda address, token: flood(address, head("POST", path, token, *lines), rest())


def _begins(start: bytes, rest: Callable[[], Iterator[bytes]]) -> Attack:
    return lambda address, token: flood(address, start, rest())


def _spaces() -> Iterator[bytes]:
    return repeat(b" " * 65_536, TEN_GB // 65_536)


def _endless() -> Iterator[bytes]:
    return chunks(TEN_GB)


def _extension() -> Iterator[bytes]:
    return chain([b"1;"], _spaces())


def _headers() -> Iterator[bytes]:
    return (b"X-%d: %d\r\n" % (number, number) for number in range(100_000))


ATTACKS: dict[str, tuple[Attack, int]] = {
    "ten gigabytes in chunks": (_sends(PASSWORD, JSON, CHUNKED, rest=_endless), 413),
    "ten gigabytes as announced": (_sends(PASSWORD, JSON, f"Content-Length: {TEN_GB}", rest=_spaces), 413),
    "a file of ten gigabytes in chunks": (_sends(FILE, *UPLOAD, CHUNKED, rest=_endless), 413),
    "a file of ten gigabytes as announced": (_sends(FILE, *UPLOAD, f"Content-Length: {TEN_GB}", rest=_spaces), 413),
    "more than announced": (_sends(PASSWORD, JSON, "Content-Length: 9", rest=_spaces), 400),
    "less than announced": (_sends(PASSWORD, JSON, "Content-Length: 900", rest=lambda: iter([b"{}"])), 0),
    "no number as length": (_sends(PASSWORD, JSON, "Content-Length: ten", rest=_spaces), 400),
    "two lengths": (_sends(PASSWORD, JSON, "Content-Length: 2", "Content-Length: 9", rest=_spaces), 400),
    "a length and chunks": (_sends(PASSWORD, JSON, "Content-Length: 2", CHUNKED, rest=_endless), 400),
    "a chunk that is no chunk": (_sends(PASSWORD, JSON, CHUNKED, rest=_spaces), 400),
    "an extension without an end": (_sends(PASSWORD, JSON, CHUNKED, rest=_extension), 400),
    "a header without an end": (_begins(b"GET /api HTTP/1.1\r\nHost: a\r\nX: ", _spaces), 431),
    "a hundred thousand headers": (_begins(b"GET /api HTTP/1.1\r\nHost: a\r\n", _headers), 431),
    "a megabyte of URL": (_begins(b"GET /", lambda: repeat(b"a" * 65_536, 16)), 414),
}


class Place:
    """An installation that serves, with a token, and the memory of its server."""

    def __init__(self, directory: Path, **environment: str) -> None:
        known = {"MYSAFE_FILES_MAX_BYTES": str(MIB), **environment}
        self.installation, tokens = couple(directory, None, known)
        self.token = tokens["owner"]
        self.installation.start()
        for number in range(20):  # what grows once has grown
            assert self.installation.call("POST", PASSWORD, fields_of(f"mark-0-{number};"), self.token)[0] == 201
        self._before = self._memory_mib("VmRSS")

    def attack(self, attack: Attack) -> list[Flooded]:
        """Let CLIENTS do it at once."""
        address = ("127.0.0.1", self.installation.port)
        with ThreadPoolExecutor(CLIENTS) as threads:
            return list(threads.map(lambda _: attack(address, self.token), range(CLIENTS)))

    def growth_mib(self) -> float:
        """Return by how much the memory had grown when it was largest."""
        return self._memory_mib("VmHWM") - self._before

    def items(self) -> int:
        found = 0
        for kind in ("password", "file"):
            listed = self.installation.call("GET", f"/api/mysafe/{kind}", None, self.token)[1][f"{kind}_on_list"]
            assert isinstance(listed, list)
            found += len(listed)
        return found

    def _memory_mib(self, field: str) -> float:
        status = Path(f"/proc/{self.installation.pid}/status").read_text()
        return int(dict(line.split(":", 1) for line in status.splitlines())[field].split()[0]) / 1024


@pytest.fixture
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Place]:
    made = Place(tmp_path, **getattr(request, "param", {}))
    yield made
    made.installation.close()


def test_requests_that_are_too_long_or_lie_are_refused_early_and_take_no_memory(place: Place) -> None:
    for name, (attack, status) in ATTACKS.items():
        answers = place.attack(attack)
        assert {answer.status for answer in answers} <= {status, 0}, name  # 0: it hung up before we had read
        assert status in {answer.status for answer in answers}, name
        assert max(answer.sent for answer in answers) < MOST_SENT, name
        assert place.growth_mib() < MOST_GROWTH_MIB, name
    assert place.items() == 20
    assert place.installation.call("POST", PASSWORD, fields_of("mark-1-0;"), place.token)[0] == 201
    assert "Traceback" not in place.installation.log.read_text()


@pytest.mark.parametrize("place", [{"MYSAFE_NOTES_MAX_CHARACTERS": "1000000"}], indirect=True)
def test_a_server_with_a_higher_limit_is_found_out(place: Place) -> None:
    place.attack(_sends(PASSWORD, JSON, CHUNKED, rest=_endless))
    assert place.growth_mib() > MOST_GROWTH_MIB
