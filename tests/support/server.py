# SPDX-License-Identifier: Apache-2.0
"""A real server over real HTTP, in a thread of the test process, so that clock and engine have a handle."""

import itertools
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn

from mysafe import app, making, opening
from mysafe.config import Settings, load_settings
from mysafe.crypto.rsa_oaep import new_pair
from mysafe.domain.access_keys import AccessKeyChange, AccessKeyDraft, RsaPair
from mysafe.domain.errors import Conflict, DatabaseUnreachable
from mysafe.domain.principals import UserDraft
from mysafe.domain.secret_text import SecretText
from mysafe.services.accounts import access_keys, groups, users
from mysafe.services.authentication import local_operator
from mysafe.services.clocks import SteadyClock
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Vault
from mysafe.storage.engine import Engine, EngineFigures, Unit
from tests.support import databases

T = TypeVar("T")


class MovableClock:
    """Unix seconds that tests can push forward."""

    def __init__(self) -> None:
        self.offset = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


class Ticks:
    """A monotonic clock that stands still until a test lets time pass, so that counting does not hang on speed."""

    def __init__(self) -> None:
        self.now = 10**15

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += round(seconds * 10**9)


UNTHROTTLED = {
    "requests_per_second": 0,
    "token_failures_per_minute": 100_000,
    "token_failures_per_address": 100_000,
}
"""Settings for tests that are about something else: they call and fail as often as they like."""


class FaultyEngine(Engine):
    """An engine that fails on demand, and otherwise is the real one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_shared = engine.is_shared  # type: ignore[misc]  # as the real one
        self.fault: str | None = None

    def enqueue(self, unit: Unit) -> None:
        if not self._fails(unit):
            self.engine.enqueue(unit)

    def enqueue_look(self, unit: Unit) -> None:
        if not self._fails(unit):
            self.engine.enqueue_look(unit)

    def run_units_on(self, host: Any) -> None:
        self.engine.run_units_on(host)

    def figures(self) -> EngineFigures:
        return self.engine.figures()

    def close(self) -> None:
        self.engine.close()

    def _fails(self, unit: Unit) -> bool:
        if self.fault == "internal-error":
            unit.settle(None, RuntimeError("storage raised, with a secret in its text: 8jhfy@3789"))
        elif self.fault == "database-unreachable":
            unit.settle(None, DatabaseUnreachable())
        return self.fault is not None  # "deadline-passed": never settled


@cache
def rsa_pair() -> RsaPair:
    """Return RSA keys for all tests: making them takes a second."""
    return new_pair(4096)


def private_key() -> SecretText:
    """Return the private one of these keys."""
    return rsa_pair().private_key


@cache
def _tls() -> ssl.SSLContext:
    """Return what no call needs, and what every client would spend 15 ms on."""
    return ssl.create_default_context()


class RunningServer:
    """A vault with its web server. Everything is made in `directory`."""

    def __init__(self, directory: Path, **overrides: object) -> None:
        arguments = {
            "data": directory / "data",
            "port": 0,
            "request_seconds": 5,
            **UNTHROTTLED,
            **databases.chosen(),
            **overrides,
        }
        self.settings: Settings = load_settings(arguments, {}, None)
        making.initialise(self.settings)
        self.clock = MovableClock()
        self.ticks = Ticks()
        self.vault: Vault = opening.open_vault(self.settings, clock=self.clock)
        self.vault.steady = SteadyClock(self.clock)  # tests travel in time: nothing steps back there
        self.engine = FaultyEngine(self.vault.engine)
        self.vault.engine = self.engine
        self._names = (f"actor{number}" for number in itertools.count(1))
        self._server: uvicorn.Server = self.web_server()
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"{'https' if self.settings.tls_certificate else 'http'}://127.0.0.1:{port}"

    def application(self) -> app.Application:
        """Return what is served."""
        return app.asgi_app(self.vault, self.settings, ticks=self.ticks)

    def web_server(self) -> uvicorn.Server:
        """Return what serves it."""
        return app.web_server(self.application(), self.settings)

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)
        self.vault.close()

    def client(self, source: str = "127.0.0.1") -> httpx.Client:
        transport = httpx.HTTPTransport(local_address=source, verify=_tls())
        return httpx.Client(base_url=self.url, timeout=20, trust_env=False, transport=transport)

    def operate(self, work: Callable[[UnitOfWork], T]) -> T:
        """Run a use case as the local operator."""
        return self.vault.run(local_operator, work).result(timeout=20)

    def ensure_user(self, username: str, *, is_admin: bool = False) -> None:
        try:
            self.operate(partial(users.add, draft=UserDraft(username, is_admin=is_admin)))
        except Conflict:
            pass  # made before: the fixture promises no more than that it exists

    def make_admin(self, username: str) -> None:
        """Make an administrator of a user, as the row would have been made with `user add --admin`."""
        self.operate(partial(_promote, username=username))

    def new_person(self, password: str) -> str:
        """Return a new user who has a password."""
        username = next(self._names)
        self.operate(partial(users.add, draft=UserDraft(username), password_hash=_hashed(password)))
        return username

    def ensure_group(self, name: str, members: Sequence[str]) -> None:
        try:
            self.operate(partial(groups.add, name=name, members=members))
        except Conflict:
            pass  # as above

    def new_actor(self, *, is_admin: bool = False) -> str:
        username = next(self._names)
        self.ensure_user(username, is_admin=is_admin)
        return username

    def new_key(self, owner: str, addresses: Sequence[str] = (), referers: Sequence[str] = ()) -> tuple[str, str]:
        return self.add_key(AccessKeyDraft(owner, "key", tuple(addresses), tuple(referers)))

    def new_encrypting_key(self, owner: str) -> tuple[str, str]:
        """Return a key whose sensitive values `private_key` opens."""
        return self.add_key(AccessKeyDraft(owner, "key", is_encrypting=True), rsa_pair())

    def add_key(self, draft: AccessKeyDraft, pair: RsaPair | None = None) -> tuple[str, str]:
        """Return the credentials of a new access key as in the draft."""
        made = self.operate(partial(access_keys.add, draft=draft, pair=pair))
        return made.key.client_id, made.client_secret.reveal()

    def token(self, key: tuple[str, str], source: str = "127.0.0.1") -> str:
        """Return an access token, asked for from an address of loopback."""
        form = {"grant_type": "client_credentials", "client_id": key[0], "client_secret": key[1]}
        with self.client(source) as client:
            answer = client.post("/api/oauth2/token", data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def new_token(self, owner: str) -> str:
        return self.token(self.new_key(owner))

    def create(self, owner_token: str, kind: str, body: Mapping[str, object]) -> str:
        with self.client() as client:
            answer = client.post(f"/api/mysafe/{kind}", json=body, headers=authorization(owner_token))
        assert answer.status_code == 201, answer.text
        (entity,) = (value for key, value in answer.json().items() if key.endswith("_entity"))
        return str(entity["identifier"])

    def read(self, token: str, identifier: str, kind: str = "password") -> httpx.Response:
        with self.client() as client:
            return client.get(f"/api/mysafe/{kind}/{identifier}", headers=authorization(token))

    def deactivate(self, owner_token: str, kind: str, identifier: str) -> None:
        with self.client() as client:
            answer = client.post(f"/api/mysafe/{kind}/inactive/{identifier}", headers=authorization(owner_token))
        assert answer.status_code == 200, answer.text

    def revoke(self, client_id: str) -> None:
        self.operate(partial(access_keys.revoke, which=client_id))

    def set_addresses(self, client_id: str, addresses: Sequence[str]) -> None:
        change = AccessKeyChange({"addresses": tuple(addresses)})
        self.operate(partial(access_keys.change, which=client_id, wanted=change))

    def set_user_active(self, username: str, *, is_active: bool) -> None:
        self.operate(partial(users.set_active, username=username, is_active=is_active))

    def advance_clock(self, seconds: float) -> None:
        self.clock.offset += seconds

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        self.engine.fault = name
        try:
            yield
        finally:
            self.engine.fault = None


def _promote(uow: UnitOfWork, username: str) -> None:
    user = uow.principals.user_by_name(username)
    assert user is not None
    uow.registry.change_user(replace(user, is_admin=True))


@cache
def _hashed(password: str) -> str | None:
    """Hash a password once for all tests: it takes a tenth of a second."""
    return users.prepare(UserDraft("", password=SecretText(password)))


def authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
