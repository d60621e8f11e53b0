# SPDX-License-Identifier: Apache-2.0
"""Ask a service on the network something in JSON: what the key services need of HTTP, and no more.

No redirect is followed, no proxy is used, an answer is bounded in time and size.
"""

import base64
import binascii
import json
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.provider import RootKeyRefused

TIMEOUT_SECONDS = 10
MOST_SECONDS = 20
"""How long a question may take in all."""

LARGEST_ANSWER_BYTES = 65_536

OK, BAD_REQUEST = 200, 400
"""Status codes that the key services give a meaning to."""

_OF_THE_MACHINE = frozenset({"metadata.google.internal", "169.254.169.254"})
"""Where a cloud tells a machine who it is. They speak plain HTTP, and answer to the machine itself only."""


def check_address(what: str, address: str) -> None:
    """Return if a service may be asked at an address: secrets travel to it in the clear, but for TLS.

    Raises:
        RootKeyRefused: it is neither HTTPS, nor on loopback, nor what tells a machine who it is.
    """
    url = urlsplit(address)
    try:
        host = url.hostname or ""
        _ = url.port
    except ValueError:
        raise RootKeyRefused(f"{what}: its address cannot be read") from None
    is_plain_allowed = url.scheme == "http" and (_is_loopback(host) or host in _OF_THE_MACHINE)
    if not host or (url.scheme != "https" and not is_plain_allowed):
        raise RootKeyRefused(f"{what}: its address must begin with https://")


class JsonAnswer(NamedTuple):
    """Status, and the members of the JSON object that are texts."""

    status: int
    texts: Mapping[str, str]


class JsonService:
    """A service at `https://HOST:PORT/PATH`; plain HTTP only on loopback, and for what tells a machine who it is.

    Args:
        what: names the service in refusals.
        address: where it is.
        ca_file: PEM file with the issuer of its certificate; the system's without.
    """

    def __init__(self, what: str, address: str, ca_file: str = "") -> None:
        self._what = what
        self._url = urlsplit(address)
        self._ca_file = ca_file
        check_address(what, address)

    def ask(
        self, method: str, path: str, body: Mapping[str, str] | None, headers: Mapping[str, str], *, within: str = ""
    ) -> JsonAnswer:
        """Return the answer to one question; `within` names the member that holds what was asked for.

        Raises:
            RootKeyRefused: it cannot be reached in time, or answers something else than a bounded JSON object.
        """
        text = None if body is None else json.dumps(body)
        connection = self._connection()
        # The timeout of a socket is for each piece: a service that sends one byte a second would never be late.
        watch = threading.Timer(MOST_SECONDS, _hang_up, (connection,))
        watch.start()
        try:
            connection.request(method, self._url.path.rstrip("/") + path, text, {**_JSON, **headers})
            answer = connection.getresponse()
            content = answer.read(LARGEST_ANSWER_BYTES + 1)
        except (OSError, HTTPException, ValueError) as error:
            # Not its text: a token that cannot stand in a header would be quoted there.
            raise self.refused(type(error).__name__) from None
        finally:
            watch.cancel()
            connection.close()
        return JsonAnswer(answer.status, self._texts(content, within))

    def refused(self, reason: str) -> RootKeyRefused:
        """Return the refusal for a reason that holds no secret."""
        return RootKeyRefused(f"{self._what} at {self._url.hostname} cannot be used: {reason}")

    def text(self, answer: JsonAnswer, name: str) -> str:
        """Return a member of a good answer. Raises RootKeyRefused for any other answer."""
        if answer.status != OK or not answer.texts.get(name):
            raise self.refused(f"it answered with status {answer.status}")
        return answer.texts[name]

    def _texts(self, content: bytes, within: str) -> dict[str, str]:
        try:
            whole = json.loads(content) if len(content) <= LARGEST_ANSWER_BYTES else None
        except (ValueError, RecursionError):
            whole = None
        found = whole.get(within) if within and isinstance(whole, dict) else whole
        members = found.items() if isinstance(found, dict) else ()
        return {name: value for name, value in members if isinstance(value, str)}

    def _connection(self) -> HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "http":
            return HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
        try:
            context = ssl.create_default_context(cafile=self._ca_file or None)
        except OSError as error:
            raise self.refused(f"ca_file cannot be used: {error.strerror}") from None
        return HTTPSConnection(host, port, timeout=TIMEOUT_SECONDS, context=context)


def to_base64(content: bytes) -> str:
    """Return the base64 of some bytes."""
    return base64.b64encode(content).decode("ascii")


def from_base64(text: str) -> bytes:
    """Return what a text is the base64 of. Raises SealBroken."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SealBroken from None


_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


def _hang_up(connection: HTTPConnection) -> None:
    if connection.sock is not None:
        with suppress(OSError):  # it has just ended by itself
            connection.sock.shutdown(socket.SHUT_RDWR)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
