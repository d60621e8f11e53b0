# SPDX-License-Identifier: Apache-2.0
"""An RSA key of Azure Key Vault, by its HTTP API. Needs no package.

    encrypted    the result of wrapkey with RSA-OAEP-256

Source: the Key Vault REST API 7.4, wrapKey and unwrapKey; the managed identity endpoint of a machine.
"""

import base64
from urllib.parse import quote

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.devices.json_service import BAD_REQUEST, JsonAnswer, JsonService, from_base64
from mysafe.crypto.root_key.devices.machine_token import MachineToken

_TOKEN_PATH = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net"  # a path


class AzureKey:
    """A key of a key vault; the identity of the machine must be allowed to wrap and unwrap with it.

    Args:
        address: of the key vault, `https://NAME.vault.azure.net`.
        key: name of the key.
        version: of the key. Another version does not open what this one wrapped.
        token_file: file with an access token, where there is no managed identity.
        metadata: address of the managed identity endpoint.
    """

    name = "azure-kv"

    def __init__(
        self,
        *,
        address: str,
        key: str,
        version: str,
        token_file: str = "",
        metadata: str = "http://169.254.169.254",
    ) -> None:
        self._service = JsonService("the key vault", address)
        self._path = f"/keys/{quote(key, safe='')}/{quote(version, safe='')}"
        of_machine = JsonService("the identity of this machine", metadata)
        self._token = MachineToken(of_machine, _TOKEN_PATH, {"Metadata": "true"}, token_file)

    def encrypt(self, plain: bytes) -> bytes:
        """Return the bytes encrypted. Raises RootKeyRefused."""
        return _bytes(self._service.text(self._ask("wrapkey", plain), "value"))

    def decrypt(self, encrypted: bytes) -> bytes:
        """Return what was encrypted. Raises RootKeyRefused, SealBroken."""
        answer = self._ask("unwrapkey", encrypted)
        if answer.status == BAD_REQUEST:  # BadParameter: not wrapped by this key
            raise SealBroken
        return _bytes(self._service.text(answer, "value"))

    def _ask(self, verb: str, value: bytes) -> JsonAnswer:
        text = base64.urlsafe_b64encode(value).decode("ascii").rstrip("=")
        body = {"alg": "RSA-OAEP-256", "value": text}
        return self._service.ask("POST", f"{self._path}/{verb}?api-version=7.4", body, self._token.bearer())


def _bytes(text: str) -> bytes:
    return from_base64(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4))
