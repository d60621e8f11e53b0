# SPDX-License-Identifier: Apache-2.0
"""The funnel: every request of the API goes through here once. Plain ASGI, and the only `async` on the way.

    route → token → bounded body → handler → unit of work → answer

The order is the contract's (7): routing before authentication, the body's errors after it. A handler's complaint
about the body is therefore raised inside the unit of work, once the caller is known.
"""

import asyncio
import itertools
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import partial
from secrets import token_hex
from typing import Any, NamedTuple, NoReturn

from mysafe.domain.errors import InvalidInput, VaultError
from mysafe.domain.files import FileBounds
from mysafe.domain.secret_text import SecretText
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.body import ClientGone, has_body, read_body
from mysafe.server.api.call import Answer, Call, FindOperation, Operation, Reception, Step
from mysafe.server.api.deadlines import Deadlines
from mysafe.server.api.errors import answer_to, no_route, unexpected
from mysafe.server.api.transfers import Run, Transfers
from mysafe.server.origin import Network, client_address
from mysafe.services.authentication import Caller, bearer, nobody
from mysafe.services.recording import Origin
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Identify, Vault

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger("mysafe.server")

COMMON_HEADERS = (
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)

LONGEST_AGENT = 200
"""Characters of the User-Agent header that the audit log keeps."""


class Limits(NamedTuple):
    """How long and how large a request may be: seconds in all, and bytes of its body."""

    request_seconds: float = 60
    body_bytes: int = 1024 * 1024


class Api:
    """The ASGI application of `/api` and `/iso`.

    Args:
        vault: runs the use cases.
        find_operation: the route table.
        compatibility: switches that change answers.
        limits: of each request.
        trusted_proxies: whose X-Forwarded-For counts.
        transfers: takes and gives the contents of files.
    """

    def __init__(
        self,
        vault: Vault,
        find_operation: FindOperation,
        *,
        compatibility: Compatibility = Compatibility(),
        limits: Limits = Limits(),
        trusted_proxies: Sequence[Network] = (),
        transfers: Transfers | None = None,
    ) -> None:
        self._vault = vault
        self._find_operation = find_operation
        self._compatibility = compatibility
        self._limits = limits
        self._trusted_proxies = trusted_proxies
        self._transfers = transfers
        self._bounds = transfers.bounds if transfers else FileBounds()
        self._deadlines = Deadlines()
        # Asking the system for randomness gives up the interpreter's lock: once for the process is enough.
        self._request_prefix = f"{token_hex(6)}-"
        self._request_numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server through its life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        request_id = f"{self._request_prefix}{next(self._request_numbers):x}"
        reading = None
        try:
            answer = await self._answer(scope, receive, request_id)
            if answer.outgoing is not None:
                reading = await self._transfers_there().open(answer.outgoing)
        except ClientGone:
            return
        except VaultError as error:
            answer = answer_to(error, self._compatibility)
        except Exception as error:  # noqa: BLE001  # the outermost place: nothing may reach the web server
            _report(error, request_id)
            answer = unexpected(self._compatibility)
        await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer, request_id)})
        if answer.outgoing is None or reading is None:
            await send({"type": "http.response.body", "body": answer.body})
            return
        try:
            await self._transfers_there().give(reading, answer.outgoing, receive, send)
        except Exception as error:  # noqa: BLE001  # the head is out: an answer that ends too early is all that is left
            _report(error, request_id)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Lend the vault this event loop while the server runs."""
        await receive()
        self._vault.run_units_on(asyncio.get_running_loop().call_soon_threadsafe)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._vault.run_units_on(None)
        if self._transfers is not None:
            self._transfers.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Scope, receive: Receive, request_id: str) -> Answer:
        match = self._find_operation(scope["method"], scope["raw_path"])
        if match is None:
            return no_route()
        operation = match.operation
        headers: dict[bytes, bytes] = dict(scope["headers"])
        caller = self._caller(scope, headers)
        identify = None if operation.is_public else bearer(_bearer_token(headers), caller)
        deadline = time.monotonic() + self._limits.request_seconds
        agent = headers.get(b"user-agent", b"").decode("latin-1")[:LONGEST_AGENT]
        origin = Origin(caller.address, agent, request_id, operation.action)
        query, compatibility, bounds = scope["query_string"], self._compatibility, self._bounds
        call = Call(operation.method, match.identifier, query, headers, b"", caller, compatibility, bounds)
        if operation.receive is not None:
            answer = await self._received(operation.receive, call, receive, partial(self._begun_now, identify, origin))
            if answer is not None:
                return answer
        if has_body(headers):
            call = call._replace(body=await read_body(receive, headers, self._limits.body_bytes))
        try:
            step = _step(operation, call)
            return step.encode(await self._begun(step, identify, origin, deadline))
        except VaultError as error:
            refused = operation.refuse(call, error) if operation.refuse else None
            if refused is None:
                raise
            return refused

    async def _received(
        self, accept: Callable[[Call], Reception | None], call: Call, receive: Receive, run: Run
    ) -> Answer | None:
        """Answer a call whose body is stored while it arrives; None if it is a call like all others."""
        try:
            reception = accept(call)
        except InvalidInput as error:
            return _never(await run(Step(partial(_complain, error=error), _never)))
        if reception is None:
            return None
        return await self._transfers_there().take(reception, run, receive)

    def _transfers_there(self) -> Transfers:
        if self._transfers is None:
            raise RuntimeError("this server was made without a place for files")
        return self._transfers

    def _begun_now(self, identify: Identify | None, origin: Origin, step: Step) -> asyncio.Future[Any]:
        """Begin one of several things a call wants done. An upload may take long; each of its units may not."""
        return self._begun(step, identify, origin, time.monotonic() + self._limits.request_seconds)

    def _begun(self, step: Step, identify: Identify | None, origin: Origin, deadline: float) -> asyncio.Future[Any]:
        """Begin what a handler wants done, and return what waits for its end."""
        who = step.identify or identify
        if who is None:
            raise RuntimeError("a public operation must say how to identify its caller")
        begin = self._vault.begin_look if step.is_look else self._vault.begin
        waiter, settle = self._deadlines.expect(deadline)
        begin(who, step.work, settle, origin=origin, deadline=deadline)
        return waiter

    def _caller(self, scope: Scope, headers: dict[bytes, bytes]) -> Caller:
        peer = scope["client"][0] if scope.get("client") else ""
        if self._trusted_proxies:
            peer = client_address(peer, scope["headers"], self._trusted_proxies)
        referer = headers.get(b"referer")
        return Caller(peer, referer.decode("latin-1") if referer is not None else None)


def _step(operation: Operation, call: Call) -> Step:
    try:
        return operation.handler(call)
    except InvalidInput as error:
        return Step(partial(_complain, error=error), _never, identify=nobody if operation.is_public else None)


def _complain(uow: UnitOfWork, error: InvalidInput) -> NoReturn:
    """Raise what the handler found wrong, now that the caller is known."""
    raise error


def _never(value: object) -> NoReturn:
    raise RuntimeError("a refused call has no value")


def _bearer_token(headers: dict[bytes, bytes]) -> SecretText | None:
    """Return the token of the Authorization header; the scheme's case does not count (contract 2.5)."""
    header = headers.get(b"authorization")
    if header is None:
        return None
    scheme, _, token = header.decode("latin-1").partition(" ")
    return SecretText(token.strip()) if scheme.lower() == "bearer" else None


def _report(error: Exception, request_id: str) -> None:
    """Log where an unexpected fault came from. Its text stays out: it may quote a value."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename.rpartition('mysafe/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    _log.error("unexpected %s", type(error).__name__, extra={"request_id": request_id, "frames": where})


def _headers(answer: Answer, request_id: str) -> list[tuple[bytes, bytes]]:
    outgoing = answer.outgoing
    length = len(answer.body) if outgoing is None else outgoing.stop - outgoing.start
    return [
        *(COMMON_HEADERS if outgoing is None else COMMON_HEADERS[1:]),  # a content says its own type
        (b"content-length", b"%d" % length),
        (b"x-request-id", request_id.encode("ascii")),
        *answer.headers,
    ]
