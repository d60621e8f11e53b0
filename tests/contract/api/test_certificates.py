# SPDX-License-Identifier: Apache-2.0
"""Access keys that ask for a client certificate, from our own TLS or from a trusted proxy (R-TOK-12)."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mysafe.domain.access_keys import AccessKeyDraft
from tests.support.server import RunningServer, authorization

HEADER = "X-Client-Certificate"
OTHER_PRINT = "cd" * 32
PATH = "/api/mysafe/password"


class Issued(NamedTuple):
    """A certificate with its private key, as files and as what is compared."""

    certificate: Path
    key: Path
    pem: str
    fingerprint: str


class Authority:
    """Issue certificates for these tests."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        certificate = self._signed(self._name, self._key, is_authority=True)
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = self._signed(subject, key, is_authority=False)
        certificate_file, key_file = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        pem = certificate.public_bytes(Encoding.PEM)
        certificate_file.write_bytes(pem)
        key_file.touch(0o600)
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        fingerprint = sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
        return Issued(certificate_file, key_file, pem.decode(), fingerprint)

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_authority: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return builder.add_extension(issuer, critical=False).sign(self._key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(scope="module")
def program(authority: Authority) -> Issued:
    return authority.issue("program")


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose one proxy is 127.0.0.1; other addresses of loopback are strangers."""
    running = RunningServer(
        tmp_path_factory.mktemp("proxy"),
        behind_proxy=True,
        trusted_proxies=("127.0.0.1",),
        client_certificate_header=HEADER,
    )
    yield running
    running.close()


def key_for(server: RunningServer, fingerprint: str) -> tuple[str, str]:
    return server.add_key(AccessKeyDraft(server.new_actor(), "key", fingerprint=fingerprint))


def ask(client: httpx.Client, key: tuple[str, str], headers: list[tuple[str, str]]) -> httpx.Response:
    form = {"grant_type": "client_credentials", "client_id": key[0], "client_secret": key[1]}
    return client.post("/api/oauth2/token", data=form, headers=headers)


def spellings(issued: Issued) -> dict[str, str]:
    digits = issued.fingerprint
    inner = "".join(issued.pem.strip().splitlines()[1:-1])
    return {
        "digits": digits,
        "capitals with colons": ":".join(digits[at : at + 2] for at in range(0, 64, 2)).upper(),
        "nginx, escaped": quote(issued.pem),
        "nginx, folded": issued.pem.strip().replace("\n", " "),
        "RFC 9440": f":{inner}:",
    }


@pytest.mark.parametrize("spelling", ["digits", "capitals with colons", "nginx, escaped", "nginx, folded", "RFC 9440"])
def test_a_trusted_proxy_names_the_certificate(behind_proxy: RunningServer, program: Issued, spelling: str) -> None:
    key = key_for(behind_proxy, program.fingerprint)
    sent = [(HEADER, spellings(program)[spelling])]
    with behind_proxy.client() as client:
        token = ask(client, key, sent).json()["access_token"]
        bearer = list(authorization(token).items())
        assert client.get(PATH, headers=sent + bearer).status_code == 200
        refused = client.get(PATH, headers=bearer)
    assert refused.status_code == 403
    assert refused.json()["response"]["message"] == "You are not authorized to access this resource."


@pytest.mark.parametrize(
    "values",
    [[], [""], [OTHER_PRINT], ["{own}", "{own}"], [OTHER_PRINT, "{own}"], ["x{own}"], ["%zz"], [":!:"], ["::"]],
)
def test_without_exactly_that_certificate_there_is_no_token_and_no_answer(
    behind_proxy: RunningServer, program: Issued, values: list[str]
) -> None:
    key = key_for(behind_proxy, program.fingerprint)
    sent = [(HEADER, value.format(own=program.fingerprint)) for value in values]
    with behind_proxy.client() as client:
        token = ask(client, key, [(HEADER, program.fingerprint)]).json()["access_token"]
        assert ask(client, key, sent).json()["error"] == "invalid_client"
        assert client.get(PATH, headers=sent + list(authorization(token).items())).status_code == 403


def test_from_anybody_but_the_proxy_the_header_means_nothing(behind_proxy: RunningServer, program: Issued) -> None:
    key = key_for(behind_proxy, program.fingerprint)
    with behind_proxy.client("127.0.0.2") as client:
        assert ask(client, key, [(HEADER, program.fingerprint)]).status_code == 401
    with behind_proxy.client() as client:
        assert ask(client, key, [(HEADER, program.fingerprint)]).status_code == 200


def test_without_the_setting_no_header_means_anything(server: RunningServer, program: Issued) -> None:
    key = key_for(server, program.fingerprint)
    with server.client() as client:
        assert ask(client, key, [(HEADER, program.fingerprint)]).status_code == 401


@pytest.fixture
def with_tls(tmp_path: Path, authority: Authority) -> Iterator[RunningServer]:
    own = authority.issue("server")
    running = RunningServer(tmp_path, tls_certificate=own.certificate, tls_key=own.key, tls_client_ca=authority.file)
    yield running
    running.close()


def tls_client(server: RunningServer, authority: Authority, issued: Issued | None) -> httpx.Client:
    context = ssl.create_default_context(cafile=str(authority.file))
    if issued is not None:
        context.load_cert_chain(issued.certificate, issued.key)
    return httpx.Client(base_url=server.url, verify=context, timeout=20, trust_env=False)


def test_our_own_tls_names_the_certificate(with_tls: RunningServer, authority: Authority, program: Issued) -> None:
    key = key_for(with_tls, program.fingerprint)
    with tls_client(with_tls, authority, program) as client:
        token = ask(client, key, []).json()["access_token"]
        for _ in range(2):  # the second request of the connection has it too
            assert client.get(PATH, headers=authorization(token)).status_code == 200
    for other in (None, authority.issue("other")):
        with tls_client(with_tls, authority, other) as client:
            assert client.get(PATH, headers=authorization(token)).status_code == 403
            assert ask(client, key, [(HEADER, program.fingerprint)]).status_code == 401
            free = ask(client, with_tls.new_key(with_tls.new_actor()), [])
            assert client.get(PATH, headers=authorization(free.json()["access_token"])).status_code == 200


def test_a_certificate_of_another_issuer_gets_no_connection(
    with_tls: RunningServer, authority: Authority, tmp_path: Path
) -> None:
    forged = Authority(tmp_path, "forger").issue("program")
    with tls_client(with_tls, authority, forged) as client, pytest.raises(httpx.TransportError):
        client.get("/api/manage/me")
