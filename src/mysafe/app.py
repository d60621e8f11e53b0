# SPDX-License-Identifier: Apache-2.0
"""The composition root: settings in, a running vault out. The only place that knows every room."""

import ctypes
import fcntl
import gc
import glob
import os
import resource
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import uvicorn

from mysafe.config import Settings
from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.catalogue import NewProvider, new_provider
from mysafe.crypto.root_key.passphrase import AskSecret
from mysafe.crypto.root_key.provider import RootKeyProvider, RootKeyRefused
from mysafe.domain.errors import Sealed
from mysafe.domain.files import FileBounds
from mysafe.domain.secret_text import SecretText
from mysafe.opening import is_opened_by_people, nobody, root_means, root_provider
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.admission import Admission, Rates
from mysafe.server.api.call import Answer
from mysafe.server.api.endpoint import DOCUMENTED, Api, Limits
from mysafe.server.api.transfers import Transfers
from mysafe.server.limits import ConnectionLimits, limited_protocol
from mysafe.server.logs import log_to_stderr
from mysafe.server.origin import Proxies
from mysafe.server.routes import OPEN_OPERATIONS, OPERATIONS, Routes
from mysafe.server.sealing.control import ControlRefused, ControlSocket
from mysafe.server.sealing.custodian import Custodian, Served
from mysafe.server.sealing.gate import Gate
from mysafe.services import health
from mysafe.services import keys as key_ceremony
from mysafe.services.accounts.key_rules import KeyRules
from mysafe.services.authentication import local_operator
from mysafe.services.custody.history import Retention
from mysafe.services.files.collector import Collector
from mysafe.services.files.shelf import Shelf
from mysafe.services.root import kit, slots
from mysafe.services.root.slots import Slot
from mysafe.services.root.unsealing import Unsealing
from mysafe.services.rotation.epochs import RotationRefused
from mysafe.services.rotation.pulse import Pulse
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Vault
from mysafe.storage.blobs.directory import DirectoryStore
from mysafe.storage.blobs.store import BlobStore
from mysafe.storage.engine import StorageRefused
from mysafe.storage.sqlite_lane import SqliteEngine

Clock = Callable[[], float]
Application = Callable[..., Awaitable[None]]

VAULT_ID_BYTES = 16

GC_THRESHOLDS = (100_000, 20, 20)
"""Look for cycles rarely: a request makes hardly any, and looking took a fifth of its time (measured)."""

PR_SET_DUMPABLE = 4
"""Option of prctl(2)."""


class InitRefused(Exception):
    """A vault cannot be made here. The text is one sentence for the operator."""


class StartRefused(Exception):
    """A vault cannot be served now. The text is one sentence for the operator."""


REFUSALS: tuple[type[Exception], ...] = (
    InitRefused,
    StartRefused,
    StorageRefused,
    RootKeyRefused,
    ControlRefused,
    key_ceremony.KeysRefused,
    SealBroken,
    RotationRefused,
)
"""Why a vault is not made, opened or served; the text of each is one sentence for the operator."""


def database_path(settings: Settings) -> Path:
    """Return where the SQLite database of these settings lies."""
    if settings.database:
        return Path(settings.database.removeprefix("sqlite:///"))
    return settings.data / "vault.db"


def initialise(
    settings: Settings,
    *,
    clock: Clock = time.time,
    ask: AskSecret = nobody,
    shares: tuple[int, int] | None = None,
    recovery_kit: Path | None = None,
) -> list[SecretText]:
    """Make a new vault: data directory, root key and an empty database; return shares that nobody has yet.

    An interrupted run leaves no half vault: the database gets its name at the very end. An existing key file is
    used again, never overwritten: it may open another vault.

    Args:
        settings: where, and the provider that opens the vault.
        clock: Unix seconds.
        ask: asks the operator for a new passphrase.
        shares: how many are made, where the provider or the recovery kit consists of shares.
        recovery_kit: a new file for another way to open the vault: shares if that is said and the provider itself does
            not consist of them, a code without. If the provider does, its own shares are written there.

    Raises:
        InitRefused: the data directory is not empty, or there is a database already.
        RootKeyRefused, StorageRefused: the key or the database cannot be made, or the kit not written.
    """
    if recovery_kit is not None:
        kit.check_place(recovery_kit, settings.data)
    os.umask(0o077)
    data, database = settings.data.absolute(), database_path(settings).absolute()
    for directory in {data, database.parent}:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone_in(data, InitRefused(f"another command is making a vault in {data}")):
        means = root_means(settings, ask, shares)
        _check_empty(data, database)
        made = [new_provider(settings.root_provider, means)]
        if recovery_kit is not None and settings.root_provider != "shamir":
            made.append(new_provider("shamir" if shares else "recovery", means))
        _make_vault(data, database, made, clock, recovery_kit)
        return [] if recovery_kit is not None else list(made[0].printed())


@contextmanager
def _alone_in(data: Path, otherwise: Exception) -> Iterator[None]:
    """Keep out every other `init` or `serve` of this directory; raise `otherwise` if one is at work."""
    descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise otherwise from None
        yield
    finally:
        os.close(descriptor)


def _check_empty(data: Path, database: Path) -> None:
    _remove_leftovers(database)
    if database.exists() or any(data.iterdir()):
        raise InitRefused(f"{data} is not empty: a vault is only made in an empty or new directory")


def _make_vault(data: Path, database: Path, made: list[NewProvider], clock: Clock, recovery_kit: Path | None) -> None:
    data.chmod(0o700)
    scratch = database.with_name(f".{database.name}.{os.getpid()}.new")
    try:
        _create_database(scratch, [one.provider for one in made], clock)
        if recovery_kit is not None:
            kit.write(recovery_kit, made[-1].provider.name, made[-1].printed(), data)
        os.replace(scratch, database)
    finally:
        _remove_leftovers(database)
    for directory in (database.parent, data.parent):
        _sync_directory(directory)


def _remove_leftovers(database: Path) -> None:
    """Remove what an interrupted run left: a database that never got its name, and the files SQLite kept beside it."""
    for leftover in database.parent.glob(f".{glob.escape(database.name)}.*.new*"):
        leftover.unlink(missing_ok=True)


def _create_database(path: Path, providers: list[RootKeyProvider], clock: Clock) -> None:
    engine = SqliteEngine.create(path)
    try:
        vault_id = os.urandom(VAULT_ID_BYTES)
        ceremony = partial(key_ceremony.create_keys, providers=providers, vault_id=vault_id, now=int(clock()))
        vault = Vault(engine, key_ceremony.Keychain(engine.submit(ceremony).result()), clock=clock)
        vault.run(local_operator, _record_creation).result()
    finally:
        engine.close()


def _record_creation(uow: UnitOfWork) -> None:
    uow.registry.record_creation()


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_slots(settings: Settings) -> list[Slot]:
    """Return the slots of the root key, without opening the vault. Raises StorageRefused."""
    engine = SqliteEngine.open(database_path(settings))
    try:
        return engine.look(slots.list_slots).result()
    finally:
        engine.close()


def _begin_unsealing(settings: Settings) -> Unsealing:
    """Return what takes the secrets of the slot of these settings. Raises StorageRefused, KeysRefused, SealBroken."""
    engine = SqliteEngine.open(database_path(settings))
    try:
        slot = engine.look(partial(key_ceremony.find_slot, provider=settings.root_provider)).result()
    finally:
        engine.close()
    return Unsealing(slot, lambda provider: open_vault(settings, provider=provider))


def open_vault(settings: Settings, *, clock: Clock = time.time, provider: RootKeyProvider | None = None) -> Vault:
    """Open an existing vault with a provider; without one, with that of the settings, where nobody is asked.

    Raises:
        StorageRefused, RootKeyRefused, KeysRefused: it cannot be opened safely; the text says why.
    """
    os.umask(0o077)
    provider = provider or root_provider(settings)
    engine = SqliteEngine.open(database_path(settings))
    try:
        keychain = key_ceremony.Keychain(engine.look(partial(key_ceremony.open_root, provider=provider)).result())
    except BaseException:
        engine.close()
        raise
    rules = KeyRules(settings.access_keys_rsa_bits, is_secret_kept=settings.access_keys_reveal == "reauth")
    retention = Retention(settings.items_versions_kept_days, settings.items_erase_after_days)
    node = f"{os.uname().nodename}:{os.getpid()}"
    return Vault(engine, keychain, clock=clock, node=node, key_rules=rules, retention=retention)


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


def custodian(settings: Settings, gate: Gate) -> Custodian:
    """Return what opens and seals the vault behind a gate."""

    def serve_it(vault: Vault) -> Served:
        collector = Collector(vault, file_shelf(vault, settings))
        return Served(vault, asgi_app(vault, settings), collector, Pulse(vault, root_provider(settings)))

    begin = partial(_begin_unsealing, settings) if is_opened_by_people(settings) else None
    return Custodian(gate, serve_it, partial(open_vault, settings), begin, REFUSALS)


def file_shelf(vault: Vault, settings: Settings) -> Shelf:
    """Return where the contents of files are kept. Raises StartRefused, StorageRefused."""
    return Shelf(vault.keys.vault_id, _blob_store(settings), free_bytes=settings.files_free_bytes)


def _blob_store(settings: Settings) -> BlobStore:
    """Return the store of the settings. Raises StartRefused, StorageRefused."""
    if settings.files_store is None or settings.files_s3_file is None:
        return DirectoryStore(settings.data / "blobs")
    try:
        from mysafe.storage.blobs.s3 import open_s3  # noqa: PLC0415  # not everybody has what it needs
    except ImportError:
        raise StartRefused("files_store needs a library that is not there: install mysafe[s3]") from None
    return open_s3(settings.files_store, settings.files_s3_file)


def web_server(application: Application, settings: Settings) -> uvicorn.Server:
    """Return the web server, ready to run. It adds no header of its own and trusts no forwarded one."""
    connection_limits = ConnectionLimits(
        header_seconds=settings.header_seconds,
        connections=settings.max_connections,
        uncounted=settings.trusted_proxies,
    )
    return uvicorn.Server(
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
            timeout_graceful_shutdown=30,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            ssl_ca_certs=settings.tls_client_ca,
            ssl_cert_reqs=ssl.CERT_OPTIONAL if settings.tls_client_ca else ssl.CERT_NONE,
        )
    )


def serve(settings: Settings) -> int:
    """Serve an existing vault until SIGINT or SIGTERM; requests in flight finish. Return the exit status."""
    clock = health.clock(time.time())
    if clock.state is health.State.UNSAFE:
        raise StartRefused(f"the clock is wrong: {clock.text}")
    log_to_stderr()
    _harden()
    if not settings.data.is_dir():
        return _serve(settings)  # which says what is missing
    with _alone_in(settings.data, StartRefused(f"another server serves the vault in {settings.data}")):
        return _serve(settings)


def _serve(settings: Settings) -> int:
    gate = sealed_gate(settings)
    keeper = custodian(settings, gate)
    keeper.start()
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _noticed)  # uvicorn stops on them, then raises them again
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        server = web_server(gate, settings)
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
