# SPDX-License-Identifier: Apache-2.0
"""The funnel: every request of the API goes through here once. Plain ASGI, and the only `async` on the way.

    route → token → rate → bounded body → handler → unit of work → answer

The order is the contract's (7): routing before authentication, the body's errors after it. A handler's complaint
about the body is therefore raised inside the unit of work, once the caller is known.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, NoReturn

from mysafe.domain.actions import Action
from mysafe.domain.errors import CallForbidden, InvalidInput, NotAuthenticated, VaultError
from mysafe.domain.files import FileBounds
from mysafe.domain.secret_text import SecretText
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.admission import Admission, Rates
from mysafe.server.api.body import ClientGone, has_body, read_body
from mysafe.server.api.call import (
    Answer,
    Call,
    Door,
    FindOperation,
    Match,
    Operation,
    Outgoing,
    Reception,
    Slow,
    Step,
    Together,
)
from mysafe.server.api.deadlines import Deadlines
from mysafe.server.api.errors import answer_to, no_route, unexpected
from mysafe.server.api.slow_work import SlowWork
from mysafe.server.api.transfers import Opened, Run, Transfers, Who
from mysafe.server.observing.probe import Probe
from mysafe.server.observing.seen import SEEN
from mysafe.server.origin import NO_PROXIES, Proxies, client_address, client_certificate
from mysafe.server.places import NOBODY_KNOWN
from mysafe.server.request_ids import RequestIds
from mysafe.services.authentication import Caller, bearer, nobody
from mysafe.services.recording import Origin
from mysafe.services.unit_of_work import REVEALING, UnitOfWork
from mysafe.services.vault import Identify, Vault

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger("mysafe.server")

COMMON_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
)

DOCUMENTED = Door(answer_to, unexpected)
"""How the API words errors where no operation says otherwise."""

LONGEST_AGENT = 200
"""Characters of the User-Agent header that the audit log keeps."""

_REVEALING = (*REVEALING, Action.ITEM_READ_VERSION)  # the hash of an action costs more than comparing it with all


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
        proxies: whose word counts about where a call comes from.
        admission: counts what comes too often.
    """

    def __init__(
        self,
        vault: Vault,
        find_operation: FindOperation,
        *,
        compatibility: Compatibility = Compatibility(),
        limits: Limits = Limits(),
        proxies: Proxies = NO_PROXIES,
        admission: Admission | None = None,
    ) -> None:
        self._vault = vault
        self._find_operation = find_operation
        self._compatibility = compatibility
        self._limits = limits
        self._proxies = proxies
        self._admission = admission or Admission(Rates())
        self._transfers: Transfers | None = None
        self._bounds = FileBounds()
        self._deadlines = Deadlines()
        self._slow_work = SlowWork()
        self._request_ids = RequestIds(proxies.trusted)
        self._probe = Probe(vault)

    def accept_files(self, transfers: Transfers) -> None:
        """Take and give the contents of files from now on."""
        self._transfers = transfers
        self._bounds = transfers.bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow the server through its life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        request_id = self._request_ids.of(scope)
        seen = SEEN.get()
        if seen is not None:
            seen.request_id = request_id
        door, opened = DOCUMENTED, None
        try:
            match = self._find_operation(scope["method"], scope["raw_path"])
            if match is None:
                answer = no_route()
            else:
                door = match.operation.door or DOCUMENTED
                if seen is not None:
                    seen.routed(match.operation)
                answer = await self._answer(match, scope, receive, request_id)
            if answer.outgoing is not None:
                opened = await self._opened(answer.outgoing, scope)
        except (ClientGone, asyncio.CancelledError):  # cancelled only when the server ends, and has hung up before
            return
        except VaultError as error:
            _note(error)
            answer = door.answer_to(error, self._compatibility)
        except Exception as error:  # noqa: BLE001  # the outermost place: nothing may reach the web server
            _note(error)
            _report(error, request_id)
            answer = door.unexpected(self._compatibility)
        if seen is not None:
            seen.answered(answer.status, _length(answer))
        head = {"type": "http.response.start", "status": answer.status, "headers": _headers(answer, request_id)}
        if answer.outgoing is None or opened is None:
            await send(head)
            await send({"type": "http.response.body", "body": answer.body})
            return
        try:
            with suppress(asyncio.CancelledError):  # as above
                await self._transfers_there().give(opened, answer.outgoing, receive, send, head)
        except Exception as error:  # noqa: BLE001  # the head is out: an answer that ends too early is all that is left
            _report(error, request_id)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self.begin()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.end()
        await send({"type": "lifespan.shutdown.complete"})

    def begin(self) -> None:
        """Lend the vault the running event loop from now on."""
        self._vault.run_units_on(asyncio.get_running_loop().call_soon_threadsafe)

    def end(self) -> None:
        """Take the event loop back from the vault, and end what works beside it. On the event loop's thread."""
        self._vault.run_units_on(None)
        self._slow_work.close()
        if self._transfers is not None:
            self._transfers.close()

    async def is_fit(self) -> bool:
        """Return whether the database answers, so that requests can be let in."""
        return await self._probe.answers()

    async def _answer(self, match: Match, scope: Scope, receive: Receive, request_id: str) -> Answer:
        operation = match.operation
        headers: dict[bytes, bytes] = dict(scope["headers"])
        caller = self._caller(scope, headers)
        identify = None if operation.is_public else self._identify(headers, caller)
        deadline = time.monotonic() + self._limits.request_seconds
        agent = headers.get(b"user-agent", b"").decode("latin-1")[:LONGEST_AGENT]
        origin = Origin(caller.address, agent, request_id, operation.action)
        body = b""
        if operation.receive is None and has_body(headers):
            body = await read_body(receive, headers, self._limits.body_bytes)
        call = Call(
            operation.method,
            match.segments,
            scope["query_string"],
            headers,
            body,
            caller,
            self._compatibility,
            self._vault.key_rules,
            self._bounds,
        )
        who = partial(self._admission.user_of, headers.get(b"authorization"), caller.address)
        try:
            if operation.receive is not None:
                run = partial(self._begun_now, identify, origin)
                answer = await self._received(operation.receive, call, receive, run, who)
                if answer is not None:
                    return answer
                if has_body(headers):
                    call = call._replace(body=await read_body(receive, headers, self._limits.body_bytes))
            step = self._step(operation, call)
            counted = (
                identify if step.things == 1 or identify is None else self._admission.of_many(identify, step.things)
            )
            value = await self._begun(step, counted, origin, deadline)
            if operation.action in _REVEALING:
                self._admission.opened(headers.get(b"authorization"), caller.address)
            after = step.encode(value)
            if not isinstance(after, Answer):
                after = await self._followed(after, identify, origin, deadline, who)
            return after
        except VaultError as error:
            _note(error)
            if isinstance(error, NotAuthenticated | CallForbidden):
                self._admission.forget(headers.get(b"authorization"), caller.address)
            refused = operation.refuse(call, error) if operation.refuse else None
            if refused is None:
                raise
            return refused

    def _identify(self, headers: dict[bytes, bytes], caller: Caller) -> Identify:
        """Return how to find the caller by the token. Raises NotAuthenticated, TooMany."""
        identify = bearer(_bearer_token(headers), caller)
        return self._admission.of_token(identify, headers.get(b"authorization"), caller.address)

    def _step(self, operation: Operation, call: Call) -> Step:
        """Return what the handler wants done, or how to say what it found wrong. Raises TooMany."""
        try:
            step = operation.handler(call)
        except InvalidInput as error:
            if operation.action is Action.TOKEN_ISSUE:
                self._admission.malformed(call.caller.address)
            return Step(partial(_complain, error=error), _never, identify=nobody if operation.is_public else None)
        if step.claimant is None or step.identify is None:
            return step
        return step._replace(identify=self._admission.of_client(step.identify, step.claimant, call.caller.address))

    async def _followed(
        self,
        answer: Answer | Slow | Step | Together,
        identify: Identify | None,
        origin: Origin,
        deadline: float,
        who: Who,
    ) -> Answer:
        """Return the answer that what is to be done leads to."""
        while not isinstance(answer, Answer):
            if isinstance(answer, Slow):
                answer = await self._slow_work.done(answer.work, who() or NOBODY_KNOWN)
            elif isinstance(answer, Step):
                answer = answer.encode(await self._begun(answer, identify, origin, deadline))
            else:
                steps, of_each = [Step(work, _never) for work in answer.works], origin._replace(action=answer.action)
                begun = (self._begun(step, identify, of_each, deadline) for step in steps)
                # With one writer they run in this order; with several, only if each is awaited before the next.
                waiters = begun if self._vault.engine.is_shared else list(begun)
                answer = answer.encode([await _outcome(waiter, origin.request_id) for waiter in waiters])
        return answer

    async def _received(
        self, accept: Callable[[Call], Reception | None], call: Call, receive: Receive, run: Run, who: Who
    ) -> Answer | None:
        """Answer a call whose body is stored while it arrives; None if it is a call like all others."""
        try:
            reception = accept(call)
        except InvalidInput as error:
            return _never(await run(Step(partial(_complain, error=error), _never)))
        if reception is None:
            return None
        return await self._transfers_there().take(reception, run, receive, who)

    async def _opened(self, outgoing: Outgoing, scope: Scope) -> Opened:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        address = self._caller(scope, headers).address
        who = partial(self._admission.user_of, headers.get(b"authorization"), address)
        return await self._transfers_there().open(outgoing, who)

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
        begin, work = self._vault.begin_look if step.is_look else self._vault.begin, step.work
        waiter, settle = self._deadlines.expect(deadline)
        seen = SEEN.get()
        if seen is not None and seen.is_followed:
            who, work = seen.follow(who, work)
            waiter.add_done_callback(seen.settled)
        begin(who, work, settle, origin=origin, deadline=deadline)
        return waiter

    def _caller(self, scope: Scope, headers: dict[bytes, bytes]) -> Caller:
        peer = scope["client"][0] if scope.get("client") else ""
        certificate = client_certificate(peer, scope, self._proxies)
        if self._proxies.trusted:
            peer = client_address(peer, scope["headers"], self._proxies.trusted)
        referer = headers.get(b"referer")
        return Caller(peer, referer.decode("latin-1") if referer is not None else None, certificate)


def _complain(uow: UnitOfWork, error: InvalidInput) -> NoReturn:
    """Raise what the handler found wrong, now that the caller is known."""
    raise error


def _never(value: object) -> NoReturn:
    raise RuntimeError("a refused call has no value")


async def _outcome(waiter: asyncio.Future[Any], request_id: str) -> object:
    """Return the value of a unit, or its exception."""
    try:
        return await waiter
    except VaultError as error:
        return error
    except Exception as error:  # noqa: BLE001  # it must not spoil the others
        _report(error, request_id)
        return error


def _bearer_token(headers: dict[bytes, bytes]) -> SecretText | None:
    """Return the token of the Authorization header; the scheme's case does not count (contract 2.5)."""
    header = headers.get(b"authorization")
    if header is None:
        return None
    scheme, _, token = header.decode("latin-1").partition(" ")
    return SecretText(token.strip()) if scheme.lower() == "bearer" else None


def _note(error: Exception) -> None:
    """Tell whoever watches why this request is refused."""
    seen = SEEN.get()
    if seen is not None:
        seen.error = type(error)


def _report(error: Exception, request_id: str) -> None:
    """Log where an unexpected fault came from. Its text stays out: it may quote a value."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename.rpartition('mysafe/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
    _log.error("unexpected %s", type(error).__name__, extra={"request_id": request_id, "frames": where})


def _length(answer: Answer) -> int:
    outgoing = answer.outgoing
    return len(answer.body) if outgoing is None else outgoing.stop - outgoing.start


def _headers(answer: Answer, request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        answer.content_type,
        *COMMON_HEADERS,
        (b"content-length", b"%d" % _length(answer)),
        (b"x-request-id", request_id.encode("ascii")),
        *answer.headers,
    ]
