# SPDX-License-Identifier: Apache-2.0
"""The pulse of a process that serves: it loads each new keyring, and says which one it has (decision 0021)."""

import logging
import threading

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.provider import RootKeyProvider, RootKeyRefused
from mysafe.domain.errors import VaultError
from mysafe.services.keys import KeysRefused
from mysafe.services.vault import Vault
from mysafe.storage.engine import Transaction
from mysafe.storage.rotation import nodes
from mysafe.storage.rotation.nodes import Node

_log = logging.getLogger("mysafe.server")

POLL_SECONDS = 1.0
"""How often a process looks for a newer keyring. It reads two numbers, and writes only if there is one."""

BEAT_SECONDS = 10
"""How often a process says that it lives."""

LIVE_SECONDS = 30
"""How long after its last beat a process counts as alive."""


class Pulse:
    """Beat at once, and then in a thread of its own, until it is closed.

    Args:
        vault: the open vault.
        provider: is asked when the root key was changed. Where people give the key it refuses: nobody is there.
    """

    def __init__(self, vault: Vault, provider: RootKeyProvider) -> None:
        self._vault = vault
        self._provider = provider
        self._told = (0, 0)  # version and time of the last beat
        self._complained_of = 0
        self._is_over = threading.Event()
        self.beat()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, and say that this process serves no more."""
        self._is_over.set()
        self._thread.join()
        try:
            self._vault.engine.submit(lambda tx: nodes.leave(tx, self._vault.node)).result()
        except VaultError:
            pass  # then the others wait for it as for a process that was killed

    def beat(self) -> None:
        """Load a newer keyring, if there is one, and say so; say from time to time that we live."""
        try:
            self._vault.engine.look(self._load).result()
            version, now = self._vault.keys.version, int(self._vault.clock())
            if (version, True) != (self._told[0], 0 <= now - self._told[1] < BEAT_SECONDS):
                node = Node(self._vault.node, now, version)
                self._vault.engine.submit(lambda tx: nodes.beat(tx, node)).result()
                self._told = version, now
        except VaultError as error:
            _log.warning("the pulse fails: %s", type(error).__name__)

    def _load(self, tx: Transaction) -> None:
        keychain = self._vault.keychain
        keychain.forget_before()
        before = keychain.current.version
        try:
            keychain.load(tx, self._provider)
        except (SealBroken, RootKeyRefused, KeysRefused) as error:
            if self._complained_of != before:
                _log.warning("a newer keyring does not open: %s; seal and unseal this server", error)
            self._complained_of = before
            return
        if keychain.current.version != before:
            _log.info("loaded version %d of the keyring", keychain.current.version)

    def _run(self) -> None:
        while not self._is_over.wait(POLL_SECONDS):
            try:
                self.beat()
            except Exception as error:  # noqa: BLE001  # without a pulse every rotation would wait for this process
                _log.error("the pulse fails: %s", type(error).__name__)
