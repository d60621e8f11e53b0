# SPDX-License-Identifier: Apache-2.0
"""Move contents of files between the socket and the shelf, without ever holding one whole.

The event loop reads and writes the socket, seals and opens; threads wait for the disk. While one piece is on its way
through a thread the next one is read, and no more: so a slow disk slows the client down, and a slow client the disk.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple, TypeVar

from mysafe.domain.errors import DatabaseUnreachable, DeadlinePassed, SlowBody, TooLarge, VaultError
from mysafe.domain.files import EXTRA_BYTES, FileBounds, StoredContent, Ticket
from mysafe.server.api.body import GRACE_SECONDS, ClientGone
from mysafe.server.api.call import Answer, Outgoing, Reception, Step
from mysafe.server.observing.tally import TransferTally
from mysafe.server.places import NOBODY_KNOWN, Place, Places
from mysafe.services.files import uploads
from mysafe.services.files.shelf import Filling, Reading, Shelf
from mysafe.services.vault import Vault

T = TypeVar("T")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Run = Callable[[Step], Awaitable[Any]]
"""Run a use case as the caller of this request."""

PIECE_BYTES = 256 * 1024
"""How much goes to the disk at once."""

MOST_PIECES = 64
"""How many pieces of less than that wait, before they are made one."""

THREADS = 4

Who = Callable[[], int | None]
"""Tell the id of the user behind a call, None as long as it is not known."""


class TransferPlaces(Places):
    """Transfers under way at once; each one holds two megabytes at most."""

    number = 32
    of_one = 8


class Opened(NamedTuple):
    """A content that is about to be sent, and the place of that."""

    reading: Reading
    place: Place


class Transfers:
    """Take uploads and give downloads.

    Args:
        vault: runs the use cases.
        shelf: keeps the contents.
        bounds: how much may be stored.
        least_bytes_per_second: slowest average of an upload, after the first seconds (R-LIM-01).
        tally: counts what is moved.
    """

    def __init__(
        self,
        vault: Vault,
        shelf: Shelf,
        bounds: FileBounds,
        least_bytes_per_second: int,
        tally: TransferTally | None = None,
    ) -> None:
        self._vault = vault
        self._shelf = shelf
        self._least_bytes_per_second = least_bytes_per_second
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="files")
        self._places = TransferPlaces()
        self._tally = tally or TransferTally()
        self.bounds = bounds

    async def take(self, reception: Reception, run: Run, receive: Receive, who: Who) -> Answer:
        """Store the content of a request that asks for it with `reception`, and return the answer.

        Raises:
            Busy, TooMany: there is no place for it, or none of the user's part. Nothing was read.
            VaultError: it was refused, at the beginning or at the end; nothing of it is left.
            ClientGone: the client hung up; the same.
        """
        with self._places.take() as place:
            if (known := who()) is not None:  # by the token; otherwise only the first unit finds out
                place.give_to(known)
            blob_id = uploads.new_blob_id()
            ticket = await self._begun(reception, blob_id, run)
            filling: Filling | None = None
            try:
                place.give_to(who() or NOBODY_KNOWN)
                filling = await self._in_thread(self._shelf.fill, ticket)
                stored = await self._fill(filling, ticket, reception, receive)
                step = reception.finish(stored, reception.reader.finish())
                answer = step.encode(await run(step))
                if not isinstance(answer, Answer):
                    raise RuntimeError("an upload ends with its answer")
                self._tally.uploads += 1
                return answer
            except BaseException:
                await self._drop(filling, blob_id)
                raise

    async def open(self, outgoing: Outgoing, who: Who) -> Opened:
        """Return what reads a content, whose beginning is checked. `give` gives its place back.

        Raises as `Shelf.read`, and Busy, TooMany as `take`.
        """
        place = self._places.take()
        try:
            place.give_to(who() or NOBODY_KNOWN)
            return Opened(await self._in_thread(self._shelf.read, outgoing.file), place)
        except BaseException:
            place.give_back()
            raise

    async def give(
        self, opened: Opened, outgoing: Outgoing, receive: Receive, send: Send, head: MutableMapping[str, Any]
    ) -> None:
        """Send the head of an answer, a content that was opened, and the end of the answer.

        Raises:
            Exception: it cannot be read any more. The answer must not be completed then (R-FILE-06).
        """
        reading = opened.reading
        gone = asyncio.ensure_future(_wait_until_gone(receive))
        upcoming = self._in_thread(reading.fetch, outgoing.start, outgoing.stop)
        try:
            await send(head)
            while (fetched := await upcoming) is not None and not gone.done():
                upcoming = self._in_thread(reading.fetch, fetched.stop, outgoing.stop)
                for piece in reading.open(fetched):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    self._tally.sent_bytes += len(piece)
            if not gone.done():
                await send({"type": "http.response.body", "body": b""})
                self._tally.downloads += 1
        finally:
            opened.place.give_back()
            gone.cancel()
            await asyncio.wait((upcoming,))
            await self._in_thread(reading.close)

    def close(self) -> None:
        """Let the threads end, after what they do. Nothing can be moved any more."""
        self._threads.shutdown(wait=False)

    async def _fill(self, filling: Filling, ticket: Ticket, reception: Reception, receive: Receive) -> StoredContent:
        body = _Body(receive, self._least_bytes_per_second, ticket.most_bytes + EXTRA_BYTES)
        waiting: list[memoryview] = []
        reserved = ticket.most_bytes if ticket.reserved_bytes is None else ticket.reserved_bytes
        size = waiting_bytes = 0
        writing: asyncio.Future[None] = self._in_thread(_nothing)
        try:
            while (data := await body.next()) is not None:
                pieces = reception.reader.feed(data)
                arrived = sum(map(len, pieces))
                size += arrived
                self._tally.received_bytes += arrived
                if size > ticket.most_bytes:
                    raise ticket.refusal
                if size > reserved:
                    reserved = await self._in_thread(uploads.reserve, self._vault, ticket.blob_id, size, self.bounds)
                waiting += pieces
                waiting_bytes += arrived
                if len(waiting) >= MOST_PIECES:  # of an upload that comes in crumbs, each costs more than it holds
                    waiting = [memoryview(b"".join(waiting))]
                if waiting_bytes >= PIECE_BYTES:
                    await writing
                    writing = self._in_thread(filling.write, filling.seal(waiting))
                    waiting, waiting_bytes = [], 0
            await writing
            writing = self._in_thread(filling.write, filling.seal(waiting))
            await writing
            return await self._in_thread(filling.finish)
        finally:
            await asyncio.wait((writing,))

    async def _begun(self, reception: Reception, blob_id: str, run: Run) -> Ticket:
        """Return the leave to upload. What may have been begun although nobody heard of it is given up again."""
        try:
            ticket: Ticket = await run(Step(lambda uow: reception.begin(uow, blob_id), _never))
        except BaseException as error:
            if not isinstance(error, VaultError) or isinstance(error, DeadlinePassed | DatabaseUnreachable):
                await self._drop(None, blob_id)
            raise
        return ticket

    async def _drop(self, filling: Filling | None, blob_id: str) -> None:
        """Leave nothing of an upload. What cannot be removed now is the collector's."""
        try:
            if filling is not None:
                await self._in_thread(filling.abort)
            await self._in_thread(uploads.discard, self._vault, self._shelf, blob_id)
        except VaultError:
            return

    def _in_thread(self, function: Callable[..., T], *arguments: object) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *arguments))


class _Body:
    """A request body, piece by piece, that must keep its pace and end in time."""

    def __init__(self, receive: Receive, least_bytes_per_second: int, most_bytes: int) -> None:
        self._receive = receive
        self._least_bytes_per_second = least_bytes_per_second
        self._most_bytes = most_bytes
        self._began = time.monotonic()
        self._received = 0
        self._is_over = False

    async def next(self) -> bytes | None:
        """Return the next piece, None at the end. Raises ClientGone, SlowBody, TooLarge."""
        if self._is_over:
            return None
        message = await self._receive()
        if message["type"] != "http.request":
            raise ClientGone
        data: bytes = message.get("body", b"")
        self._received += len(data)
        self._is_over = not message.get("more_body")
        if self._received > self._most_bytes:
            raise TooLarge(self._most_bytes)
        seconds = time.monotonic() - self._began - GRACE_SECONDS
        if not self._is_over and self._received < seconds * self._least_bytes_per_second:
            raise SlowBody
        return data


async def _wait_until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _nothing() -> None:
    """Stand for the piece before the first."""


def _never(value: object) -> Answer:
    raise RuntimeError("a ticket is no answer")
