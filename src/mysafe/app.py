# SPDX-License-Identifier: Apache-2.0
"""The composition root: settings in, a running vault out. The only place that knows every room."""

import gc
import signal
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import uvicorn

from mysafe import hardening
from mysafe.config import Settings
from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.handed import HandedRoot
from mysafe.crypto.root_key.provider import RootKeyRefused
from mysafe.domain.actions import Action
from mysafe.domain.errors import Sealed
from mysafe.domain.files import FileBounds
from mysafe.making import InitRefused, alone_in, alone_with
from mysafe.opening import (
    begin_unsealing,
    checkpoint_file,
    database_path,
    file_shelf,
    is_opened_by_people,
    open_handed,
    open_vault,
    root_provider,
)
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.admission import Admission, Rates
from mysafe.server.api.call import Answer
from mysafe.server.api.endpoint import DOCUMENTED, Api, Limits
from mysafe.server.api.transfers import Transfers
from mysafe.server.ending import EndingServer, nobody
from mysafe.server.limits import ConnectionLimits, ConnectionTally, limited_protocol
from mysafe.server.listening import Listeners
from mysafe.server.logs import log_to_stderr
from mysafe.server.observing.scraping import ScrapingRefused
from mysafe.server.observing.tally import TransferTally
from mysafe.server.observing.traces import TracesRefused
from mysafe.server.origin import Proxies
from mysafe.server.routes import OPEN_OPERATIONS, OPERATIONS, Routes
from mysafe.server.sealing.control import ControlListener, ControlRefused, ControlSocket
from mysafe.server.sealing.custodian import Custodian, Served, record
from mysafe.server.sealing.gate import Gate, OpenApi
from mysafe.server.workers.foreman import Duty, Foreman, WorkersRefused, obey
from mysafe.services import health
from mysafe.services.audit_tree.checkpoints import Checkpoints
from mysafe.services.audit_tree.sequencer import Sequencer
from mysafe.services.audit_tree.starting import RollbackDetected, check_start
from mysafe.services.background.chores import Chore
from mysafe.services.background.expired_tokens import ExpiredTokens
from mysafe.services.background.rounds import Rounds
from mysafe.services.files.collector import Collector
from mysafe.services.keys import KeysRefused
from mysafe.services.root.unsealing import Unsealing
from mysafe.services.rotation.epochs import RotationRefused
from mysafe.services.rotation.pulse import Pulse
from mysafe.services.vault import Vault
from mysafe.storage.audit_tree import TreeDamaged
from mysafe.storage.engine import StorageRefused
from mysafe.watching import LastBackups, Watching, unknown_backups

Application = Callable[..., Awaitable[None]]

GC_THRESHOLDS = (100_000, 20, 20)
"""Look for cycles rarely: a request makes hardly any, and looking took a fifth of its time (measured)."""


class StartRefused(Exception):
    """A vault cannot be served now. The text is one sentence for the operator."""


REFUSALS: tuple[type[Exception], ...] = (
    InitRefused,
    StartRefused,
    StorageRefused,
    RootKeyRefused,
    ControlRefused,
    KeysRefused,
    SealBroken,
    RotationRefused,
    ScrapingRefused,
    TracesRefused,
    RollbackDetected,
    TreeDamaged,
    WorkersRefused,
)
"""Why a vault is not made, opened or served; the text of each is one sentence for the operator."""


def asgi_app(
    vault: Vault,
    settings: Settings,
    *,
    ticks: Callable[[], int] = time.monotonic_ns,
    tally: TransferTally | None = None,
) -> Api:
    """Return the web application of a vault.

    `ticks` are nanoseconds that never go back, for what is counted; `tally` counts what is moved.
    """
    compatibility = _compatibility(settings)
    limits = Limits(settings.request_seconds, settings.body_bytes)
    rates = Rates(
        settings.requests_per_second,
        settings.requests_burst,
        settings.token_failures_per_minute,
        settings.token_failures_per_address,
    )
    header = settings.client_certificate_header
    proxies = Proxies(settings.trusted_proxies, header.lower().encode("ascii") if header else None)
    routes = Routes(OPEN_OPERATIONS if settings.public_api_description else OPERATIONS)
    api = Api(
        vault,
        routes.match,
        compatibility=compatibility,
        limits=limits,
        proxies=proxies,
        admission=Admission(rates, ticks),
    )
    bounds = FileBounds(settings.files_max_bytes, settings.files_user_bytes or None, settings.files_total_bytes or None)
    shelf = file_shelf(vault, settings)
    api.accept_files(Transfers(vault, shelf, bounds, settings.files_bytes_per_second, tally))
    return api


def _compatibility(settings: Settings) -> Compatibility:
    return Compatibility(
        is_mensagem_sent=settings.compat_mensagem,
        unauthenticated_status=settings.compat_unauthenticated_status,
        is_existence_hidden=settings.compat_hide_existence,
        are_both_user_keys_sent=settings.compat_both_user_keys,
        is_inactive_listed=settings.compat_list_inactive,
        longest_note=settings.notes_max_characters,
    )


def sealed_gate(settings: Settings) -> Gate:
    """Return the gate before the API. What it refuses is worded by the door that was asked (contract 7: 503)."""
    compatibility = _compatibility(settings)
    find_operation = Routes().match

    def refuse(method: str, raw_path: bytes) -> Answer:
        match = find_operation(method, raw_path)
        door = (match and match.operation.door) or DOCUMENTED
        return door.answer_to(Sealed(), compatibility)

    return Gate(refuse)


Beside = Callable[[Vault], Sequence[Chore]]
"""Return further chores of a server, while its vault is open."""


def nothing(vault: Vault) -> Sequence[Chore]:
    """Return no further chore."""
    return ()


def rounds(vault: Vault, settings: Settings, sequencer: Sequencer, beside: Beside) -> Rounds:
    """Begin the background work of an open vault: the one list of it (decision 0020)."""
    collector = Collector(vault, file_shelf(vault, settings))
    if not vault.engine.is_shared:
        collector.begin_alone()
    return Rounds(vault.engine.leadership(), (collector, ExpiredTokens(vault), sequencer, *beside(vault)))


def audit_sequencer(vault: Vault, settings: Settings) -> Sequencer:
    """Return what keeps the audit tree of a vault that is served."""
    return Sequencer(vault, Checkpoints(vault, checkpoint_file(settings), settings.audit_checkpoint_seconds))


def custodian(
    settings: Settings,
    gate: Gate,
    beside: Beside = nothing,
    watching: Watching | None = None,
    handed: HandedRoot | None = None,
) -> Custodian[OpenApi]:
    """Return what opens and seals the vault behind a gate, while somebody may be `watching`.

    With a root key that was `handed` over, nobody has to type anything.
    """

    def serve_it(vault: Vault) -> Served:
        check_start(vault, checkpoint_file(settings))  # before anything is begun
        sequencer = audit_sequencer(vault, settings)
        # What the others still record at their end becomes part of the audit tree, too.
        workers = (rounds(vault, settings, sequencer, beside), Pulse(vault, root_provider(settings)), sequencer)
        tally = None if watching is None else watching.opened(vault)
        return Served(vault, asgi_app(vault, settings, tally=tally), workers)

    if handed is not None:
        return Custodian(gate, serve_it, partial(open_handed, settings, handed), None, REFUSALS)
    return Custodian(gate, serve_it, partial(open_vault, settings), _unsealing(settings), REFUSALS)


def _unsealing(settings: Settings) -> Callable[[], Unsealing] | None:
    return partial(begin_unsealing, settings) if is_opened_by_people(settings) else None


def web_server(
    application: Application,
    settings: Settings,
    *,
    tally: ConnectionTally | None = None,
    on_ending: Callable[[], None] = nobody,
) -> EndingServer:
    """Return the web server, ready to run. It adds no header of its own and trusts no forwarded one.

    `tally` counts its connections; `on_ending` is called when it was told to end, before it stops serving.
    """
    connection_limits = ConnectionLimits(
        header_seconds=settings.header_seconds,
        connections=settings.max_connections,
        uncounted=settings.trusted_proxies,
    )
    return EndingServer(
        uvicorn.Config(
            application,
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http=limited_protocol(connection_limits, tally),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            ssl_ca_certs=settings.tls_client_ca,
            ssl_cert_reqs=ssl.CERT_OPTIONAL if settings.tls_client_ca else ssl.CERT_NONE,
        ),
        settings.shutdown_seconds,
        settings.drain_seconds,
        on_ending,
    )


def serve(settings: Settings, beside: Beside = nothing, last_backups: LastBackups = unknown_backups) -> int:
    """Serve an existing vault until SIGINT or SIGTERM; requests in flight finish. Return the exit status."""
    clock = health.clock(time.time())
    if clock.state is health.State.UNSAFE:
        raise StartRefused(f"the clock is wrong: {clock.text}")
    log_to_stderr()
    hardening.harden()
    if settings.workers > 1:
        return _serve_by_workers(settings, beside, last_backups)
    if settings.is_on_postgresql or not settings.data.is_dir():
        # It says what is missing; and other servers may serve the same database.
        return _serve(settings, beside, last_backups)
    database = database_path(settings)
    with (
        alone_in(settings.data, StartRefused(f"another server serves the vault in {settings.data}")),
        alone_with(database, StartRefused(f"another server serves the vault of {database}")),
    ):
        return _serve(settings, beside, last_backups)


def _serve(settings: Settings, beside: Beside, last_backups: LastBackups) -> int:
    gate = sealed_gate(settings)
    watching = Watching(settings, gate)
    keeper = custodian(settings, gate, beside, watching)
    keeper.start()
    try:
        server = _prepared_server(gate, settings, watching)
        control = ControlSocket(settings.data, keeper.handle)
        try:
            with watching.shown(last_backups):
                server.run()
        finally:
            control.close()
    finally:
        keeper.close()
    return 0 if server.started else 1


def _prepared_server(gate: Gate, settings: Settings, watching: Watching) -> EndingServer:
    server = web_server(watching.application, settings, tally=watching.connections, on_ending=gate.prepare_to_end)
    for number in (signal.SIGINT, signal.SIGTERM):
        # It may come before uvicorn listens to it, and uvicorn raises what it heard again at its end.
        signal.signal(number, server.handle_exit)
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    return server


class _Handed:
    """An open vault as the foreman of several workers has it: nothing but the root key, for those that serve."""

    def __init__(self, settings: Settings, vault: Vault) -> None:
        check_start(vault, checkpoint_file(settings))  # as each worker does, which nobody would hear
        self._settings = settings
        self._handed: HandedRoot | None = vault.keychain.handed(settings.root_provider)
        vault.close()  # what is forked has one thread

    @property
    def api(self) -> HandedRoot:
        """The root key, until it is forgotten."""
        if self._handed is None:
            raise Sealed
        return self._handed

    def record(self, action: Action) -> None:
        """Record that the vault is sealed."""
        vault = open_handed(self._settings, self.api)
        try:
            record(vault, action)
        finally:
            vault.close()

    def forget(self) -> None:
        """Let go of the root key: the workers of the sealed vault are forks of this process."""
        self._handed = None

    def close(self) -> None:
        """Do nothing: the vault is closed."""


def _serve_by_workers(settings: Settings, beside: Beside, last_backups: LastBackups) -> int:
    """Keep several processes that serve; each of them returns from here as well, at its own end."""
    outcome = _as_foreman(settings)  # a worker leaves behind there what was the foreman's, with any secrets in it
    return _work(settings, beside, last_backups, outcome) if isinstance(outcome, Duty) else outcome


def _as_foreman(settings: Settings) -> int | Duty[HandedRoot]:
    """Return the exit status of the foreman, and in each worker its duty."""
    if not settings.is_on_postgresql:
        raise StartRefused(
            "a SQLite vault is served by one process: set workers to 1,"
            " or move the vault to PostgreSQL with mysafe migrate-database"
        )
    try:
        listeners = Listeners(settings.host, settings.port, settings.workers)
    except OSError as error:
        raise StartRefused(f"cannot listen on {settings.host} port {settings.port}: {error.strerror}") from None
    foreman: Foreman[HandedRoot] = Foreman(settings.workers, listeners)
    begin = _unsealing(settings)
    keeper = Custodian(foreman, partial(_Handed, settings), partial(open_vault, settings), begin, REFUSALS)
    keeper.start()
    control = ControlListener(settings.data, keeper.handle)
    outcome = foreman.run(control)
    if isinstance(outcome, Duty):
        return outcome
    control.close()
    keeper.close()
    foreman.dismiss()
    return outcome


def _work(settings: Settings, beside: Beside, last_backups: LastBackups, duty: Duty[HandedRoot]) -> int:
    """Serve as one of several workers."""
    gate = sealed_gate(settings)
    watching = Watching(settings, gate, duty.number)
    keeper = custodian(settings, gate, beside, watching, duty.api)
    if duty.api is not None:
        keeper.start()
    try:
        server = _prepared_server(gate, settings, watching)
        obey(server, duty.tell_ready)
        with watching.shown(last_backups):
            server.run(duty.sockets)
    finally:
        keeper.close()
    return 0 if server.started else 1
