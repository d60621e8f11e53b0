# SPDX-License-Identifier: Apache-2.0
"""The whole life of a vault with a canary in every field, and every answer that was given, to whoever it was."""

import json
import socket
from base64 import b64encode
from collections.abc import Iterable, Mapping
from contextlib import closing
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlencode

from tests.support.canaries import Canaries, files_under, process_texts
from tests.support.databases import beside
from tests.support.process import Installation

FIELDS = {
    "password": ("name", "username", "password", "url", "secret_key", "notes", "tags"),
    "note": ("name", "note", "tags"),
    "secretapi": ("name", "url", "client_id", "client_secret", "identifier_code", "method", "tags", "notes"),
}
SECRET = frozenset({"password", "secret_key", "notes", "note", "client_id", "client_secret"})
"""The fields of an item's secret part. The others are its names, and sealed as well."""

ECHOED = {
    "password": {"name", "username", "url", "notes", "tags"},
    "note": {"name", "tags"},
    "secretapi": {*FIELDS["secretapi"]},
}
"""What the answers to create and update show (contract 4.1, 5.1, 6.1)."""

LISTED = {"password": {"name", "username", "url", "tags"}, "note": {"name", "tags"}, "secretapi": {"name"}}
"""What a list shows (contract 4.2, 5.2, 6.2)."""

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
Headers = Mapping[str, str]


class Answer(NamedTuple):
    """All that came back from a request or a command, and the names of the canaries it may show."""

    what: str
    data: bytes
    may_show: frozenset[str]


class Life:
    """A vault that is lived in. `names` may be shown by the audit log; secrets by nothing but their own answer."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.canaries = Canaries()
        self.answers: list[Answer] = []
        self.names: set[str] = set()
        self.stored: set[str] = set()
        self.items: dict[str, str] = {}

    # -- means ---------------------------------------------------------------------------------------------------------

    def name(self, name: str) -> str:
        """Plant a canary that the audit log may show."""
        self.names.add(name)
        return self.canaries.plant(name)

    def send(
        self, what: str, request: tuple[str, str], body: bytes, headers: Headers, may_show: Iterable[str] = ()
    ) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.installation.port, timeout=20)
        with closing(connection):
            connection.request(*request, body, dict(headers))
            answer = connection.getresponse()
            data = answer.read()
        self.answers.append(Answer(f"{answer.status} {what}", bytes(answer.headers) + data, frozenset(may_show)))
        return answer.status, data

    def send_raw(self, what: str, data: bytes) -> None:
        """Send bytes as they are, and keep what comes back until the other side hangs up or half a second is over."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.installation.port), timeout=20) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            try:
                while part := connection.recv(65536):
                    received += part
            except ConnectionError:
                pass  # it hung up before it had read all; what it said so far counts
        self.answers.append(Answer(what, received, frozenset()))

    def command(self, *arguments: str, stdin: str = "", status: int = 0, may_show: Iterable[str] = ()) -> str:
        got, out, err = self.installation.attempt(*arguments, stdin=stdin)
        assert got == status, err
        self.answers.append(Answer(" ".join(arguments[:2]), (out + err).encode(), frozenset(may_show)))
        return out

    # -- people --------------------------------------------------------------------------------------------------------

    def move_in(self) -> None:
        """Make an owner with a key and a token."""
        owner = self.name("user name")
        details = (
            "--name",
            self.name("display name"),
            "--email",
            self.name("e-mail") + "@example.com",
            "--password-stdin",
        )
        password = self.password = self.canaries.plant("user password")
        self.command("user", "add", owner, *details, stdin=f"{password}\n", may_show={"user name"})
        self.command("user", "add", "x", "--password-stdin", stdin=password * 50, status=2)
        self.owner = self.token(owner)

    def receive(self) -> None:
        """Make a friend and a stranger with keys and tokens, and a group."""
        for other in ("friend", "stranger"):
            self.command("user", "add", other)
        self.friend, self.stranger = self.token("friend"), self.token("stranger")
        self.command("group", "add", self.name("group name"), "--member", "friend", may_show={"group name"})
        taken = self.canaries.plant("password of a taken name")
        self.command("user", "add", "friend", "--password-stdin", stdin=f"{taken}\n", status=1)

    def encrypting_key(self, owner: str) -> Headers:
        """Make a key that encrypts for a user; its private key is a secret too."""
        token = self.token(owner, "--encrypt")
        client_id = self._client_id
        private_key = self.command("access-key", "decryption-key", client_id, may_show={"private key"})
        self.canaries.expect_none_of("private key", private_key.splitlines()[7])
        return token

    def token(self, owner: str, *more: str) -> Headers:
        number = len(self.answers)
        names = {f"client secret {number}", f"token {number}"}
        key_name = self.name(f"key name {number}")
        out = self.command("access-key", "add", "--owner", owner, "--name", key_name, "--json", *more, may_show=names)
        key = json.loads(out)
        self._client_id = key["client_id"]
        self.canaries.expect_none_of(f"client secret {number}", key["client_secret"])
        body = urlencode({"grant_type": "client_credentials", **key}).encode()
        status, answer = self.send("token", ("POST", "/api/oauth2/token"), body, FORM, names)
        assert status == 200
        token = json.loads(answer)["access_token"]
        self.canaries.expect_none_of(f"token {number}", token)
        return {"Authorization": f"Bearer {token}"}

    # -- items ---------------------------------------------------------------------------------------------------------

    def body(self, kind: str, stage: str) -> dict[str, str]:
        """Return a body with a new canary in every field. The audit log shows the name of an item and no more."""
        self.names.add(_full(kind, "name", stage))
        return {field: self.canaries.plant(_full(kind, field, stage)) for field in FIELDS[kind]}

    def create(self, kind: str) -> None:
        """Create an item and share it with the friend, if there is one."""
        body = {**self.body(kind, "1"), "users_allowed": [{"username": "friend", "can_edit": True}]}
        self.items[kind] = self._write(kind, "1", ("POST", f"/api/mysafe/{kind}"), body)

    def use(self, kind: str) -> None:
        """Read, change, list, deactivate and activate an item; others try as well."""
        path, identifier = f"/api/mysafe/{kind}", self.items[kind]
        self._read(kind, "1")
        second = self.body(kind, "2")
        self._write(kind, "2", ("PUT", f"{path}/update/{identifier}"), second)
        self._read(kind, "2")
        shown = _all(kind, LISTED[kind], "2")
        self.send("list", ("GET", f"{path}?name={second['name']}&tag={second['tags']}"), b"", self.owner, shown)
        stale = json.dumps(self.body(kind, "stale")).encode()
        headers = {**self.owner, **JSON, "If-Match": '"1"'}
        assert self.send("stale", ("PUT", f"{path}/update/{identifier}"), stale, headers)[0] == 412
        for word in ("inactive", "active"):
            assert self.send(word, ("POST", f"{path}/{word}/{identifier}"), b"", self.owner)[0] == 200
            self._strangers_try(kind)

    def _write(self, kind: str, stage: str, request: tuple[str, str], body: Mapping[str, object]) -> str:
        shown = _all(kind, ECHOED[kind], stage)
        status, data = self.send("write", request, json.dumps(body).encode(), {**self.owner, **JSON}, shown)
        assert status in {200, 201}, data
        self.stored |= _all(kind, FIELDS[kind], stage)
        (entity,) = (value for key, value in json.loads(data).items() if key.endswith("_entity"))
        return str(entity["identifier"])

    def _read(self, kind: str, stage: str) -> None:
        request = ("GET", f"/api/mysafe/{kind}/{self.items[kind]}")
        for reader in (self.owner, self.friend):
            assert self.send("read", request, b"", reader, _all(kind, FIELDS[kind], stage))[0] == 200

    def read_encrypted(self, headers: Headers) -> None:
        """Read the password with a key that encrypts: password and seed must not come in clear."""
        shown = _all("password", {*FIELDS["password"]} - {"password", "secret_key"}, "2")
        request = ("GET", f"/api/mysafe/password/{self.items['password']}")
        assert self.send("read encrypted", request, b"", headers, shown)[0] == 200

    def _strangers_try(self, kind: str) -> None:
        path, identifier = f"/api/mysafe/{kind}", self.items[kind]
        body = json.dumps(self.body(kind, "stranger's")).encode()
        for headers in (self.stranger, {}, {"Authorization": f"Bearer mst_{'x' * 43}"}):
            self.send("list", ("GET", path), b"", headers)
            for method, end in (("GET", ""), ("PUT", "/update"), ("POST", "/active"), ("POST", "/inactive")):
                request = (method, f"{path}{end}/{identifier}")
                assert self.send("stranger", request, body if method == "PUT" else b"", headers)[0] in {400, 401}

    # -- refusals ------------------------------------------------------------------------------------------------------

    def bad_bodies(self, kind: str) -> None:
        """Send everything that is refused, with canaries in it, to create and to update."""
        good = self.body(kind, "bad")
        path = f"/api/mysafe/{kind}"
        for headers, body in bad_bodies(good, FIELDS[kind][-1]):
            for request in (("POST", path), ("PUT", f"{path}/update/{self.items[kind]}")):
                status, data = self.send("bad body", request, body, {**self.owner, **headers})
                assert 400 <= status < 500, data
        missing = json.dumps({**good, "name": ""}).encode()
        assert self.send("missing", ("POST", path), missing, {**self.owner, **JSON})[0] == 400
        if kind == "secretapi":
            taken = json.dumps({**good, "identifier_code": "taken"}).encode()
            shown = _all(kind, ECHOED[kind], "bad")
            assert self.send("code", ("POST", path), taken, {**self.owner, **JSON}, shown)[0] == 201
            assert self.send("code taken", ("POST", path), taken, {**self.owner, **JSON})[0] == 400

    def bad_credentials(self) -> None:
        """Try a canary as every credential, in every place."""
        tried = self.canaries.plant("tried credential")
        path, grant = "/api/oauth2/token", {"grant_type": "client_credentials"}
        forms = [
            {**grant, "client_id": self._client_id, "client_secret": tried},
            {**grant, "client_id": tried, "client_secret": tried},
            {"grant_type": tried, "client_id": tried},
            {"grant_type": "password", "username": tried, "password": tried},
        ]
        for form in forms:
            self.send("token", ("POST", path), urlencode(form).encode(), FORM)
            self.send("token", ("POST", path), json.dumps(form).encode(), JSON)
            self.send("token", ("POST", f"{path}?{urlencode(form)}"), b"", FORM)
            self.send("token", ("POST", path), json.dumps({**form, "grant_type": [tried]}).encode(), JSON)
        basic = b64encode(f"{self._client_id}:{tried}".encode()).decode()
        for value in (
            f"Basic {basic}",
            f"Basic {tried}",
            f"Bearer {tried}",
            f"Bearer mst_{tried}",
            tried,
            f"{tried} x",
        ):
            for request in (("GET", path), ("POST", path), ("GET", "/api/mysafe/password/1")):
                assert self.send("credential", request, b"", {"Authorization": value})[0] in {400, 401}

    def odd_requests(self) -> None:
        """Put a canary where a path, a query, a header or the framing is."""
        odd = self.canaries.plant("odd request")
        for path in (
            f"/{odd}",
            f"/api/mysafe/password/{odd}",
            f"/api/mysafe/{odd}/1",
            f"/api/mysafe/note?tag=%ff{odd}",
        ):
            self.send("odd path", ("GET", path), b"", self.owner)
        names = ("User-Agent", "Referer", "X-Forwarded-For", "Cookie", "X-Request-Id", "If-Match")
        headers = {**self.owner, **dict.fromkeys(names, odd)}
        self.send("odd headers", ("GET", "/api/mysafe/note"), b"", headers, self._listed_notes())
        start = b"POST /api/mysafe/note HTTP/1.1\r\nHost: x\r\nAuthorization: " + self.owner["Authorization"].encode()
        text = odd.encode()
        self.send_raw("no request line", text + b" " + text + b"\r\n\r\n")
        self.send_raw("another version", b"GET /" + text + b" HTTP/7." + text + b"\r\n\r\n")
        self.send_raw("a header without colon", start + b"\r\n" + text + b"\r\n\r\n")
        self.send_raw("a huge header", start + b"\r\nX: " + text * 10_000 + b"\r\n\r\n")
        self.send_raw("a bad length", start + b"\r\nContent-Length: " + text + b"\r\n\r\n")
        self.send_raw("a body cut short", start + b'\r\nContent-Length: 900\r\n\r\n{"name": "' + text)
        self.send_raw("bad chunks", start + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + text)
        self.send_raw("an upgrade", start + b"\r\nConnection: upgrade\r\nUpgrade: " + text + b"\r\n\r\n")

    def _listed_notes(self) -> set[str]:
        return _all("note", LISTED["note"], "2")

    def fault(self) -> None:
        """Damage a row, so that the server has an unexpected fault to report while it holds secrets."""
        identifier = self.items["password"]
        with beside(self.installation.settings) as connection:
            damage = "UPDATE items SET secret = zeroblob(length(secret)) WHERE kind = 'password' AND id = ?"
            connection.execute(damage, (int(identifier),))
            assert connection.changes() == 1
        assert self.send("fault", ("GET", f"/api/mysafe/password/{identifier}"), b"", self.owner)[0] == 500
        body = json.dumps({"notes": self.canaries.plant("notes at the fault")}).encode()
        request = ("PUT", f"/api/mysafe/password/update/{identifier}")
        assert self.send("fault", request, body, {**self.owner, **JSON})[0] == 500

    def audit(self) -> None:
        """Read the audit log, which shows names and no secret, and ask what is unsafe."""
        for form in ((), ("--json",)):
            shown = {*self.names, "odd request"}
            assert self.command("audit", "tail", "--lines", "10000", *form, may_show=shown).count("\n") > 10
        _, out, err = self.installation.attempt("doctor")
        self.answers.append(Answer("doctor", (out + err).encode(), frozenset()))

    # -- the judge -----------------------------------------------------------------------------------------------------

    def leaks_in_places(self) -> set[str]:
        """Return a line for each canary that stands in a file of the installation or at the server's process."""
        root = self.installation.data.parent
        places = {f"file {name}": data for name, data in files_under(root).items()}
        places |= {f"process {name}": data for name, data in process_texts(self.installation.pid).items()}
        return {f"{place} shows {name}" for place, data in places.items() for name in self.canaries.found_in(data)}

    def leaks_in_answers(self) -> set[str]:
        """Return a line for each canary that an answer shows and must not."""
        return {
            f"answer {answer.what} shows {name}"
            for answer in self.answers
            for name in self.canaries.found_in(answer.data) - answer.may_show
        }

    def shown(self) -> set[str]:
        """Return every canary that some answer showed."""
        return {name for answer in self.answers for name in self.canaries.found_in(answer.data)}


def _full(kind: str, field: str, stage: str) -> str:
    return f"{kind}.{field}: {stage}"


def _all(kind: str, fields: Iterable[str], stage: str) -> set[str]:
    return {_full(kind, field, stage) for field in fields}


def bad_bodies(good: Mapping[str, str], last: str) -> list[tuple[Headers, bytes]]:
    """Return bodies that are refused, whatever the kind, each with its content type."""
    whole = json.dumps(good)
    texts = [whole[:-1], whole * 2, f'{whole[:-1]},"{last}":"x"}}', f"[{whole}]", whole[:-1] + ',"x":"\\ud800"}']
    texts += ['{"a":' * 40 + whole + "}" * 40, whole.replace('"', "'"), whole[:-1] + ',"x":NaN}']
    for field, text in good.items():
        for value in ([{"a": text}], {text: text}, True, text * 500, f"{text}\0"):
            texts.append(json.dumps({**good, field: value}))
    text = good[last]
    for sharing in (text, [text], [{"username": [text]}], [{"username": text * 50}]):
        texts.append(json.dumps({**good, "users_allowed": sharing}))
    if "secret_key" in good:
        texts.append(json.dumps({**good, "secret_key": good["secret_key"] + "1"}))
    bodies: list[tuple[Headers, bytes]] = [(JSON, text.encode()) for text in texts]
    bodies.append((JSON, whole.encode() + b"\xff"))
    bodies.append((JSON, json.dumps({**good, last: good[last] * 100_000}).encode()))
    form = urlencode(good)
    bodies += [(FORM, f"{form}&x=%zz".encode()), (FORM, f"{form}&{form}".encode()), (FORM, f"{form}&x=%ff".encode())]
    return [*bodies, ({"Content-Type": "multipart/form-data"}, b"--x\r\n" + whole.encode())]
