# SPDX-License-Identifier: Apache-2.0
"""`/api/openapi.json` and `/api/docs`: the description of the server that answers, for whoever may call it."""

from collections.abc import Callable, Sequence
from functools import cache, partial

from mysafe.domain.actions import Action
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.call import About, Answer, Call, Operation, Step
from mysafe.server.api.description import document
from mysafe.server.api.description.page import SECURITY_POLICY, page
from mysafe.server.api.description.schemas import Schema
from mysafe.services.authentication import nobody
from mysafe.services.unit_of_work import UnitOfWork

HTML = (b"content-type", b"text/html; charset=utf-8")


def described(operations: Sequence[Operation], *, is_public: bool = False) -> tuple[Operation, ...]:
    """Return a route table with the two routes that describe it, themselves included.

    `is_public` lets them be asked for without a token; nobody is identified then, and nothing recorded (R-CFG-03).
    """
    complete: list[Operation] = list(operations)
    describe = cache(partial(_describe, complete))  # made when first asked for; one process has one set of switches
    encoded = cache(lambda compatibility: document.as_json(describe(compatibility)))
    shown = cache(lambda compatibility: page(describe(compatibility)))

    def route(path: str, encode: Callable[[Call], Answer], about: About) -> Operation:
        handler = partial(_shown, encode=encode, is_public=is_public)
        return Operation("GET", path, Action.DESCRIPTION_READ, handler, is_public=is_public, about=about)

    complete += [
        route(
            "/api/openapi.json",
            lambda call: Answer(200, encoded(call.compatibility)),
            About("Describe this API (OpenAPI 3.1)", response=dict),
        ),
        route(
            "/api/docs",
            lambda call: Answer(200, shown(call.compatibility), (SECURITY_POLICY,), HTML),
            About("Describe this API for people", response=str, media="text/html"),
        ),
    ]
    return tuple(complete)


def _describe(operations: Sequence[Operation], compatibility: Compatibility) -> Schema:
    return document.describe(operations, compatibility)


def _shown(call: Call, *, encode: Callable[[Call], Answer], is_public: bool) -> Step:
    """GET /api/openapi.json and /api/docs."""
    if is_public:
        return Step(_nothing, lambda _: encode(call), is_look=True, identify=nobody)
    return Step(_permitted, lambda _: encode(call), is_look=True)


def _permitted(uow: UnitOfWork) -> None:
    uow.registry.permit(Action.DESCRIPTION_READ)


def _nothing(uow: UnitOfWork) -> None:
    """Ask nothing and record nothing: nobody acts."""
