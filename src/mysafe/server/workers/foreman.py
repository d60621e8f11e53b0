# SPDX-License-Identifier: Apache-2.0
"""The foreman of several workers: starts them, replaces those that end, and ends them.

Workers are forks of a process that has one thread and serves nobody. So they have what it has: sockets to accept from,
and what opens the vault, which is handed to nobody in any other way. They end when the foreman is gone, however it
ended. A new state of the vault, open or sealed, is a new generation of workers. Each generation has one in each slot,
which stands for the sockets that it accepts from.
"""

import gc
import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Generic, NamedTuple, Protocol, TypeVar

from mysafe.server import service_manager
from mysafe.server.ending import EndingServer
from mysafe.server.listening import Listeners

_log = logging.getLogger("mysafe.server")

T = TypeVar("T")

START_SECONDS = 60.0
"""How long a new generation may take until it serves."""

SETTLED_SECONDS = 10.0
"""A worker that ends sooner than this after its start counts as a failed start."""

SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
"""How long the foreman waits after a failed start; twice as long after each further one."""

MOST_FAILURES = 6
"""After so many failed starts in a row, with no worker left, the foreman gives up."""

OUSTING_SECONDS = 5.0
"""How long workers of a sealed vault may take to end when others serve the open one."""

OUST = signal.SIGUSR1
"""Tells a worker to end because others take its place: at once, whatever a load balancer has noticed."""

_NUDGE_SECONDS = 1.0
_OURS = (signal.SIGINT, signal.SIGTERM)


class WorkersRefused(Exception):
    """The workers do not serve. The text is one sentence for the operator."""


class Control(Protocol):
    """Where somebody on this machine asks for something."""

    def fileno(self) -> int:
        """Return what is readable when somebody does."""

    def serve_one(self) -> None:
        """Serve who came."""

    def leave(self) -> None:
        """Let go of it in a worker."""


class Duty(NamedTuple, Generic[T]):
    """What a worker is there for: `api` is what the foreman opened to, None while the vault is sealed.

    `number` tells it from those that serve at the same time, from 0. `tell_ready` is called once, when it serves. It
    accepts from `sockets`.
    """

    number: int
    api: T | None
    sockets: list[socket.socket]
    tell_ready: Callable[[], None]


class _Born(BaseException):
    """Leads a worker out of what the foreman was doing when it was forked. Nothing on the way may catch it."""

    def __init__(self, duty: Duty[object]) -> None:
        super().__init__()
        self.duty = duty


class _Worker:
    """A living worker, as the foreman sees it. `ready_end` is readable when it serves, or has ended."""

    def __init__(self, pid: int, slot: int, generation: int, ready_end: int) -> None:
        self.pid = pid
        self.slot = slot
        self.generation = generation
        self.ready_end = ready_end
        self.began = time.monotonic()
        self.is_ready = False

    def tell(self, number: int) -> None:
        os.kill(self.pid, number)  # it is our child and not waited for yet, so the number is still its own

    def hear(self) -> None:
        """Note that it serves, if it said so."""
        if not self.is_ready and _readable([self.ready_end], 0) and os.read(self.ready_end, 1):
            self.is_ready = True


class Foreman(Generic[T]):
    """Keep `number` workers. `open` and `close` are as those of a gate; before `run` they only say how to begin."""

    def __init__(self, number: int, listeners: Listeners) -> None:
        self._number = number
        self._listeners = listeners
        self._api: T | None = None
        self._generations = count(1)
        self._generation = 0
        self._workers: list[_Worker] = []
        self._is_running = False
        self._told: list[int] = []
        self._failures = 0
        self._not_before = 0.0
        self._wake, self._wake_end = socket.socketpair()
        self._life, self._life_end = os.pipe()
        self._control: Control | None = None

    # -- the vault opens and closes ------------------------------------------------------------------------------------

    def open(self, api: T) -> None:
        """Let workers serve an open vault, and those that served a sealed one end.

        Raises:
            WorkersRefused: one of them cannot, so the others go on.
        """
        sealed = self._generation
        self._api = api
        self._begin_generation()
        if not self._is_running:
            return
        self._fill()
        is_complete = self._until(lambda: self._is_complete() or bool(self._failures), START_SECONDS)
        can_serve = bool(self._told) or (is_complete and not self._failures)
        if not can_serve:
            self._api, self._generation = None, sealed
        self._oust_others(OUSTING_SECONDS)
        if not can_serve:
            self._failures, self._not_before = 0, 0.0
            raise WorkersRefused("no vault was opened, as the workers cannot serve it: the server's log says why")

    def close(self, seconds: float) -> bool:
        """End all workers, and let others say that the vault is sealed; return whether they ended in time."""
        self._api = None
        self._begin_generation()
        if not self._is_running:
            return True
        self._tell_others(OUST)
        self._fill()
        return self._oust_others(seconds)

    # -- the life of the server ----------------------------------------------------------------------------------------

    def run(self, control: Control) -> "int | Duty[T]":
        """Keep the workers until SIGINT or SIGTERM, and return the exit status; in each worker return its duty."""
        self._control = control
        try:
            self._take_signals()
            self._is_running = True
            return self._serve(control)
        except _Born as born:
            return born.duty  # type: ignore[return-value]  # it was made of what this foreman has
        except BaseException:
            for worker in self._workers:
                worker.tell(signal.SIGKILL)
            raise

    def _serve(self, control: Control) -> int:
        self._fill()
        is_complete = self._until(lambda: self._is_complete() or bool(self._failures), START_SECONDS)
        if not self._told and (self._failures or not is_complete):
            _log.error("the workers cannot be started: the lines above say why")
            return self._end(status=1)
        _log.info("%d workers serve", self._number)
        service_manager.tell(service_manager.READY)
        while not self._told:
            self._turn(control)
            self._fill()
            if self._failures >= MOST_FAILURES and not any(worker.is_ready for worker in self._workers):
                _log.error("no worker is left, and none can be started: gave up after %d tries", self._failures)
                return self._end(status=1)
        return self._end(status=0)

    def dismiss(self) -> None:
        """Let go of the sockets, after the end."""
        self._listeners.close_all()
        for one in (self._wake, self._wake_end):
            one.close()
        for end in (self._life, self._life_end):
            os.close(end)

    def _end(self, status: int) -> int:
        """End all workers, and return the exit status: what is given, 1 if one of them failed to end well."""
        service_manager.tell(service_manager.STOPPING)
        self._begin_generation()
        self._listeners.close_all()  # those of the workers stay open as long as they want
        is_forced = False
        while self._workers:
            self._tell_others(signal.SIGTERM)  # again and again: one that is just beginning may not hear it
            if self._told.count(signal.SIGINT) > 1 and not is_forced:
                is_forced = True
                for worker in self._workers:
                    worker.tell(signal.SIGINT)
            self._turn(None, _NUDGE_SECONDS)
            status = status or int(self._failures > 0)
        return status

    # -- workers -------------------------------------------------------------------------------------------------------

    def _begin_generation(self) -> None:
        self._generation = next(self._generations)
        self._failures, self._not_before = 0, 0.0

    def _current(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.generation == self._generation]

    def _others(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.generation != self._generation]

    def _is_complete(self) -> bool:
        current = self._current()
        return len(current) == self._number and all(worker.is_ready for worker in current)

    def _tell_others(self, number: int) -> None:
        for worker in self._others():
            worker.tell(number)

    def _oust_others(self, seconds: float) -> bool:
        """Let the workers before this generation end; return whether they did within so many seconds."""
        until = time.monotonic() + seconds
        while self._others() and not self._told and time.monotonic() < until:
            self._tell_others(OUST)  # again and again, as above
            self._turn(None, min(_NUDGE_SECONDS, max(0.0, until - time.monotonic())))
        is_empty = not self._others()
        if self._told:
            return is_empty  # what is under way may finish as at every end of the server
        self._tell_others(signal.SIGKILL)
        self._until(lambda: not self._others(), OUSTING_SECONDS)
        return is_empty

    def _fill(self) -> None:
        """Start the workers that are missing, unless it is too soon after one that failed."""
        for slot in sorted(set(range(self._number)) - {worker.slot for worker in self._current()}):
            if time.monotonic() < self._not_before:
                return
            try:
                self._start(slot)
            except OSError as error:
                _log.error("a worker cannot be started: %s", error.strerror)
                self._note_failure(slot)

    def _start(self, slot: int) -> None:
        if threading.active_count() > 1:
            raise RuntimeError("a process with threads must not fork")
        self._listeners.of(slot)
        if self._api is None:
            gc.collect()  # the keys of a vault that was sealed are not to be inherited
        ready, tell = os.pipe()
        signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)  # one that comes now is for us, not for the new process
        try:
            pid = os.fork()
            if pid == 0:
                self._become_worker(ready)  # which does not return if it fails: this is no foreman any more
                raise _Born(Duty(slot, self._api, self._listeners.keep_only(slot), partial(_tell, tell)))
            self._workers.append(_Worker(pid, slot, self._generation, ready))
            os.close(tell)
        except OSError:
            for end in (ready, tell):
                os.close(end)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)

    def _note_failure(self, slot: int) -> None:
        """Let the next start wait, longer after each failure; and nobody wait in the queue, if that takes long."""
        self._failures += 1
        if self._failures > 1:
            self._listeners.close(slot)
        pause = min(SHORTEST_PAUSE_SECONDS * 2.0 ** (self._failures - 1), LONGEST_PAUSE_SECONDS)
        self._not_before = time.monotonic() + pause

    def _become_worker(self, ready: int) -> None:
        """Let go of what is the foreman's, in a new process; end it if that fails."""
        try:
            self._let_go(ready)
        except BaseException:  # noqa: BLE001  # whatever it is, two processes must not do the work of one
            os._exit(1)

    def _let_go(self, ready: int) -> None:
        os.environ.pop("NOTIFY_SOCKET", None)  # the service manager listens to the foreman
        signal.set_wakeup_fd(-1)
        for number in (*_OURS, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.setpgid(0, 0)  # Ctrl-C is for the foreman, who tells us once
        for end in (ready, self._life_end, *(worker.ready_end for worker in self._workers)):
            os.close(end)
        for one in (self._wake, self._wake_end):
            one.close()
        if self._control is not None:
            self._control.leave()
        threading.Thread(target=_end_with, args=(self._life,), name="foreman's life", daemon=True).start()

    # -- what happens --------------------------------------------------------------------------------------------------

    def _take_signals(self) -> None:
        for end in (self._wake, self._wake_end):
            end.settimeout(0.0)
        signal.set_wakeup_fd(self._wake_end.fileno())
        for number in _OURS:
            signal.signal(number, lambda number, _: self._told.append(number))
        signal.signal(signal.SIGCHLD, lambda number, _: None)

    def _until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, for so many seconds, or until the server is told to end; return whether it is."""
        until = time.monotonic() + seconds
        while not is_so() and not self._told and (left := until - time.monotonic()) > 0:
            self._turn(None, left)
        return is_so()

    def _turn(self, control: Control | None, seconds: float = LONGEST_PAUSE_SECONDS) -> None:
        """Wait until something happens, and take note of it."""
        pause = self._not_before - time.monotonic()
        seconds = min(seconds, pause) if pause > 0 else seconds
        ends = [worker.ready_end for worker in self._workers if not worker.is_ready]
        found = _readable([self._wake.fileno(), *ends, *([control.fileno()] if control else [])], seconds)
        if self._wake.fileno() in found:
            self._wake.recv(4096)
        for worker in list(self._workers):
            worker.hear()
            self._look_whether_ended(worker)
        if control is not None and control.fileno() in found:
            _serve_one(control)

    def _look_whether_ended(self, worker: _Worker) -> None:
        pid, status = os.waitpid(worker.pid, os.WNOHANG)
        if pid == 0:
            return
        self._workers.remove(worker)
        os.close(worker.ready_end)
        code = os.waitstatus_to_exitcode(status)
        if worker.generation != self._generation:
            if code not in {0, -signal.SIGTERM, -OUST, -signal.SIGKILL}:
                self._failures += 1
                _log.error("the worker %d ended with status %d", worker.pid, code)
            return
        _log.error("the worker %d ended by itself with status %d", worker.pid, code)
        if not worker.is_ready or time.monotonic() - worker.began < SETTLED_SECONDS:
            self._note_failure(worker.slot)
        else:
            self._failures = 0


def _serve_one(control: Control) -> None:
    try:
        control.serve_one()
    except OSError:
        pass  # the connection failed before it began


def obey(server: EndingServer, tell: Callable[[], None]) -> None:
    """Let the server of a worker call a function once, when it accepts connections, and end when it is ousted."""

    async def told() -> None:
        tell()

    signal.signal(OUST, lambda number, frame: server.end_without_draining())
    # uvicorn calls it as soon as it serves, and then not before so many seconds are over.
    server.config.callback_notify, server.config.timeout_notify = told, 10**9


def _readable(ends: list[int], seconds: float) -> set[int]:
    poll = select.poll()
    for end in ends:
        poll.register(end, select.POLLIN)
    return {end for end, _ in poll.poll(max(0.0, seconds) * 1000)}


def _tell(end: int) -> None:
    os.write(end, b"r")
    os.close(end)


def _end_with(life: int) -> None:
    """Ask this process to end until it does, when nobody holds the other end any more."""
    os.read(life, 1)
    while True:  # again and again: what is just beginning may not hear it
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_NUDGE_SECONDS)
