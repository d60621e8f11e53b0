# SPDX-License-Identifier: Apache-2.0
"""T-2NODES: two server processes on one database, under load, one of them killed and started again.

NODE_STEPS (environment, default 400) says how many calls are made before and after each kill, NODE_KILLS (1) how often
a server is killed. The controls take the unique index away, and plant faults into histories.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest

from tests.support.crowd import Crowd
from tests.support.databases import beside
from tests.support.nodes import Node, two_nodes
from tests.support.process import exchange
from tests.support.registers import DONE, REFUSED, UNKNOWN, Step, complaints

pytestmark = pytest.mark.postgres

STEPS = int(os.environ.get("NODE_STEPS", "400"))
KILLS = int(os.environ.get("NODE_KILLS", "1"))
AT_ONCE = 50
CODES = 3


class Pair:
    """Two nodes, and tokens of two users."""

    def __init__(self, nodes: tuple[Node, Node]) -> None:
        self.nodes = nodes
        self.first, self.second = nodes
        for name in ("owner", "friend"):
            self.first.command("user", "add", name)
        self.owner, self.friend = (self.first.token(self.first.new_key(name)) for name in ("owner", "friend"))

    def listed(self, token: str) -> set[str]:
        _, answer = self.first.call("GET", "/api/mysafe/password", None, token)
        lines = answer["password_on_list"]
        assert isinstance(lines, list)
        return {str(line["identifier"]) for line in lines}

    def statuses_of_one_code(self, code: str) -> Counter[int]:
        """Create API secrets with one identifier code, half of them at each node, all at once."""

        def create(number: int) -> int:
            connection = HTTPConnection("127.0.0.1", self.nodes[number % 2].port, timeout=30)
            body = {"name": "n", "identifier_code": code, "client_id": "c", "client_secret": "s", "url": "u"}
            try:
                return exchange(connection, "POST", "/api/mysafe/secretapi", body, self.owner)[0]
            finally:
                connection.close()

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return Counter(pool.map(create, range(AT_ONCE)))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two_nodes(tmp_path_factory.mktemp("nodes")) as nodes:
        yield Pair(nodes)


@pytest.mark.timeout(900)
def test_two_nodes_under_load_lose_nothing_when_one_of_them_is_killed(pair: Pair) -> None:
    crowd = Crowd(pair.nodes, pair.owner, pair.friend)
    crowd.start()
    for number in range(KILLS):
        victim = pair.nodes[(number + 1) % 2]
        crowd.until_more(STEPS)
        victim.kill()
        crowd.until_more(STEPS)
        victim.start()
        crowd.until_more(STEPS)
    crowd.stop()
    for node in pair.nodes:
        crowd.look_at_all(node)
    assert crowd.failures == []
    assert complaints(crowd.history) == []
    ends = Counter(step.end for step in crowd.history)
    assert ends[DONE] > ends[REFUSED] + ends[UNKNOWN]
    assert ends[UNKNOWN] > 0, "nobody noticed that a server was killed"
    assert len(crowd.acknowledged()) >= STEPS // 50
    assert pair.listed(pair.owner) >= crowd.acknowledged()
    assert pair.listed(pair.friend) == pair.listed(pair.owner)


def test_of_many_creates_with_one_code_at_two_nodes_one_succeeds(pair: Pair) -> None:
    for number in range(CODES):
        statuses = pair.statuses_of_one_code(f"code {number}")
        assert statuses[201] == 1
        assert statuses.keys() <= {201, 400}, statuses


def test_control_without_the_unique_index_a_code_is_given_twice(pair: Pair) -> None:
    with beside(pair.first.settings) as database:
        ((definition,),) = database.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'items_by_ident'")
        database.execute("DROP INDEX items_by_ident")
        try:
            assert pair.statuses_of_one_code("code")[201] > 1
        finally:
            database.execute("DELETE FROM items WHERE ident_bidx IS NOT NULL")
            database.execute(definition)


GOOD = [
    Step("1", 0, 10, 20, is_write=True),
    Step("1", 1, 30, 50, is_write=True),
    Step("1", 0, 35, 45, is_write=False),
    Step("1", 1, 36, 46, is_write=False),
    Step("1", 2, 60, 70, is_write=True, end=REFUSED),
    Step("1", 3, 80, 90, is_write=True, end=UNKNOWN),
    Step("1", 3, 95, 99, is_write=False),
    Step("2", 0, 10, 20, is_write=True, end=UNKNOWN),
]


def test_the_checker_allows_what_may_happen_at_the_same_time() -> None:
    assert complaints(GOOD) == []


@pytest.mark.parametrize(
    ("planted", "complaint"),
    [
        (Step("1", 0, 51, 55, is_write=False), "stale"),
        (Step("1", 2, 75, 78, is_write=False), "never written"),
        (Step("1", 9, 75, 78, is_write=False), "never written"),
        (Step("1", 1, 100, 101, is_write=False), "back in time"),
    ],
)
def test_the_checker_finds_a_planted_fault(planted: Step, complaint: str) -> None:
    found = complaints([*GOOD, planted])
    assert found
    assert all(one.startswith((complaint, "back in time")) for one in found), json.dumps(found)
