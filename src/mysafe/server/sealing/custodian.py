# SPDX-License-Identifier: Apache-2.0
"""Open and seal the vault of a running server, as the local socket asks for it.

sealed  ──unseal──▶  open  ──seal──▶  sealed
"""

import gc
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from mysafe.domain.actions import Action
from mysafe.domain.errors import TooMany, VaultError
from mysafe.domain.secret_text import SecretText
from mysafe.server.sealing.gate import OpenApi
from mysafe.services.authentication import local_operator
from mysafe.services.root.unsealing import Progress, Unsealing
from mysafe.services.vault import Vault

_log = logging.getLogger("mysafe.server")
_security = logging.getLogger("mysafe.security")

DRAIN_SECONDS = 30.0
"""How long requests under way may take to end when the vault is sealed."""


class Worker(Protocol):
    """What works beside the server, in a thread of its own."""

    def close(self) -> None:
        """End it; what it is doing is finished first."""


A = TypeVar("A")
A_co = TypeVar("A_co", covariant=True)
A_contra = TypeVar("A_contra", contravariant=True)


class Door(Protocol[A_contra]):
    """What is shut while the vault is sealed: the gate of a process that serves, or the foreman of several."""

    def open(self, api: A_contra) -> None:
        """Let requests through; raise one of the refusals if nobody can serve them."""

    def close(self, seconds: float) -> bool:
        """Let nothing through any more; return whether what was under way ended within so many seconds."""


class Opened(Protocol[A_co]):
    """What an open vault became: `api` is what the door opens to."""

    @property
    def api(self) -> A_co:
        """What the door opens to."""

    def record(self, action: Action) -> None:
        """Record that the vault is opened or sealed. Raises VaultError."""

    def forget(self) -> None:
        """Let go of what those who are still let in do not need: what is left is inherited by processes made now."""

    def close(self) -> None:
        """Let go of the vault, when nobody is let in any more."""


class Served(NamedTuple):
    """An open vault, its web application, and what works beside it."""

    vault: Vault
    api: OpenApi
    workers: Sequence[Worker]

    def record(self, action: Action) -> None:
        """Record that the vault is sealed."""
        record(self.vault, action)

    def forget(self) -> None:
        """Do nothing: requests under way need everything until they end."""

    def close(self) -> None:
        """End what works beside it, and close the vault."""
        for worker in self.workers:
            worker.close()
        self.vault.close()


class Custodian(Generic[A]):
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
        gate: Door[A],
        serve: Callable[[Vault], Opened[A]],
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
        self._served: Opened[A] | None = None
        self._unsealing: Unsealing | None = None
        self._owed: list[str] = []  # what could not be recorded, for the next time the vault is open

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
            self._let_go()

    def _do(self, question: Mapping[str, str]) -> str | None:
        match question.get("do"):
            case "status":
                if self._served is None and self._unsealing is None and self._begin_unsealing is not None:
                    self._unsealing = self._begin_unsealing()  # so that whoever asks knows what to type
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
        # The slot may be another one since: after the root key was changed, only what belongs to the new one opens.
        begun = self._begin_unsealing()
        if self._unsealing is None or self._unsealing.slot != begun.slot:
            self._owed += self._unsealing.refusals if self._unsealing else []
            self._unsealing = begun
        if not isinstance(secret, str):
            return "a secret is needed"
        vault = self._unsealing.give(SecretText(secret))
        if isinstance(vault, Vault):
            refusals, self._unsealing = self._unsealing.refusals, None
            self._let_in(vault, refusals)
        return None

    def _seal(self) -> str | None:
        served, self._served = self._served, None  # shutting the door may make processes: none may find it here
        if served is None:
            return None
        self._record_sealing(served)
        served.forget()
        try:
            if not self._gate.close(DRAIN_SECONDS):
                _log.warning("requests under way were cut off: they did not end in %d seconds", DRAIN_SECONDS)
        finally:
            served.close()
            del served
            _collect_keys()
        if self._begin_unsealing is not None:
            self._unsealing = self._begin_unsealing()
        return None

    def _record_sealing(self, served: Opened[A]) -> None:
        """Record it if that is possible: whoever seals in haste must wait for no disk, database or root key."""
        try:
            served.record(Action.VAULT_SEAL)
        except Exception as error:  # noqa: BLE001  # nothing may keep a vault open; the text may quote a secret
            _security.error("the vault is sealed, which cannot be recorded now: %s", type(error).__name__)
            self._owe(f"was sealed, which could not be recorded: {type(error).__name__}")

    def _owe(self, what: str) -> None:
        self._owed.append(f"{datetime.now(UTC).isoformat(timespec='seconds')}: {what}")

    def _let_in(self, vault: Vault, refusals: Sequence[str] | None = None) -> None:
        self._served = None
        try:
            if refusals is not None:
                record(vault, Action.VAULT_UNSEAL, [*self._owed, *refusals])
                self._owed.clear()
            self._served = self._serve(vault)
        except BaseException:
            vault.close()
            raise
        try:
            self._gate.open(self._served.api)
        except self._refusals:
            self._owe("stayed sealed: it could be opened, but not served")
            self._let_go()
            raise

    def _let_go(self) -> None:
        served, self._served = self._served, None
        if served is None:
            return
        served.forget()
        served.close()
        del served
        _collect_keys()

    def _state(self) -> dict[str, Any]:
        if self._served is not None:
            return {"is_open": True}
        progress = self._unsealing.progress if self._unsealing else Progress("", 0, 0)
        return {"is_open": False, **progress._asdict()}


def _collect_keys() -> None:
    """Let the keys of a vault that was let go leave this process now."""
    # What was frozen at the start of the server would never be looked at.
    gc.unfreeze()
    gc.collect()


def record(vault: Vault, action: Action, refusals: Sequence[str] = ()) -> None:
    """Record that a vault is opened, and what was refused before that, or sealed. Raises VaultError."""
    vault.run(local_operator, lambda uow: uow.registry.root.record_sealing(action, refusals)).result()
