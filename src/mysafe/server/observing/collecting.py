# SPDX-License-Identifier: Apache-2.0
"""Put together what there is to see, for one scrape. It runs on the thread of the scrapes and may wait a second."""

import platform
from collections.abc import Callable, Mapping
from typing import NamedTuple

from mysafe import __version__
from mysafe.domain.actions import Action
from mysafe.server.limits import ConnectionTally
from mysafe.server.observing import catalogue
from mysafe.server.observing.exposition import Exposition
from mysafe.server.observing.process import process_figures
from mysafe.server.observing.tally import RequestTally, TransferTally
from mysafe.services.observing.figures import figures
from mysafe.services.unit_of_work import REVEALING
from mysafe.services.vault import Vault

PATIENCE_SECONDS = 1.0
"""How long a scrape waits for the database."""

_REVEALING = REVEALING | {Action.ITEM_READ_VERSION}
_ISSUING = frozenset({Action.TOKEN_ISSUE})
_OUTCOMES = {"issued": range(200, 300), "refused": range(400, 429), "throttled": range(429, 430)}


class Sources(NamedTuple):
    """Where the numbers come from.

    `in_flight`, `vault` and `last_backups` are asked at each scrape: for requests being answered, for the vault if it
    is open, and for the Unix times of what is known of backups, by name.
    """

    requests: RequestTally
    transfers: TransferTally
    connections: ConnectionTally
    in_flight: Callable[[], int]
    vault: Callable[[], Vault | None]
    last_backups: Callable[[], Mapping[str, int]]


def collect(sources: Sources) -> str:
    """Return all metrics in Prometheus's text format."""
    out = Exposition()
    out.add(catalogue.BUILD, 1, __version__, platform.python_version())
    _add_requests(out, sources)
    _add_transfers(out, sources.transfers)
    vault = sources.vault()
    out.add(catalogue.OPEN, vault is not None)
    if vault is not None:
        _add_vault(out, vault)
    for what, at in sources.last_backups().items():
        if at:
            out.add(catalogue.BACKUP, at, what)
    _add_process(out)
    return out.text()


def _add_requests(out: Exposition, sources: Sources) -> None:
    requests, connections = sources.requests, sources.connections
    for (method, path), route in tuple(requests.routes.items()):
        for status, number in tuple(route.statuses.items()):
            out.add(catalogue.REQUESTS, number, method, path or "other", status)
        out.add_histogram(catalogue.DURATION, route.seconds, method, path or "other")
    out.add(catalogue.IN_FLIGHT, sources.in_flight())
    for reason, number in requests.refused.items():
        out.add(catalogue.REFUSED, number, reason)
    out.add(catalogue.CONNECTIONS, connections.open)
    for reason, number in connections.refused.items():
        out.add(catalogue.CONNECTIONS_REFUSED, number, reason)
    for outcome, statuses in _OUTCOMES.items():
        out.add(catalogue.TOKENS, requests.answers(_ISSUING, statuses), outcome)
    out.add(catalogue.OPENED, requests.answers(_REVEALING, range(200, 300)))


def _add_transfers(out: Exposition, transfers: TransferTally) -> None:
    out.add(catalogue.TRANSFERS, transfers.uploads, "up")
    out.add(catalogue.TRANSFERS, transfers.downloads, "down")
    out.add(catalogue.TRANSFER_BYTES, transfers.received_bytes, "up")
    out.add(catalogue.TRANSFER_BYTES, transfers.sent_bytes, "down")


def _add_vault(out: Exposition, vault: Vault) -> None:
    seen = figures(vault, PATIENCE_SECONDS)
    out.add(catalogue.WAITING_UNITS, seen.waiting_units)
    out.add(catalogue.WAITING_LOOKS, seen.waiting_looks)
    out.add_histogram(catalogue.GROUP_SIZE, seen.group_sizes)
    out.add_histogram(catalogue.COMMIT_SECONDS, seen.commit_seconds)
    out.add(catalogue.DATABASE_UP, seen.stored is not None)
    if seen.stored is not None:
        out.add(catalogue.AUDIT_ROWS, seen.stored.audit_rows)
        out.add(catalogue.BLOB_BYTES, seen.stored.blob_bytes)
    out.add(catalogue.EPOCH, seen.keyring_epoch)
    out.add(catalogue.KEYRING, seen.keyring_version)


def _add_process(out: Exposition) -> None:
    process = process_figures()
    for metric, value in (
        (catalogue.CPU, process.cpu_seconds),
        (catalogue.MEMORY, process.resident_bytes),
        (catalogue.OPEN_FILES, process.open_files),
        (catalogue.MOST_FILES, process.most_files),
        (catalogue.STARTED, process.started_at),
    ):
        if value is not None:
            out.add(metric, value)
