# SPDX-License-Identifier: Apache-2.0
"""A foreman whose workers do nothing, or fail.

python -m tests.support.crew never        no worker can be started
python -m tests.support.crew once         the first ones end soon, and no other one can be started
python -m tests.support.crew good         they wait until they are told to end
python -m tests.support.crew sealed       they serve a sealed vault, and none can serve the open one it is asked for
python -m tests.support.crew slow         they do not hear the first time that they are told to end
"""

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from mysafe.server.listening import Listeners
from mysafe.server.logs import log_to_stderr
from mysafe.server.workers import foreman
from mysafe.server.workers.foreman import Duty, Foreman, WorkersRefused

NUMBER = 2


class Nobody:
    """A control on which nobody ever asks for anything."""

    def __init__(self) -> None:
        self._end, self._other_end = socket.socketpair()

    def fileno(self) -> int:
        return self._end.fileno()

    def serve_one(self) -> None:
        raise AssertionError

    def leave(self) -> None:
        self._end.close()
        self._other_end.close()


class Asked(Nobody):
    """A control on which somebody asks once for the vault to be opened."""

    def __init__(self, crew: Foreman[str]) -> None:
        super().__init__()
        self._crew = crew
        self._other_end.send(b"o")

    def serve_one(self) -> None:
        self._end.recv(1)
        began = time.monotonic()
        try:
            self._crew.open("vault")
        except WorkersRefused as refused:
            print(f"after {time.monotonic() - began:.0f} s: {refused}", file=sys.stderr, flush=True)


def work(mode: str, duty: Duty[str], mark: Path) -> int:
    for one in duty.sockets:
        one.close()
    if mode == "never" or duty.api is not None or (mode == "once" and len(list(mark.iterdir())) >= NUMBER):
        return 3
    (mark / str(os.getpid())).touch()
    duty.tell_ready()
    if mode == "slow":
        return hear_twice()
    if mode in {"good", "sealed"}:
        signal.sigwait({signal.SIGTERM})
        return 0
    while len(list(mark.iterdir())) < NUMBER:
        signal.sigtimedwait({signal.SIGTERM}, 0.01)
    signal.sigtimedwait({signal.SIGTERM}, 0.5)
    return 4


def hear_twice() -> int:
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    while len(heard) < 2:
        threading.Event().wait(0.02)
    return 0


def main() -> int:
    foreman.SHORTEST_PAUSE_SECONDS = 0.02
    log_to_stderr()
    crew: Foreman[str] = Foreman(NUMBER, Listeners("127.0.0.1", 0, NUMBER))
    nobody = Asked(crew) if sys.argv[1] == "sealed" else Nobody()
    outcome = crew.run(nobody)
    if isinstance(outcome, Duty):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        return work(sys.argv[1], outcome, Path(sys.argv[2]))
    nobody.leave()
    crew.dismiss()
    return outcome


if __name__ == "__main__":
    sys.exit(main())
