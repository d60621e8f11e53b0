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
from mysafe.crypto.root_key import KeyFileProvider, RootKeyRefused, find_key_file
from mysafe.domain.files import FileBounds
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.admission import Admission, Rates
from mysafe.server.api.endpoint import Api, Limits
from mysafe.server.api.transfers import Transfers
from mysafe.server.ending import EndingServer
from mysafe.server.limits import ConnectionLimits, limited_protocol
from mysafe.server.logs import log_to_stderr
from mysafe.server.origin import Proxies
from mysafe.server.routes import OPEN_OPERATIONS, OPERATIONS, Routes
from mysafe.services import health
from mysafe.services import keys as key_ceremony
from mysafe.services.accounts.key_rules import KeyRules
from mysafe.services.authentication import local_operator
from mysafe.services.custody.history import Retention
from mysafe.services.files.collector import Collector
from mysafe.services.files.shelf import Shelf
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
    key_ceremony.KeysRefused,
    SealBroken,
)
"""Why a vault is not made, opened or served; the text of each is one sentence for the operator."""


def database_path(settings: Settings) -> Path:
    """Return where the SQLite database of these settings lies."""
    if settings.database:
        return Path(settings.database.removeprefix("sqlite:///"))
    return settings.data / "vault.db"


def key_path(settings: Settings) -> Path:
    """Return the key file: as set, else from the systemd credentials directory, else beside the data directory."""
    default = settings.data.with_name(settings.data.name + ".key")
    return find_key_file(settings.key_file, default, os.environ)


def root_key_complaint(settings: Settings) -> str | None:
    """Return what is wrong with the key file, in one sentence, or None."""
    try:
        return KeyFileProvider(key_path(settings)).health()
    except RootKeyRefused as refused:
        return str(refused)


def initialise(settings: Settings, *, clock: Clock = time.time) -> None:
    """Make a new vault: data directory, root key file and an empty database.

    An interrupted run leaves no half vault: the database gets its name at the very end. An existing key file is
    used again, never overwritten: it may open another vault.

    Raises:
        InitRefused: the data directory is not empty, or there is a database already.
        RootKeyRefused, StorageRefused: the key file or the database cannot be made.
    """
    os.umask(0o077)
    data, database = settings.data.absolute(), database_path(settings).absolute()
    for directory in {data, database.parent}:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone_in(data, InitRefused(f"another command is making a vault in {data}")):
        _make_vault(settings, data, database, clock)


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


def _make_vault(settings: Settings, data: Path, database: Path, clock: Clock) -> None:
    _remove_leftovers(database)
    if database.exists() or any(data.iterdir()):
        raise InitRefused(f"{data} is not empty: a vault is only made in an empty or new directory")
    data.chmod(0o700)
    key = key_path(settings)
    if not key.exists():
        KeyFileProvider.create(key)
    scratch = database.with_name(f".{database.name}.{os.getpid()}.new")
    try:
        _create_database(scratch, KeyFileProvider(key), clock)
        os.replace(scratch, database)
    finally:
        _remove_leftovers(database)
    for directory in (database.parent, data.parent):
        _sync_directory(directory)


def _remove_leftovers(database: Path) -> None:
    """Remove what an interrupted run left: a database that never got its name, and the files SQLite kept beside it."""
    for leftover in database.parent.glob(f".{glob.escape(database.name)}.*.new*"):
        leftover.unlink(missing_ok=True)


def _create_database(path: Path, provider: KeyFileProvider, clock: Clock) -> None:
    engine = SqliteEngine.create(path)
    try:
        vault_id = os.urandom(VAULT_ID_BYTES)
        ceremony = partial(key_ceremony.create_keys, provider=provider, vault_id=vault_id, now=int(clock()))
        vault = Vault(engine, engine.submit(ceremony).result(), clock=clock)
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


def open_vault(settings: Settings, *, clock: Clock = time.time) -> Vault:
    """Open an existing vault.

    Raises:
        StorageRefused, RootKeyRefused, KeysRefused: it cannot be opened safely; the text says why.
    """
    os.umask(0o077)
    provider = KeyFileProvider(key_path(settings))
    engine = SqliteEngine.open(database_path(settings))
    try:
        keys = engine.look(partial(key_ceremony.open_keys, provider=provider)).result()
    except BaseException:
        engine.close()
        raise
    rules = KeyRules(
        settings.access_keys_rsa_bits,
        is_secret_kept=settings.access_keys_reveal == "reauth",
        most_keys=settings.access_keys_per_user,
    )
    retention = Retention(settings.items_versions_kept_days, settings.items_erase_after_days)
    node = f"{os.uname().nodename}:{os.getpid()}"
    return Vault(engine, keys, clock=clock, node=node, key_rules=rules, retention=retention)


def asgi_app(vault: Vault, settings: Settings, *, ticks: Callable[[], int] = time.monotonic_ns) -> Api:
    """Return the web application of a vault. `ticks` are nanoseconds that never go back, for what is counted."""
    compatibility = Compatibility(
        is_mensagem_sent=settings.compat_mensagem,
        unauthenticated_status=settings.compat_unauthenticated_status,
        is_existence_hidden=settings.compat_hide_existence,
        are_both_user_keys_sent=settings.compat_both_user_keys,
        is_inactive_listed=settings.compat_list_inactive,
        longest_note=settings.notes_max_characters,
    )
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
    vault = open_vault(settings)
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _noticed)  # uvicorn stops on them, then raises them again
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        server = web_server(asgi_app(vault, settings), settings)
        collector = Collector(vault, file_shelf(vault, settings))
        try:
            server.run()
        finally:
            collector.close()
    finally:
        vault.close()
    return 0 if server.started else 1


def _noticed(number: int, frame: object) -> None:
    """Let the server's own handler do the work."""


def _harden() -> None:
    """Keep secrets out of core files, and other processes of the same user out of this one's memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
