# SPDX-License-Identifier: Apache-2.0
"""Paths find their operations, whatever stands for their variables."""

import pytest

from mysafe.domain.actions import Action
from mysafe.server.api.call import Call, Operation, Step
from mysafe.server.routes import OPERATIONS, Routes


def handler(call: Call) -> Step:
    raise NotImplementedError


def operation(method: str, path: str) -> Operation:
    return Operation(method, path, Action.ITEM_READ, handler)


ROUTES = Routes(
    [
        operation("GET", "/api/things"),
        operation("GET", "/api/things/{identifier}"),
        operation("GET", "/api/things/{identifier}/parts/{part}"),
        operation("GET", "/api/things/{identifier}/{word}"),
        operation("POST", "/api/things/batch"),
        operation("POST", "/api/things/{identifier}"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "found", "segments"),
    [
        ("GET", "/api/things", "/api/things", ()),
        ("GET", "/api/things/", "/api/things", ()),
        ("GET", "/iso/things/7", "/api/things/{identifier}", ("7",)),
        ("GET", "/api/things/x", "/api/things/{identifier}", ("x",)),
        ("GET", "/api/things/7/parts/3", "/api/things/{identifier}/parts/{part}", ("7", "3")),
        ("GET", "/api/things/7/parts", "/api/things/{identifier}/{word}", ("7", "parts")),
        ("POST", "/api/things/batch", "/api/things/batch", ()),
        ("POST", "/api/things/8", "/api/things/{identifier}", ("8",)),
    ],
)
def test_a_path_finds_its_operation(method: str, path: str, found: str, segments: tuple[str, ...]) -> None:
    match = ROUTES.match(method, path.encode())
    assert match is not None
    assert (match.operation.path, match.segments) == (found, segments)


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/api/things/7"), ("GET", "/api/things//"), ("GET", "/api/things/7/parts/3/4"), ("GET", "/api/other")],
)
def test_what_is_not_in_the_table_is_not_found(method: str, path: str) -> None:
    assert ROUTES.match(method, path.encode()) is None


def test_every_operation_is_found_by_its_own_path() -> None:
    assert len(OPERATIONS) > 20
    routes = Routes()
    for one in OPERATIONS:
        match = routes.match(one.method, one.path.replace("{", "").replace("}", "").encode())
        assert match is not None
        assert match.operation is one
