# SPDX-License-Identifier: Apache-2.0
"""T-PROXY: HAProxy with the deployed file before two nodes: rights, restarts, failures, addresses, slow callers."""

import json
import re
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.deploy.ends import Listener, slow_posts, status_for
from tests.deploy.nodes import CLIENTS, Load, Node, Proxy, until
from tests.support.file_client import FILES, RAW, fields_header
from tests.support.process import Installation, exchange

pytestmark = [pytest.mark.postgres, pytest.mark.deploy]

NOTICED_SECONDS = 5.0
"""HAProxy asks every second and believes the second failure, for which it waits two seconds."""

FORGED = "203.0.113.9"
PATH = "/api/mysafe/password"


class Scene:
    """A vault with one user, two nodes, and a proxy that knows both."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.vault = Installation(directory)
        self.nodes = [Node(self.vault, directory / name) for name in ("one", "two")]
        for node in self.nodes:
            node.start()
        for number in (1, 2):
            until(partial(self._answers, number), 60)
        self.proxy = Proxy(directory, self.nodes)
        until(partial(is_reachable, self.proxy))
        self.vault.command("user", "add", "owner")
        self.key = self.vault.new_key("owner")
        self.token = self.new_token(self.key)

    def start(self, number: int, **changes: str) -> None:
        """Start a node that has ended, and wait until the proxy uses it; `changes` are settings that differ."""
        self.nodes[number - 1].start(**changes)
        self.proxy.wait_for(number, "UP")

    def new_token(self, key: dict[str, str]) -> str:
        status, body = self.proxy.call("POST", "/api/oauth2/token", {"grant_type": "client_credentials", **key})
        assert status == 200, body
        assert isinstance(body, dict)
        return str(body["access_token"])

    def ask(self, number: int, method: str, path: str, token: str) -> int:
        """Ask a node directly, beside the proxy, and return the status."""
        connection = HTTPConnection("127.0.0.1", self.nodes[number - 1].port, timeout=20)
        try:
            return exchange(connection, method, path, None, token)[0]
        finally:
            connection.close()

    def _answers(self, number: int) -> bool:
        try:
            return self.ask(number, "GET", "/health/ready", "") == 200
        except OSError:
            return False

    def close(self) -> None:
        self.proxy.close()
        for node in self.nodes:
            node.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("proxy"))
    yield made
    made.close()


def test_what_one_node_revokes_no_node_accepts(scene: Scene) -> None:
    key = scene.vault.new_key("owner")
    token = scene.new_token(key)
    assert [scene.ask(number, "GET", PATH, token) for number in (1, 2)] == [200, 200]
    number = _number_of(scene, key["client_id"])
    assert scene.ask(1, "POST", f"/api/manage/access-keys/{number}/revoke", scene.token) == 200
    assert scene.ask(2, "GET", PATH, token) == 401
    assert scene.proxy.call("GET", PATH, None, token)[0] == 401


def _number_of(scene: Scene, client_id: str) -> int:
    _, listed = scene.proxy.call("GET", "/api/manage/access-keys?limit=500", None, scene.token)
    assert isinstance(listed, dict)
    (number,) = [one["id"] for one in listed["access_keys"] if one["client_id"] == client_id]
    return int(number)


def state_when_refused(scene: Scene, number: int) -> str:
    """Tell a node to end, and return how the proxy sees it when it takes no connections any more."""
    node = scene.nodes[number - 1]
    node.tell(signal.SIGTERM)
    until(lambda: not node.is_listening())
    return scene.proxy.state(number)


def test_a_rolling_restart_under_load_loses_no_request(scene: Scene) -> None:
    with Load(scene.proxy, scene.token) as load:
        for number, node in enumerate(scene.nodes, 1):
            assert state_when_refused(scene, number) == "DOWN"
            node.wait()
            scene.start(number)
            load.more()
    assert load.failures == []
    assert load.done > 100


def test_control_a_node_that_does_not_drain_turns_callers_away_before_the_proxy_notices(scene: Scene) -> None:
    scene.nodes[0].end(signal.SIGKILL)
    scene.proxy.wait_for(1, "DOWN")
    scene.start(1, drain_seconds="0")
    assert state_when_refused(scene, 1) == "UP"
    scene.nodes[0].wait()
    scene.proxy.wait_for(1, "DOWN")
    scene.start(1)


def test_control_a_rolling_kill_under_load_loses_requests(scene: Scene) -> None:
    with Load(scene.proxy, scene.token) as load:
        for number in (1, 2) * 5:
            scene.nodes[number - 1].end(signal.SIGKILL)
            scene.proxy.wait_for(number, "DOWN")
            scene.start(number)
            load.more()
            if load.failures:
                break
    assert load.failures


def test_when_a_node_is_killed_requests_go_on_at_the_other(scene: Scene) -> None:
    with Load(scene.proxy, scene.token) as load:
        killed = time.monotonic()
        scene.nodes[1].end(signal.SIGKILL)
        scene.proxy.wait_for(2, "DOWN")
        noticed = time.monotonic()
        load.more(100)
        assert all(at < noticed + 1 for at, _ in load.failures)
        scene.start(2)
    assert noticed - killed < NOTICED_SECONDS
    assert len(load.failures) <= CLIENTS, "more than what was under way was lost"


def test_the_address_that_a_caller_claims_is_replaced(scene: Scene) -> None:
    made = scene.vault.command("access-key", "add", "--owner", "owner", "--name", "far", "--ip", FORGED, "--json")
    key = {"grant_type": "client_credentials", **json.loads(made)}
    assert _status_of_token(scene.proxy.connect(), key) == 401
    node = HTTPConnection("127.0.0.1", scene.nodes[0].port, timeout=20)
    assert _status_of_token(node, key) == 200, "control: the node believes the header, if the proxy lets it through"


def _status_of_token(connection: HTTPConnection, key: dict[str, str]) -> int:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": FORGED}
    connection.request("POST", "/api/oauth2/token", urlencode(key), headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


CLAIMS = (
    ("X-Request-Id", "claimed-by-a-caller"),
    ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("tracestate", "claimed=1"),
    ("X-Client-Certificate", "ab" * 32),
    ("Forwarded", f"for={FORGED}"),
    ("X-Forwarded-For", FORGED),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "elsewhere.example"),
    ("X-Forwarded-Client-Cert", "claimed"),
)
"""What a caller says, twice each, about things that only a proxy knows."""


def claims_that_arrive(directory: Path, change: Callable[[str], str] = str) -> tuple[set[str], list[str]]:
    """Return which claims reach what stands in the place of the nodes, and the names of the calls it hears."""
    with Listener() as listener:
        proxy = Proxy(directory, [listener, listener], change)
        try:
            until(partial(is_reachable, proxy))
            connection = proxy.connect()
            connection.putrequest("GET", PATH)
            for name, value in CLAIMS * 2:
                connection.putheader(name, value)
            connection.endheaders()
            connection.getresponse().read()
            connection.close()
            heard = listener.heard[-1]
        finally:
            proxy.close()
    return {name for name, value in CLAIMS if value in heard.get_all(name, [])}, heard.get_all("X-Request-Id", [])


def test_what_a_caller_claims_about_proxies_traces_and_certificates_reaches_no_node(tmp_path: Path) -> None:
    arrived, names = claims_that_arrive(tmp_path)
    assert arrived == set()
    assert len(names) == 1
    assert re.fullmatch("[0-9a-f-]{36}", names[0])


def test_control_what_the_file_does_not_remove_reaches_a_node(tmp_path: Path) -> None:
    words = ("del-header", "http-request set-header")
    arrived, _ = claims_that_arrive(tmp_path, lambda text: _without_lines(text, words))
    assert arrived == {name for name, _ in CLAIMS}


def _without_lines(text: str, words: tuple[str, ...]) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not any(word in line for word in words))


def test_the_name_of_a_call_in_the_answer_is_that_of_the_proxy(scene: Scene) -> None:
    connection = scene.proxy.connect()
    connection.request("GET", PATH, headers={"X-Request-Id": "claimed-by-a-caller"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert re.fullmatch("[0-9a-f-]{36}", answer.headers["X-Request-Id"])
    until(lambda: answer.headers["X-Request-Id"] in scene.proxy.log)


def test_health_is_not_for_callers(scene: Scene) -> None:
    connection = scene.proxy.connect()
    for path in ("/health/ready", "/health/live", "/metrics"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 404
    connection.close()


def test_the_log_names_the_call_and_no_query(scene: Scene) -> None:
    connection = scene.proxy.connect()
    connection.request("GET", f"{PATH}?name=confidential", headers={"Authorization": f"Bearer {scene.token}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    request_id = answer.headers["X-Request-Id"]
    until(lambda: request_id in scene.proxy.log)
    assert answer.headers["Strict-Transport-Security"] == "max-age=63072000"
    assert f"GET {PATH} 200" in scene.proxy.log
    assert "confidential" not in scene.proxy.log
    assert scene.token not in scene.proxy.log


def test_a_long_upload_at_one_node_is_read_from_the_other(scene: Scene) -> None:
    content = bytes(range(256)) * 4096 * 16
    connection = scene.proxy.connect()
    headers = {"Authorization": f"Bearer {scene.token}", "Content-Type": RAW} | fields_header(file_name="a.bin")
    connection.request("POST", FILES, content, headers)
    answer = connection.getresponse()
    identifier = json.loads(answer.read())["file_entity"]["identifier"]
    assert answer.status == 201
    for node in scene.nodes:
        direct = HTTPConnection("127.0.0.1", node.port, timeout=20)
        path = f"{FILES}/{identifier}/content"
        direct.request("GET", path, headers={"Authorization": f"Bearer {scene.token}"})
        assert direct.getresponse().read() == content
        direct.close()
    connection.close()


def half_a_head(proxy: Proxy, seconds: float) -> bytes:
    """Send half a request, and return what is answered within so many seconds; nothing if nothing is."""
    context = ssl.create_default_context(cafile=str(proxy._certificate))
    with (
        socket.create_connection(("127.0.0.1", proxy.port), timeout=seconds) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as end,
    ):
        end.sendall(b"GET /api HTTP/1.1\r\nHost: x\r\nX-Slow")
        try:
            return end.recv(4096)
        except TimeoutError:
            return b""


def test_a_caller_who_does_not_finish_a_request_is_sent_away(scene: Scene, tmp_path: Path) -> None:
    hurried = Proxy(tmp_path, scene.nodes, lambda text: _replaced(text, "timeout http-request 10s", "1s"))
    try:
        until(partial(is_reachable, hurried))
        assert half_a_head(hurried, 5).startswith(b"HTTP/1.1 408 ")
        assert half_a_head(scene.proxy, 3) == b"", "control: with ten seconds, nothing is said after three"
    finally:
        hurried.close()


def _replaced(text: str, setting: str, value: str) -> str:
    assert text.count(setting) == 1
    return text.replace(setting, f"{setting.rpartition(' ')[0]} {value}")


BEHIND_ANOTHER = 'bind "${BIND-:8443}"'
LIMIT = "{ sc_conn_cur(1) gt 64 }"
STREAMS = 32
ADDRESS, NEIGHBOUR, MAPPED = "2001:db8::1", "2001:db8::ffff:1", "::ffff:192.0.2.1"


@contextmanager
def flooded(directory: Path, caller: str, limit: str = LIMIT) -> Iterator[Proxy]:
    """Send more slow requests from one address than the nodes have places; return the proxy, which believes PROXY."""

    def changed(text: str) -> str:
        believing = text.replace(BEHIND_ANOTHER, f"{BEHIND_ANOTHER} accept-proxy")
        return believing.replace(LIMIT, limit).replace("timeout queue 5s", "timeout queue 1s")

    with ExitStack() as ends:
        listener = ends.enter_context(Listener())
        proxy = Proxy(directory, [listener, listener], changed)
        ends.callback(proxy.close)
        until(lambda: _answers(proxy))
        for _ in range(20):
            ends.enter_context(slow_posts(proxy.port, STREAMS, caller))
        # In the log is what was refused, or without a bound what found no place in time.
        until(lambda: proxy.log.count("POST /api") >= 20 * STREAMS - (64 if limit == LIMIT else 512))
        yield proxy


def _answers(proxy: Proxy) -> bool:
    try:
        return status_for(proxy.port, "192.0.2.99")[0] == 200
    except OSError:
        return False


@pytest.mark.parametrize(
    ("caller", "same", "other"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
        (ADDRESS, NEIGHBOUR, "2001:db8:0:1::1"),
        (MAPPED, MAPPED, "::ffff:192.0.2.2"),
    ],
)
def test_slow_requests_of_one_address_leave_places_for_others(
    tmp_path: Path, caller: str, same: str, other: str
) -> None:
    with flooded(tmp_path, caller) as proxy:
        status, head = status_for(proxy.port, same)
        assert (status, b"\r\nretry-after: 1" in head) == (429, True)
        assert status_for(proxy.port, other)[0] == 200
        assert proxy.log.count("POST /api 429") == 20 * STREAMS - 64


def test_control_without_the_bound_one_address_takes_all_places(tmp_path: Path) -> None:
    with flooded(tmp_path, "192.0.2.1", "{ always_false }") as proxy:
        assert status_for(proxy.port, "192.0.2.2")[0] == 503


def test_an_address_is_served_again_when_its_requests_are_over(tmp_path: Path) -> None:
    with flooded(tmp_path, "192.0.2.1") as proxy:
        flood = [slow_posts(proxy.port, STREAMS, "192.0.2.3") for _ in range(3)]
        until(lambda: status_for(proxy.port, "192.0.2.3")[0] == 429)
        for one in flood:
            one.close()
        until(lambda: status_for(proxy.port, "192.0.2.3")[0] == 200)
        assert [status_for(proxy.port, "192.0.2.3")[0] for _ in range(100)] == [200] * 100


def is_reachable(proxy: Proxy) -> bool:
    try:
        proxy.call("GET", PATH)
    except OSError:
        return False
    return True
