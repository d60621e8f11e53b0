# SPDX-License-Identifier: Apache-2.0
"""Generated requests, the same each time: the server answers them as it says of itself. `make fuzz` makes new ones."""

import json
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import schemathesis.checks

from fuzz import CHECKS, OFF, fuzz
from mysafe import app
from tests.support.server import RunningServer

Message = MutableMapping[str, Any]
Spoil = Callable[[int, dict[str, object]], tuple[int, dict[str, object]]]


def prepared(server: RunningServer) -> str:
    """Return a token for a vault in which the examples of the description can be shared."""
    server.ensure_user("pduarte")
    server.ensure_group("Test group", ["pduarte"])
    return server.new_token(server.new_actor())


@pytest.mark.timeout(300)
def test_the_server_does_what_its_description_says(server: RunningServer) -> None:
    run = fuzz(server.url, prepared(server))
    assert run.is_clean, run.report
    assert "No issues found" in run.report


def test_every_check_of_the_tool_is_on_or_off_for_a_reason() -> None:
    schemathesis.checks.load_all_checks()
    known = {check.__name__ for check in schemathesis.checks.CHECKS.get_all()}
    assert known - {"max_response_time"} == {*CHECKS, *OFF}
    assert not set(CHECKS) & set(OFF)


class SpoilingServer(RunningServer):
    """A server that answers calls about lists of notes wrongly."""

    def __init__(self, directory: Path, spoil: Spoil) -> None:
        self._spoil = spoil
        super().__init__(directory)

    def application(self) -> app.Application:
        real = super().application()

        async def spoiling(scope: Message, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
            if scope["type"] != "http" or (scope["method"], scope["path"]) != ("GET", "/api/mysafe/note"):
                await real(scope, receive, send)
                return
            sent: list[Message] = []

            async def keep(message: Message) -> None:
                sent.append(message)

            await real(scope, receive, keep)
            start, body = sent
            status, answer = self._spoil(start["status"], json.loads(body["body"]))
            raw = json.dumps(answer).encode()
            headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
            await send({**start, "status": status, "headers": [*headers, (b"content-length", b"%d" % len(raw))]})
            await send({**body, "body": raw})

        return spoiling


@pytest.mark.parametrize(
    ("spoil", "finding"),
    [
        (lambda status, body: (status, body), "No issues found"),
        (lambda status, body: (500 if status == 200 else status, body), "Server error"),
        (lambda status, body: (202 if status == 200 else status, body), "Undocumented status code"),
        (
            lambda status, body: (status, {name: value for name, value in body.items() if name != "note_on_list"}),
            "Response violates schema",
        ),
    ],
    ids=["unspoilt", "fault", "status", "key"],
)
def test_a_planted_fault_is_found(spoil: Spoil, finding: str, tmp_path: Path) -> None:
    server = SpoilingServer(tmp_path, spoil)
    try:
        run = fuzz(server.url, prepared(server), examples=2, only="list_notes")
    finally:
        server.close()
    assert finding in run.report
    assert run.is_clean == (finding == "No issues found")
