# SPDX-License-Identifier: Apache-2.0
"""Keep the audit tree beside a server: in a thread of its own, and once more at the end."""

import logging
import threading

from mysafe.services.audit_tree.sequencer import REST_SECONDS, Sequencer

_log = logging.getLogger("mysafe.audit")


class AuditKeeper:
    """Run a sequencer until it is closed."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._sequencer = sequencer
        self._complaint = ""
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop, append what is left, and sign it."""
        self._is_over.set()
        self._thread.join()
        self._sequencer.close()

    def _run(self) -> None:
        rest = 0.0
        while not self._is_over.wait(rest):
            try:
                rest = self._sequencer.run()
                self._complaint = ""
            except Exception as error:  # noqa: BLE001  # the tree must go on growing; the log says what was wrong
                rest = REST_SECONDS
                self._complain(type(error).__name__)

    def _complain(self, what: str) -> None:
        """Log a failure once, not twice a second."""
        if what != self._complaint:
            _log.error("the audit tree does not grow: %s", what)
        self._complaint = what
