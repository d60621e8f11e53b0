# SPDX-License-Identifier: Apache-2.0
"""A symmetric key of Google Cloud KMS, by its HTTP API. Needs no package.

    encrypted    the ciphertext of KMS, with the additional authenticated data "mysafe root key"

Source: the Cloud KMS REST API v1, cryptoKeys.encrypt and cryptoKeys.decrypt; the metadata server of Compute Engine.
"""

from urllib.parse import quote

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.devices.json_service import BAD_REQUEST, JsonAnswer, JsonService, from_base64, to_base64
from mysafe.crypto.root_key.devices.machine_token import MachineToken

_BOUND = to_base64(b"mysafe root key")
_TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # a path


class GcpKmsKey:
    """A key of Cloud KMS; the service account of the machine must be allowed to use it.

    Args:
        key: `projects/…/locations/…/keyRings/…/cryptoKeys/…`.
        token_file: file with an access token, where there is no metadata server.
        address: of the service.
        metadata: address of the metadata server.
    """

    name = "gcp-kms"

    def __init__(
        self,
        *,
        key: str,
        token_file: str = "",
        address: str = "https://cloudkms.googleapis.com",
        metadata: str = "http://metadata.google.internal",
    ) -> None:
        self._service = JsonService("Google Cloud KMS", address)
        self._path = f"/v1/{quote(key)}"
        of_machine = JsonService("the metadata server", metadata)
        self._token = MachineToken(of_machine, _TOKEN_PATH, {"Metadata-Flavor": "Google"}, token_file)

    def encrypt(self, plain: bytes) -> bytes:
        """Return the bytes encrypted. Raises RootKeyRefused."""
        return from_base64(self._service.text(self._ask("encrypt", {"plaintext": to_base64(plain)}), "ciphertext"))

    def decrypt(self, encrypted: bytes) -> bytes:
        """Return what was encrypted. Raises RootKeyRefused, SealBroken."""
        answer = self._ask("decrypt", {"ciphertext": to_base64(encrypted)})
        if answer.status == BAD_REQUEST:  # INVALID_ARGUMENT: not encrypted by this key
            raise SealBroken
        return from_base64(self._service.text(answer, "plaintext"))

    def _ask(self, verb: str, body: dict[str, str]) -> JsonAnswer:
        whole = {**body, "additionalAuthenticatedData": _BOUND}
        return self._service.ask("POST", f"{self._path}:{verb}", whole, self._token.bearer())
