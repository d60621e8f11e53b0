# SPDX-License-Identifier: Apache-2.0
"""Keys that stay elsewhere: each wraps and unwraps against a double of its service, or a real token in software."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pkcs11
import pytest

from mysafe.crypto.aead import SealBroken, XaesKey
from mysafe.crypto.root_key.catalogue import Means, load_provider, make_provider
from mysafe.crypto.root_key.devices.json_service import JsonService
from mysafe.crypto.root_key.devices.pkcs11_token import Pkcs11Token
from mysafe.crypto.root_key.envelope import EnvelopeProvider
from mysafe.crypto.root_key.provider import RootKeyProvider, RootKeyRefused
from mysafe.domain.secret_text import SecretText
from tests.support import key_service
from tests.support.key_service import KeyService
from tests.unit.crypto.root_key.scene import KEY
from tests.unit.crypto.scene import flips

SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
PIN = "482913"


class Scene(NamedTuple):
    """A provider and the double behind it."""

    provider: RootKeyProvider
    service: KeyService


def private(path: Path, text: str) -> str:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return str(path)


@contextmanager
def scene(name: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    answers = {
        "vault-transit": key_service.transit,
        "gcp-kms": key_service.google,
        "azure-kv": key_service.azure,
        "aws-kms": key_service.amazon,
    }
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "for-the-double")
    with key_service.running(answers[name]) as service:
        parameters = {
            "vault-transit": {
                "address": service.url,
                "key": "root",
                "token_file": private(directory / "t", "s.token\n"),
            },
            "gcp-kms": {"address": service.url, "metadata": service.url, "key": "projects/p/cryptoKeys/k"},
            "azure-kv": {"address": service.url, "metadata": service.url, "key": "root", "version": "v1"},
            "aws-kms": {"endpoint": service.url, "region": "us-east-1", "key": "k"},
        }
        yield Scene(load_provider(name, parameters[name]), service)


def test_secrets_do_not_travel_in_the_clear_to_another_machine() -> None:
    with pytest.raises(RootKeyRefused, match="must begin with https"):
        load_provider("aws-kms", {"endpoint": "http://kms.example.com", "region": "us-east-1", "key": "k"})


SERVICES = ("vault-transit", "gcp-kms", "azure-kv", "aws-kms")


@pytest.mark.parametrize("name", SERVICES)
def test_a_key_service_wraps_and_unwraps(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with scene(name, tmp_path, monkeypatch) as (provider, service):
        slot = provider.wrap(KEY, b"bound")
        assert slot[:4] == b"MR\x01\x04"
        assert provider.unwrap(slot, b"bound") == KEY
        assert (provider.name, provider.health()) == (name, None)
        with pytest.raises(SealBroken):
            provider.unwrap(slot, b"other")
        assert not any(KEY.hex() in str(asked) for asked in service.asked), "the root key itself never leaves"


@pytest.mark.parametrize("name", SERVICES)
def test_what_another_key_encrypted_is_a_broken_seal(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(name, tmp_path, monkeypatch) as (provider, service):
        slot = provider.wrap(KEY, b"")
        service.key = XaesKey(bytes([1]) * 32)
        with pytest.raises(SealBroken):
            provider.unwrap(slot, b"")


@pytest.mark.parametrize("fault", [(403, b"{}"), (500, b"s.token"), (200, b"[]"), (200, b"x" * 70_000), (302, b"{}")])
@pytest.mark.parametrize("name", SERVICES[:3])
def test_a_service_that_fails_is_one_sentence(
    name: str, fault: tuple[int, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene(name, tmp_path, monkeypatch) as (provider, service):
        service.fault = fault
        with pytest.raises(RootKeyRefused, match="cannot be used") as refused:
            provider.wrap(KEY, b"")
        assert provider.health() == str(refused.value)
        assert "token" not in str(refused.value).replace("machine-token", "")
        assert refused.value.__cause__ is None


def test_a_service_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    parameters = {"address": "http://127.0.0.1:9", "key": "root", "token_file": private(tmp_path / "t", "s.token")}
    assert load_provider("vault-transit", parameters).health() is not None


def test_a_token_is_never_sent_in_clear_over_the_network(tmp_path: Path) -> None:
    for address in ("http://vault.example:8200", "ftp://127.0.0.1", "https://", "vault.example", "http://10.0.0.1"):
        with pytest.raises(RootKeyRefused, match="https"):
            JsonService("it", address)
    JsonService("it", "http://127.0.0.1:1")
    JsonService("it", "https://vault.example")


def test_every_flipped_bit_of_an_envelope_is_detected() -> None:
    class Mirror:
        name = "mirror"

        def encrypt(self, plain: bytes) -> bytes:
            return plain[::-1]

        def decrypt(self, encrypted: bytes) -> bytes:
            return encrypted[::-1]

    provider = EnvelopeProvider(Mirror())
    slot = provider.wrap(KEY, b"")
    assert provider.unwrap(slot, b"") == KEY
    for altered in (*flips(slot), b"", slot[:5], slot[:-1], slot + b"\0"):
        with pytest.raises(SealBroken):
            provider.unwrap(altered, b"")


def test_what_a_provider_needs_comes_from_a_private_file(tmp_path: Path) -> None:
    token, file = private(tmp_path / "t", "s.token"), tmp_path / "providers.toml"

    def nobody(what: str) -> SecretText:
        raise AssertionError(what)

    def made() -> RootKeyProvider:
        return make_provider("vault-transit", Means(tmp_path / "key", file, nobody))

    private(file, f'[vault-transit]\naddress = "https://v.example"\nkey = "k"\ntoken_file = "{token}"\n')
    assert made().name == "vault-transit"
    file.chmod(0o644)
    with pytest.raises(RootKeyRefused, match="open to other users"):
        made()
    file.chmod(0o600)
    for text, words in (
        ("[", "TOML"),
        ("vault-transit = 1", "texts only"),
        ("", "does not take"),
        ("[vault-transit]\nx='1'", "take"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(RootKeyRefused, match=words):
            made()


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Make a token in software with an AES key, as an operator does with the tools of a real one."""
    assert SOFTHSM.exists(), "SoftHSM is needed: on Debian, apt install softhsm2"
    (tmp_path / "tokens").mkdir()
    settings = tmp_path / "softhsm2.conf"
    settings.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nlog.level = ERROR\n", encoding="utf-8")
    monkeypatch.setenv("SOFTHSM2_CONF", str(settings))
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "vault", "--pin", PIN, "--so-pin", PIN],
        check=True,
        capture_output=True,
    )
    library = pkcs11.lib(str(SOFTHSM))
    library.reinitialize()  # the library reads its settings once for the process
    with library.get_token(token_label="vault").open(rw=True, user_pin=PIN) as session:
        session.generate_key(pkcs11.KeyType.AES, 256, label="root", store=True)
    pin_file = private(tmp_path / "pin", PIN + "\n")
    return {"module": str(SOFTHSM), "token": "vault", "key": "root", "pin_file": pin_file}


def test_a_pkcs11_token_wraps_and_unwraps(token: dict[str, str]) -> None:
    provider = load_provider("pkcs11", token)
    slot = provider.wrap(KEY, b"bound")
    assert provider.unwrap(slot, b"bound") == KEY
    assert provider.health() is None
    for altered in (slot[:20] + bytes((slot[20] ^ 1,)) + slot[21:], slot[:-1] + bytes((slot[-1] ^ 1,))):
        with pytest.raises(SealBroken):
            provider.unwrap(altered, b"bound")


def test_a_token_with_another_pin_or_label_is_refused_in_one_sentence(token: dict[str, str], tmp_path: Path) -> None:
    wrong_pin = private(tmp_path / "wrong", "111111")
    for change in ({"pin_file": wrong_pin}, {"key": "none"}, {"token": "none"}, {"module": "/usr/lib/none.so"}):
        with pytest.raises(RootKeyRefused) as refused:
            load_provider("pkcs11", token | change).wrap(KEY, b"")
        assert "\n" not in str(refused.value)
        assert PIN not in str(refused.value)
        assert "111111" not in str(refused.value)
    with pytest.raises(RootKeyRefused, match="absolute"):
        Pkcs11Token(**(token | {"module": "libx.so"}))
