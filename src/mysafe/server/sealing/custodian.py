# SPDX-License-Identifier: Apache-2.0
"""Open and seal the vault of a running server, as the local socket asks for it.

sealed  ──unseal──▶  open  ──seal──▶  sealed
"""

import gc
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from mysafe.domain.actions import Action
from mysafe.domain.errors import TooMany, VaultError
from mysafe.domain.secret_text import SecretText
from mysafe.server.sealing.gate import Gate, OpenApi
from mysafe.services.authentication import local_operator
from mysafe.services.root.unsealing import Progress, Unsealing
from mysafe.services.vault import Vault

_log = logging.getLogger("mysafe.server")

DRAIN_SECONDS = 30.0
"""How long requests under way may take to end when the vault is sealed."""


class Worker(Protocol):
    """What works beside the server, in a thread of its own."""

    def close(self) -> None:
        """End it; what it is doing is finished first."""


class Served(NamedTuple):
    """An open vault, its web application, and what works beside it."""

    vault: Vault
    api: OpenApi
    workers: Sequence[Worker]


class Custodian:
    """Keep the one vault of a server, open or sealed. Safe to use from any thread.

    Args:
        gate: before the web application.
        serve: makes everything an open vault needs.
        open_vault: opens it without a person; raises one of `refusals`.
        begin_unsealing: reads the slot that people open; None where nobody has to type anything.
        refusals: the exceptions whose text is a sentence for the operator.
    """

    def __init__(
        self,
        gate: Gate,
        serve: Callable[[Vault], Served],
        open_vault: Callable[[], Vault],
        begin_unsealing: Callable[[], Unsealing] | None,
        refusals: tuple[type[Exception], ...],
    ) -> None:
        self._gate = gate
        self._serve = serve
        self._open_vault = open_vault
        self._begin_unsealing = begin_unsealing
        self._refusals = refusals
        self._lock = threading.Lock()
        self._served: Served | None = None
        self._unsealing: Unsealing | None = None

    def start(self) -> None:
        """Open the vault if nobody has to type anything, else wait sealed. Raises one of the refusals."""
        with self._lock:
            if self._begin_unsealing is None:
                self._let_in(self._open_vault())
            else:
                self._unsealing = self._begin_unsealing()

    def handle(self, question: Mapping[str, str]) -> Mapping[str, Any]:
        """Do what a line on the socket asks for; the answer says how things are, and what was wrong."""
        with self._lock:
            try:
                error = self._do(question)
            except self._refusals as refused:
                error = str(refused)
            except TooMany as refused:
                error = f"too many were wrong: try again in {refused.retry_after_seconds} seconds"
            except VaultError as refused:
                error = f"the vault cannot do this now: {type(refused).__name__}"
            except Exception as fault:  # noqa: BLE001  # the socket must go on; the text may quote a secret
                _log.error("unexpected %s on the local socket", type(fault).__name__)
                error = "the server failed: its log says how"
            return {**self._state(), "error": error}

    def close(self) -> None:
        """Close the vault, if it is open, at the end of the server."""
        with self._lock:
            self._put_away()

    def _do(self, question: Mapping[str, str]) -> str | None:
        match question.get("do"):
            case "status":
                return None
            case "unseal":
                return self._unseal(question.get("secret"))
            case "seal":
                return self._seal()
            case _:
                return "this server does not know what was asked for"

    def _unseal(self, secret: object) -> str | None:
        if self._served is not None:
            return None
        if self._begin_unsealing is None:
            self._let_in(self._open_vault(), ())
            return None
        self._unsealing = self._unsealing or self._begin_unsealing()
        if not isinstance(secret, str):
            return "a secret is needed"
        vault = self._unsealing.give(SecretText(secret))
        if isinstance(vault, Vault):
            refusals, self._unsealing = self._unsealing.refusals, None
            self._let_in(vault, refusals)
        return None

    def _seal(self) -> str | None:
        if self._served is None:
            return None
        _record(self._served.vault, Action.VAULT_SEAL)
        if not self._gate.close(DRAIN_SECONDS):
            _log.warning("requests under way were cut off: they did not end in %d seconds", DRAIN_SECONDS)
        self._put_away()
        if self._begin_unsealing is not None:
            self._unsealing = self._begin_unsealing()
        return None

    def _let_in(self, vault: Vault, refusals: Sequence[str] | None = None) -> None:
        self._served = None
        try:
            if refusals is not None:
                _record(vault, Action.VAULT_UNSEAL, refusals)
            served = self._serve(vault)
        except BaseException:
            vault.close()
            raise
        self._served = served
        self._gate.open(served.api)

    def _put_away(self) -> None:
        served, self._served = self._served, None
        if served is None:
            return
        _close(served)
        del served
        # What was frozen at the start of the server would never be looked at: the keys are to go now.
        gc.unfreeze()
        gc.collect()

    def _state(self) -> dict[str, Any]:
        if self._served is not None:
            return {"is_open": True}
        progress = self._unsealing.progress if self._unsealing else Progress("", 0, 0)
        return {"is_open": False, **progress._asdict()}


def _record(vault: Vault, action: Action, refusals: Sequence[str] = ()) -> None:
    vault.run(local_operator, lambda uow: uow.registry.root.record_sealing(action, refusals)).result()


def _close(served: Served) -> None:
    for worker in served.workers:
        worker.close()
    served.vault.close()
