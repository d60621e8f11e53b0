# SPDX-License-Identifier: Apache-2.0
"""The composition root: settings in, a running vault out. The only place that knows every room."""

import ctypes
import gc
import resource
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import uvicorn

from mysafe.config import Settings
from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.provider import RootKeyRefused
from mysafe.domain.errors import Sealed
from mysafe.domain.files import FileBounds
from mysafe.making import InitRefused, alone_in
from mysafe.opening import begin_unsealing, file_shelf, is_opened_by_people, open_vault, root_provider
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.admission import Admission, Rates
from mysafe.server.api.call import Answer
from mysafe.server.api.endpoint import DOCUMENTED, Api, Limits
from mysafe.server.api.transfers import Transfers
from mysafe.server.ending import EndingServer, nobody
from mysafe.server.limits import ConnectionLimits, limited_protocol
from mysafe.server.logs import log_to_stderr
from mysafe.server.origin import Proxies
from mysafe.server.routes import OPEN_OPERATIONS, OPERATIONS, Routes
from mysafe.server.sealing.control import ControlRefused, ControlSocket
from mysafe.server.sealing.custodian import Custodian, Served, Worker
from mysafe.server.sealing.gate import Gate
from mysafe.services import health
from mysafe.services.files.collector import Collector
from mysafe.services.keys import KeysRefused
from mysafe.services.rotation.epochs import RotationRefused
from mysafe.services.rotation.pulse import Pulse
from mysafe.services.vault import Vault
from mysafe.storage.engine import StorageRefused

Application = Callable[..., Awaitable[None]]

GC_THRESHOLDS = (100_000, 20, 20)
"""Look for cycles rarely: a request makes hardly any, and looking took a fifth of its time (measured)."""

PR_SET_DUMPABLE = 4
"""Option of prctl(2)."""


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
)
"""Why a vault is not made, opened or served; the text of each is one sentence for the operator."""


def asgi_app(vault: Vault, settings: Settings, *, ticks: Callable[[], int] = time.monotonic_ns) -> Api:
    """Return the web application of a vault. `ticks` are nanoseconds that never go back, for what is counted."""
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
    api.accept_files(Transfers(vault, file_shelf(vault, settings), bounds, settings.files_bytes_per_second))
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


Beside = Callable[[Vault], Sequence[Worker]]
"""Begin what is done besides serving, as long as the vault is open."""


def nothing(vault: Vault) -> Sequence[Worker]:
    """Do nothing besides serving."""
    return ()


def custodian(settings: Settings, gate: Gate, beside: Beside = nothing) -> Custodian:
    """Return what opens and seals the vault behind a gate."""

    def serve_it(vault: Vault) -> Served:
        collector = Collector(vault, file_shelf(vault, settings), is_alone=not vault.engine.is_shared)
        workers: tuple[Worker, ...] = (collector, Pulse(vault, root_provider(settings)), *beside(vault))
        return Served(vault, asgi_app(vault, settings), workers)

    begin = partial(begin_unsealing, settings) if is_opened_by_people(settings) else None
    return Custodian(gate, serve_it, partial(open_vault, settings), begin, REFUSALS)


def web_server(application: Application, settings: Settings, on_ending: Callable[[], None] = nobody) -> uvicorn.Server:
    """Return the web server, ready to run. It adds no header of its own and trusts no forwarded one.

    `on_ending` is called when it was told to end, before it stops serving.
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
            http=limited_protocol(connection_limits),
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


def serve(settings: Settings, beside: Beside = nothing) -> int:
    """Serve an existing vault until SIGINT or SIGTERM; requests in flight finish. Return the exit status."""
    clock = health.clock(time.time())
    if clock.state is health.State.UNSAFE:
        raise StartRefused(f"the clock is wrong: {clock.text}")
    log_to_stderr()
    _harden()
    if settings.is_on_postgresql or not settings.data.is_dir():
        return _serve(settings, beside)  # which says what is missing; and other servers may serve the same database
    with alone_in(settings.data, StartRefused(f"another server serves the vault in {settings.data}")):
        return _serve(settings, beside)


def _serve(settings: Settings, beside: Beside) -> int:
    gate = sealed_gate(settings)
    keeper = custodian(settings, gate, beside)
    keeper.start()
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _noticed)  # uvicorn stops on them, then raises them again
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        server = web_server(gate, settings, gate.prepare_to_end)
        control = ControlSocket(settings.data, keeper.handle)
        try:
            server.run()
        finally:
            control.close()
    finally:
        keeper.close()
    return 0 if server.started else 1


def _noticed(number: int, frame: object) -> None:
    """Let the server's own handler do the work."""


def _harden() -> None:
    """Keep secrets out of core files, and other processes of the same user out of this one's memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
