# SPDX-License-Identifier: Apache-2.0
"""The access token with which a machine in a cloud shows who it is."""

from collections.abc import Mapping
from pathlib import Path

from mysafe.crypto.root_key.devices.json_service import JsonService
from mysafe.crypto.root_key.private_file import read_secret_line
from mysafe.domain.secret_text import SecretText


class MachineToken:
    """Ask the cloud for a token, or read one from a file that something else keeps fresh.

    Args:
        service: what tells the machine who it is.
        path: of the token there.
        headers: which that service wants to see.
        token_file: file with a token instead, readable by its owner only; "" for none.
    """

    def __init__(self, service: JsonService, path: str, headers: Mapping[str, str], token_file: str) -> None:
        self._service, self._path, self._headers = service, path, headers
        self._token_file = Path(token_file) if token_file else None

    def bearer(self) -> dict[str, str]:
        """Return the header that carries a token. Raises RootKeyRefused."""
        return {"Authorization": f"Bearer {self._token().reveal()}"}

    def _token(self) -> SecretText:
        if self._token_file is not None:
            return read_secret_line(self._token_file, "file of the token")
        answer = self._service.ask("GET", self._path, None, self._headers)
        return SecretText(self._service.text(answer, "access_token"))
