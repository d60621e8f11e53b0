# SPDX-License-Identifier: Apache-2.0
"""From the settings to those who watch a server process: metrics, access log, traces. Nothing is on by default.

Each process counts for itself. Where several serve one vault, the one with number N shows its metrics at the port of
the settings plus N, and whoever reads them adds up (decision 0023).
"""

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from mysafe.config import Settings
from mysafe.crypto.root_key.private_file import read_secret_line
from mysafe.domain.secret_text import SecretText
from mysafe.server.limits import ConnectionTally
from mysafe.server.observing import access_log
from mysafe.server.observing.collecting import Sources, collect
from mysafe.server.observing.scraping import MetricsListener, MetricsPage, Place
from mysafe.server.observing.tally import RequestTally, TransferTally
from mysafe.server.observing.traces import Traces, open_traces
from mysafe.server.observing.watch import Application, Watch, Watcher
from mysafe.server.sealing.gate import Gate
from mysafe.services.vault import Vault

LastBackups = Callable[[], Mapping[str, int]]
"""Return the Unix times of the last backup `taken` and `proved`, 0 for never."""


def unknown_backups() -> Mapping[str, int]:
    """Know of no backup."""
    return {}


class Watching:
    """What one server process counts and tells, as far as the settings ask for it.

    `application` is the watched gate, or the very same gate where nobody watches; `watchers` hear of its requests.
    `connections` is for those who keep connections.

    Args:
        settings: say what is on.
        gate: to be watched.
        worker: the number of this process among several that serve the vault here, from 0; None for a single one.
            A process that was forked makes this after the fork: traces have a thread.

    Raises:
        TracesRefused: traces are wanted, and what they need is not installed.
        RootKeyRefused: the token of the metrics cannot be read, or others can read it.
    """

    def __init__(self, settings: Settings, gate: Gate, worker: int | None = None) -> None:
        self._settings = settings
        self._gate = gate
        self._worker = worker
        self._vault: weakref.ref[Vault] | None = None
        self._requests = RequestTally()
        self._transfers = TransferTally()
        self.connections = ConnectionTally()
        self._token = _token(settings)
        self._traces = _traces(settings)
        self.watchers = self._wanted()
        self._watch = Watch(
            gate,
            self.watchers,
            is_followed=settings.access_log or self._traces is not None,
            trusted_proxies=settings.trusted_proxies,
        )
        self.application: Application = self._watch if self.watchers else gate

    def _wanted(self) -> list[Watcher]:
        watchers: list[Watcher] = []
        if self._token is not None:
            watchers.append(self._requests.hear)
        if self._settings.access_log:
            watchers.append(access_log.write)
        if self._traces is not None:
            watchers.append(self._traces.hear)
        return watchers

    @contextmanager
    def shown(self, last_backups: LastBackups = unknown_backups) -> Iterator[MetricsListener | None]:
        """Serve the metrics meanwhile, and send what is left of the traces at the end. Raises ScrapingRefused."""
        listener = self._listener(last_backups)
        try:
            yield listener
        finally:
            if listener is not None:
                listener.close()
            if self._traces is not None:
                self._traces.close()

    def opened(self, vault: Vault) -> TransferTally:
        """Watch a vault from now on, and return what counts the files it moves. It is not kept alive by that."""
        self._vault = weakref.ref(vault)
        return self._transfers

    def _open_vault(self) -> Vault | None:
        return self._vault() if self._vault is not None and self._gate.is_open else None

    def _listener(self, last_backups: LastBackups) -> MetricsListener | None:
        if self._token is None or self._settings.metrics_place is None:
            return None
        host, port = self._settings.metrics_place
        sources = Sources(
            self._requests,
            self._transfers,
            self.connections,
            lambda: self._watch.in_flight,
            self._open_vault,
            last_backups,
        )
        page = MetricsPage(partial(collect, sources), self._token)
        place = Place(
            host,
            port + (self._worker or 0) if port else 0,
            self._settings.tls_certificate,
            self._settings.tls_key,
            is_shared=self._worker is not None,
        )
        return MetricsListener(page, place)


def _token(settings: Settings) -> SecretText | None:
    if settings.metrics_token_file is None:
        return None
    return read_secret_line(settings.metrics_token_file, "file of the metrics token")


def _traces(settings: Settings) -> Traces | None:
    if settings.traces_endpoint is None:
        return None
    return open_traces(settings.traces_endpoint, settings.traces_ratio)
