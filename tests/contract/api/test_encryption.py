# SPDX-License-Identifier: Apache-2.0
"""Access keys that encrypt sensitive values (contract 3), opened as the documented clients do."""

from base64 import b64decode
from functools import partial
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mysafe.domain.errors import NotFound
from mysafe.services.accounts import access_keys
from tests.support.server import RunningServer, authorization, private_key

BODIES: dict[str, dict[str, Any]] = {
    "password": {"name": "n", "username": "u", "password": "p\u00e9", "secret_key": "JBSWY3DPEHPK3PXP", "notes": "o"},
    "note": {"name": "n", "note": "content"},
    "secretapi": {"name": "n", "url": "l", "client_id": "i", "client_secret": "s", "notes": "o"},
}
SENSITIVE = {"password": {"password", "secret_key"}, "note": {"note"}, "secretapi": {"client_secret"}}


def opened(text: str) -> str:
    """Decrypt a value by its documentation, not by our code."""
    key = load_pem_private_key(private_key().reveal().encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    block = b64decode(text, validate=True)
    sha1 = hashes.SHA1()  # noqa: S303  # as documented
    return key.decrypt(block, padding.OAEP(padding.MGF1(sha1), sha1, None)).decode()


def entity_of(answer: httpx.Response) -> dict[str, Any]:
    (entity,) = (value for key, value in answer.json().items() if key.endswith("_entity"))
    assert isinstance(entity, dict)
    return entity


@pytest.mark.parametrize("kind", BODIES)
def test_sensitive_values_and_no_others_are_encrypted_for_the_key(server: RunningServer, kind: str) -> None:
    owner = server.new_actor()
    clear, encrypting = server.new_token(owner), server.token(server.new_encrypting_key(owner))
    identifier = server.create(clear, kind, BODIES[kind])
    plain = entity_of(server.read(clear, identifier, kind))
    coded = entity_of(server.read(encrypting, identifier, kind))
    assert {key for key in plain if key != "token" and plain[key] != coded[key]} == SENSITIVE[kind]
    assert {key: opened(coded[key]) for key in SENSITIVE[kind]} == {key: plain[key] for key in SENSITIVE[kind]}
    assert list(plain) == list(coded)


def test_a_change_of_an_api_secret_echoes_its_secret_encrypted_and_stores_it_in_the_clear(
    server: RunningServer,
) -> None:
    owner = server.new_actor()
    encrypting = server.token(server.new_encrypting_key(owner))
    with server.client() as client:
        headers = authorization(encrypting)
        made = entity_of(client.post("/api/mysafe/secretapi", json=BODIES["secretapi"], headers=headers))
        path = f"/api/mysafe/secretapi/update/{made['identifier']}"
        changed = entity_of(client.put(path, json={"client_secret": "new"}, headers=headers))
    assert (opened(made["client_secret"]), opened(changed["client_secret"])) == ("s", "new")
    read = entity_of(server.read(server.new_token(owner), made["identifier"], "secretapi"))
    assert read["client_secret"] == "new"


@pytest.mark.parametrize(("length", "status"), [(470, 200), (471, 500)])
def test_a_value_fits_one_block_or_is_refused(server: RunningServer, length: int, status: int) -> None:
    owner = server.new_actor()
    identifier = server.create(server.new_token(owner), "note", {"name": "n", "note": "x" * length})
    answer = server.read(server.token(server.new_encrypting_key(owner)), identifier, "note")
    assert answer.status_code == status
    if status == 500:
        assert answer.json()["exception"]["message"] == "Ocorreu um erro ao criptografar o texto"
    else:
        assert opened(entity_of(answer)["note"]) == "x" * length


def test_the_private_key_survives_a_change_of_the_access_key_and_belongs_to_no_other(server: RunningServer) -> None:
    owner = server.new_actor()
    client_id, _ = server.new_encrypting_key(owner)
    server.set_addresses(client_id, ("127.0.0.1",))
    shown = server.operate(partial(access_keys.decryption_key, which=client_id)).secret
    assert shown.reveal() == private_key().reveal()
    plain, _ = server.new_key(owner)
    with pytest.raises(NotFound):
        server.operate(partial(access_keys.decryption_key, which=plain))
