# SPDX-License-Identifier: Apache-2.0
"""What `mysafe.server.limits` and `.ending` take for granted of uvicorn. A release that changes it fails here first."""

import asyncio
import inspect

import pytest
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState

from mysafe.server.limits import ConnectionLimits, LimitedProtocol, limited_protocol

OVERRIDDEN = {
    "__init__": ["self", "config", "server_state", "app_state", "_loop"],
    "connection_made": ["self", "transport"],
    "connection_lost": ["self", "exc"],
    "data_received": ["self", "data"],
    "on_message_begin": ["self"],
    "on_url": ["self", "url"],
    "on_header": ["self", "name", "value"],
    "on_headers_complete": ["self"],
    "on_body": ["self", "body"],
    "on_message_complete": ["self"],
    "on_response_complete": ["self"],
    "send_400_response": ["self", "msg"],
    "resume_writing": ["self"],
}


@pytest.mark.parametrize(("name", "parameters"), OVERRIDDEN.items())
def test_an_overridden_method_exists_with_the_same_arguments(name: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(HttpToolsProtocol, name)).parameters) == parameters


def test_nothing_else_is_overridden() -> None:
    ours = {name for name, value in vars(LimitedProtocol).items() if inspect.isfunction(value)}
    assert {name for name in ours if hasattr(HttpToolsProtocol, name)} == set(OVERRIDDEN)
    added = {name for name in ours if not hasattr(HttpToolsProtocol, name)}
    assert added
    assert not added & set(dir(asyncio.Protocol))


def test_every_parser_error_ends_in_the_method_that_refuses() -> None:
    source = inspect.getsource(HttpToolsProtocol.data_received)
    assert "except httptools.HttpParserError:" in source
    assert "self.send_400_response(msg)" in source


async def _application(scope: object, receive: object, send: object) -> None:
    return None


def test_the_attributes_exist() -> None:
    loop = asyncio.new_event_loop()
    try:
        config = Config(_application, ws="none", log_config=None)
        protocol = limited_protocol(ConnectionLimits(idle_seconds=7))(config, ServerState(), {}, loop)
        for name in ("loop", "transport", "parser", "connections", "client", "flow", "pipeline", "headers", "cycle"):
            assert hasattr(protocol, name), name
        assert protocol.timeout_keep_alive == 7
        assert protocol.ws_protocol_class is None
        assert "read_paused" in inspect.getsource(FlowControl.__init__)
        source = inspect.getsource(RequestResponseCycle.__init__)
        for name in ("keep_alive", "disconnected", "message_event", "response_started", "response_complete"):
            assert f"self.{name} =" in source, name
    finally:
        loop.close()


def test_each_message_begins_with_a_scope_of_its_own_that_the_application_gets() -> None:
    assert "self.scope = {" in inspect.getsource(HttpToolsProtocol.on_message_begin)
    assert "scope=self.scope" in inspect.getsource(HttpToolsProtocol.on_headers_complete)


def test_each_server_has_its_own_counts_and_limits() -> None:
    one, two = limited_protocol(ConnectionLimits()), limited_protocol(ConnectionLimits(connections=1))
    one.open_by_address["192.0.2.1"] += 1
    assert two.open_by_address == LimitedProtocol.open_by_address == {}
    assert (one.limits.connections, two.limits.connections) == (512, 1)


def test_the_end_of_a_server_is_where_it_is_expected() -> None:
    source = inspect.getsource(Server._serve)
    assert source.index("await self.startup(") < source.index("await self.main_loop()") < source.index("self.shutdown(")
    assert "self.config.encoded_headers" in inspect.getsource(Server.on_tick)
    assert "counter % 10 == 0" in inspect.getsource(Server.on_tick)
    assert "self.force_exit = True" in inspect.getsource(Server.handle_exit)


def test_a_server_listens_where_it_is_expected() -> None:
    source = inspect.getsource(Server.startup)
    assert "if sockets is not None:" in source
    assert "self.servers: list[" in source
    assert source.rstrip().endswith("self.started = True")
    for argument in ("config=config", "server_state=self.server_state", "app_state=self.lifespan.state"):
        assert argument in source
    ends = inspect.getsource(Server.shutdown) + inspect.getsource(Server._wait_tasks_to_complete)
    assert "server.close()" in ends
    assert "await server.wait_closed()" in ends
