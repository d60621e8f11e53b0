# SPDX-License-Identifier: Apache-2.0
"""The life of a vault as its own API sees it: access keys, passwords, people, groups, versions, transfers and files.

Each field that is sent holds a canary, in good bodies and in bad ones. What may show which is said with each call.
"""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from tests.support.life import FIELDS, FORM, JSON, Headers, Life, bad_bodies

RAW = {"Content-Type": "application/octet-stream"}
FILE_FIELDS = ("name", "file_name", "media_type", "tags", "notes")
NEW_PASSWORD = "new password"


class Management:
    """Calls of `/api/manage` and of the files by the owner of a life, an administrator, and a stranger."""

    def __init__(self, life: Life) -> None:
        self.life = life
        life.command("user", "add", "administrator", "--admin")
        self.admin = life.token("administrator")

    def call(
        self,
        request: tuple[str, str],
        body: object = None,
        *,
        by: Headers | None = None,
        status: int = 200,
        may_show: Iterable[str] = (),
    ) -> Any:
        """Call a route, as the owner without `by`; expect a status and return the JSON of the answer, if it is any."""
        method, path = request
        data = b"" if body is None else json.dumps(body).encode()
        headers = {**(by or self.life.owner), **JSON}
        owner = {"user name"} if status < 300 else set()  # whose things they are is said to those who may see them
        shown = {*may_show, *owner}
        got, answer = self.life.send(f"{method} {path}", (method, f"/api/manage{path}"), data, headers, shown)
        assert got == status, answer
        return json.loads(answer) if answer.startswith(b"{") else answer

    def plant(self, what: str, names: Iterable[str], texts: Iterable[str]) -> dict[str, str]:
        """Return a body with a canary in each field. The audit log may show those of `names`, and nothing else."""
        planted = {field: self.life.name(f"{what} {field}") for field in names}
        return planted | {field: self.life.canaries.plant(f"{what} {field}") for field in texts}

    def try_badly(self, request: tuple[str, str], good: Mapping[str, str], by: Headers | None = None) -> None:
        """Send everything that is refused, with canaries in it."""
        for headers, body in bad_bodies(good, next(iter(good))):
            sent = {**(by or self.life.owner), **headers}
            status, data = self.life.send("bad body", (request[0], f"/api/manage{request[1]}"), body, sent)
            assert 400 <= status < 500, (body[:200], data)

    # -- access keys and passwords -------------------------------------------------------------------------------------

    def keys(self) -> dict[str, str]:
        """Make, show, change and reveal access keys; return the credentials of one."""
        body = self.plant("key", ["name"], ["description", "tags"])
        shown = {f"key {field}" for field in body}
        made = self.call(("POST", "/access-keys"), body, status=201, may_show={*shown, "secret of a key"})
        identifier, client_id = made["access_key"]["id"], made["access_key"]["client_id"]
        self.life.canaries.expect_none_of("secret of a key", made["client_secret"])
        one = f"/access-keys/{identifier}"
        self.call(("GET", one), may_show=shown)
        password = {"password": self.life.password}
        self.call(("POST", f"{one}/secret"), password, may_show={"secret of a key"})
        self.call(("POST", f"{one}/decryption-key"), password, status=404)
        changed = self.plant("changed key", ["name"], ["description", "tags"])
        self.call(("PATCH", one), {**changed, "is_encrypting": True}, may_show={f"changed key {f}" for f in changed})
        key_file = self.call(("POST", f"{one}/decryption-key"), password, may_show={"key file"})
        self.life.canaries.expect_none_of("key file", key_file.decode().splitlines()[7])
        self.call(("PATCH", one), {"is_encrypting": False}, may_show={f"changed key {f}" for f in changed})
        referer = self.life.canaries.plant("referer")
        limited = {**self.plant("limited key", ["name"], []), "referers": [f"https://{referer.lower()}.example/"]}
        self.call(("POST", "/access-keys"), limited, status=201, may_show={"limited key name", "referer"})
        self._key = one, body
        return {"client_id": client_id, "client_secret": made["client_secret"]}

    def wrong_keys(self) -> None:
        """Ask for secrets of a key with wrong passwords, until they are too many, and send what is refused."""
        one, body = self._key
        wrong = {"password": self.life.canaries.plant("wrong password")}
        for end in ("secret", "decryption-key"):
            self.call(("POST", f"{one}/{end}"), wrong, status=403)
            self.try_badly(("POST", f"{one}/{end}"), wrong)
            status, _ = self.life.send(
                "stranger", ("POST", f"/api/manage{one}/{end}"), json.dumps(wrong).encode(), self.life.stranger
            )
            assert status in {403, 404}
        for request in (("POST", "/access-keys"), ("PATCH", one)):
            self.try_badly(request, body)

    def password(self, credentials: Mapping[str, str]) -> None:
        """Change the password of the owner, in vain and in truth; the tokens end, so get another one."""
        path = ("POST", "/me/password")
        old, new = self.life.password, self.life.canaries.plant(NEW_PASSWORD)
        wrong, short = self.life.canaries.plant("wrong old password"), self.life.canaries.plant("short password")
        self.call(path, {"current_password": wrong, "new_password": new}, status=403)
        self.call(path, {"current_password": old, "new_password": short[:14]}, status=400)
        self.try_badly(path, {"current_password": wrong, "new_password": new})
        self.call(path, {"current_password": old, "new_password": new}, may_show={"user name"})
        self.call(("GET", "/me"), status=401)
        form = urlencode({"grant_type": "client_credentials", **credentials}).encode()
        shown = {"token after the password"}
        status, answer = self.life.send("token", ("POST", "/api/oauth2/token"), form, FORM, shown)
        assert status == 200, answer
        token = json.loads(answer)["access_token"]
        self.life.canaries.expect_none_of("token after the password", token)
        self.life.owner = {"Authorization": f"Bearer {token}"}

    # -- people and groups ---------------------------------------------------------------------------------------------

    def people(self) -> None:
        """Add and change users, look for them, and ask for transfers between some that do not exist."""
        body = _with_address(self.plant("person", ["username"], ["name", "email"]))
        shown = {f"person {field}" for field in body}
        made = self.call(("POST", "/users"), body, by=self.admin, status=201, may_show=shown)
        self.call(("GET", f"/principals?search={body['name']}"), may_show=shown)
        changed = _with_address(self.plant("changed person", [], ["name", "email"]))
        one, now_shown = f"/users/{made['id']}", {"person username", *(f"changed person {field}" for field in changed)}
        self.call(("PATCH", one), changed, by=self.admin, may_show=now_shown)
        self.call(("PATCH", one), changed, status=403)
        self.call(("GET", f"/principals?search={self.life.canaries.plant('searched')}"))
        self.call(("GET", f"/users?name={self.life.canaries.plant('filter')}"), by=self.admin)
        nobodies = self.plant("transfer", [], ["from", "to"])
        self.call(("POST", "/transfers"), nobodies, by=self.admin, status=404)
        for request, good in (
            (("POST", "/users"), body),
            (("PATCH", one), changed),
            (("POST", "/transfers"), nobodies),
        ):
            self.try_badly(request, good, self.admin)

    def groups(self) -> None:
        """Add and change a private group and a system group, with and without members."""
        for path, by in (("/private-groups", self.life.owner), ("/groups", self.admin)):
            body = self.plant(path, ["name"], ["description"])
            shown = {f"{path} {field}" for field in body}
            made = self.call(("POST", path), body, by=by, status=201, may_show=shown)
            one, changed = f"{path}/{made['id']}", self.plant(f"changed {path}", ["name"], ["description"])
            shown = {f"changed {path} {field}" for field in changed}
            self.call(("PATCH", one), changed, by=by, may_show=shown)
            ghost = self.plant(f"{path} ghost", ["username"], [])
            for end in ("add", "remove"):
                members = ("POST", f"{one}/members/{end}")
                self.call(members, {"usernames": ["friend"]}, by=by, may_show=shown)
                self.call(members, {"usernames": [ghost["username"]]}, by=by, status=400)
                self.try_badly(members, ghost, by)
            for request in (("POST", path), ("PATCH", one)):
                self.try_badly(request, body, by)

    # -- items ---------------------------------------------------------------------------------------------------------

    def past(self, kind: str, identifier: str) -> None:
        """Look at and restore the first of two versions of an item, and share it with nobody that there is."""
        path = f"/items/{kind}/{identifier}/versions"
        names = {f"{kind}.name: {stage}" for stage in "12"}
        first = {f"{kind}.{field}: 1" for field in FIELDS[kind]}
        self.call(("GET", path), may_show=names)
        self.call(("GET", f"{path}/1"), may_show=first)
        for request in (("GET", path), ("GET", f"{path}/1"), ("POST", f"{path}/1/restore")):
            self.call(request, by=self.life.stranger, status=403)
        self.call(("POST", f"{path}/1/restore"))
        self.call(("POST", f"{path}/2/restore"))
        ghosts = self.plant(f"batch {kind}", [], ["user", "group"])
        batch = {
            "action": "share",
            "items": [{"kind": kind, "identifier": identifier}],
            "users": [{"username": ghosts["user"]}],
            "groups": [{"name": ghosts["group"]}],
        }
        self.call(("POST", "/items/batch"), batch, may_show={f"batch {kind} user", f"batch {kind} group"})
        self.call(("POST", "/items/batch"), batch, by=self.life.stranger)
        self.try_badly(("POST", "/items/batch"), ghosts)

    def files(self) -> None:
        """Store a file, change it, fetch it and fail to; its content is as secret as its notes."""
        path = "/api/mysafe/file"
        fields = self.plant("file", ["name"], FILE_FIELDS[1:])
        content = self.life.canaries.plant("file content").encode()
        shown = {f"file {field}" for field in FILE_FIELDS}
        header = {"MySafe-Fields": b64encode(json.dumps(fields).encode()).decode()}
        sent = {**self.life.owner, **RAW, **header}
        status, answer = self.life.send("upload", ("POST", path), content * 5000, sent, shown)
        assert status == 201, answer
        one = f"{path}/{json.loads(answer)['file_entity']['identifier']}"
        self.life.send("file", ("GET", one), b"", self.life.owner, shown)
        _, data = self.life.send(
            "content", ("GET", f"{one}/content"), b"", self.life.owner, {"file content", "file file_name"}
        )
        assert data == content * 5000
        update = ("PUT", one.replace("/file/", "/file/update/"))
        for request in (("GET", one), ("GET", f"{one}/content"), update):
            got = self.life.send(
                "stranger", request, content if request is update else b"", {**self.life.stranger, **RAW}
            )
            assert got[0] == 400, got
        broken = b64encode(json.dumps({**fields, "name": fields["name"] * 50}).encode()).decode()
        for value in (broken, b64encode(f'{{"notes": "{fields["notes"]}'.encode()).decode(), fields["notes"]):
            bad = {**self.life.owner, **RAW, "MySafe-Fields": value}
            assert self.life.send("bad upload", ("POST", path), content, bad)[0] == 400
        for headers, body in bad_bodies({"name": fields["name"], "notes": fields["notes"]}, "notes"):
            got = self.life.send("bad file", update, body, {**self.life.owner, **headers})
            assert 400 <= got[0] < 500, got


def _with_address(user: dict[str, str]) -> dict[str, str]:
    return {**user, "email": f"{user['email']}@example.com"}
