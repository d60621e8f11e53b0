# SPDX-License-Identifier: Apache-2.0
"""Doubles of the key services on loopback: what their HTTP interfaces say, with a real key behind it."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from mysafe.crypto.aead import SealBroken, XaesKey

BEARER = "Bearer a-machine's-token"
Json = dict[str, Any]


class Asked(NamedTuple):
    """One request: method, path, headers by small letters, and the JSON of its body."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json


class KeyService:
    """A service with one key. `asked` are the requests so far; `fault` is answered to all, if it is set."""

    def __init__(self, answer: Callable[["KeyService", Asked], tuple[int, Json]]) -> None:
        self.asked: list[Asked] = []
        self.fault: tuple[int, bytes] | None = None
        self.key = XaesKey(bytes(32))
        self.url = ""
        self._answer = answer

    def answer(self, asked: Asked) -> tuple[int, bytes]:
        self.asked.append(asked)
        if self.fault is not None:
            return self.fault
        status, body = self._answer(self, asked)
        return status, json.dumps(body).encode()

    def opened(self, sealed: bytes, bound: bytes) -> bytes | None:
        try:
            return self.key.open(sealed, bound)
        except SealBroken:
            return None


@contextmanager
def running(answer: Callable[[KeyService, Asked], tuple[int, Json]]) -> Iterator[KeyService]:
    """Run a double until the block ends."""
    service = KeyService(answer)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, json.loads(content or b"{}"))
            status, body = service.answer(asked)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815  # the name the library calls

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def transit(service: KeyService, asked: Asked) -> tuple[int, Json]:
    """Answer as the transit engine does."""
    if asked.headers.get("x-vault-token") != "s.token":
        return 403, {"errors": ["permission denied"]}
    if asked.path == "/v1/transit/encrypt/root":
        sealed = service.key.seal(base64.b64decode(asked.body["plaintext"]), b"")
        return 200, {"data": {"ciphertext": "vault:v1:" + base64.b64encode(sealed).decode()}}
    if asked.path == "/v1/transit/decrypt/root":
        plain = service.opened(base64.b64decode(asked.body["ciphertext"].removeprefix("vault:v1:")), b"")
        if plain is None:
            return 400, {"errors": ["cipher: message authentication failed"]}
        return 200, {"data": {"plaintext": base64.b64encode(plain).decode()}}
    return 404, {"errors": []}


def google(service: KeyService, asked: Asked) -> tuple[int, Json]:
    """Answer as the metadata server and Cloud KMS do."""
    if asked.path.startswith("/computeMetadata/"):
        if asked.headers.get("metadata-flavor") != "Google":
            return 403, {}
        return 200, {"access_token": BEARER.removeprefix("Bearer "), "expires_in": 3599}
    if asked.headers.get("authorization") != BEARER:
        return 401, {"error": {"status": "UNAUTHENTICATED"}}
    bound = base64.b64decode(asked.body["additionalAuthenticatedData"])
    if asked.path.endswith("/cryptoKeys/k:encrypt"):
        sealed = service.key.seal(base64.b64decode(asked.body["plaintext"]), bound)
        return 200, {"name": "k", "ciphertext": base64.b64encode(sealed).decode()}
    plain = service.opened(base64.b64decode(asked.body["ciphertext"]), bound)
    return (200, {"plaintext": base64.b64encode(plain).decode()}) if plain else (400, {"error": {"code": 400}})


def azure(service: KeyService, asked: Asked) -> tuple[int, Json]:
    """Answer as the managed identity endpoint and Key Vault do."""
    if asked.path.startswith("/metadata/identity/oauth2/token?"):
        return (200, {"access_token": BEARER.removeprefix("Bearer ")}) if asked.headers.get("metadata") else (400, {})
    if asked.headers.get("authorization") != BEARER or asked.body["alg"] != "RSA-OAEP-256":
        return 401, {"error": {"code": "Unauthorized"}}
    value = base64.urlsafe_b64decode(asked.body["value"] + "=" * (-len(asked.body["value"]) % 4))
    is_wrap = asked.path == "/keys/root/v1/wrapkey?api-version=7.4"
    done = service.key.seal(value, b"") if is_wrap else service.opened(value, b"")
    if done is None:
        return 400, {"error": {"code": "BadParameter"}}
    return 200, {"kid": "k", "value": base64.urlsafe_b64encode(done).decode().rstrip("=")}


def amazon(service: KeyService, asked: Asked) -> tuple[int, Json]:
    """Answer as KMS does."""
    bound = json.dumps(asked.body["EncryptionContext"]).encode()
    if asked.headers["x-amz-target"] == "TrentService.Encrypt":
        sealed = service.key.seal(base64.b64decode(asked.body["Plaintext"]), bound)
        return 200, {"CiphertextBlob": base64.b64encode(sealed).decode(), "KeyId": "k"}
    plain = service.opened(base64.b64decode(asked.body["CiphertextBlob"]), bound)
    if plain is None:
        return 400, {"__type": "InvalidCiphertextException"}
    return 200, {"Plaintext": base64.b64encode(plain).decode(), "KeyId": "k"}
