# SPDX-License-Identifier: Apache-2.0
"""A key of the transit engine of HashiCorp Vault or OpenBao, by its HTTP API. Needs no package.

    encrypted    the engine's own text: "vault:v1:…"

Source: the HTTP API of the transit secrets engine: POST /v1/MOUNT/encrypt/KEY and /v1/MOUNT/decrypt/KEY.
"""

from pathlib import Path
from urllib.parse import quote

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.devices.json_service import (
    BAD_REQUEST,
    JsonAnswer,
    JsonService,
    from_base64,
    to_base64,
)
from mysafe.crypto.root_key.private_file import read_secret_line


class TransitKey:
    """A key of a transit engine. Nothing is asked of it before it is used.

    Args:
        address: `https://HOST:PORT`; plain http only to loopback.
        key: name of the key.
        token_file: file with a token that may encrypt and decrypt with it, readable by its owner only.
        mount: where the engine is mounted.
        ca_file: PEM file with the issuer of the certificate; the system's without.
        namespace: the namespace, if there are any.
    """

    name = "vault-transit"

    def __init__(
        self, *, address: str, key: str, token_file: str, mount: str = "transit", ca_file: str = "", namespace: str = ""
    ) -> None:
        self._service = JsonService("the transit engine", address, ca_file)
        self._mount, self._key = quote(mount), quote(key, safe="")
        self._token_file, self._namespace = Path(token_file), namespace

    def encrypt(self, plain: bytes) -> bytes:
        """Return the bytes encrypted. Raises RootKeyRefused."""
        return self._service.text(self._ask("encrypt", {"plaintext": to_base64(plain)}), "ciphertext").encode()

    def decrypt(self, encrypted: bytes) -> bytes:
        """Return what was encrypted. Raises RootKeyRefused, SealBroken."""
        answer = self._ask("decrypt", {"ciphertext": encrypted.decode("latin-1")})
        if answer.status == BAD_REQUEST:  # the engine's word for what it did not encrypt
            raise SealBroken
        return from_base64(self._service.text(answer, "plaintext"))

    def _ask(self, verb: str, body: dict[str, str]) -> JsonAnswer:
        headers = {"X-Vault-Token": read_secret_line(self._token_file, "file of the token").reveal()}
        if self._namespace:
            headers["X-Vault-Namespace"] = self._namespace
        path = f"/v1/{self._mount}/{verb}/{self._key}"
        return self._service.ask("POST", path, body, headers, within="data")
