# SPDX-License-Identifier: Apache-2.0
"""The keychain keeps the keys before the current ones for as long as a look may last that began with them."""

from secrets import token_bytes

import pytest

from mysafe.crypto.keyring import Keyring
from mysafe.services import keys
from mysafe.services.keys import Keychain, OpenRoot, VaultKeys

VAULT_ID = bytes(16)


KEYRING = Keyring.create()


def second() -> VaultKeys:
    return VaultKeys.of(VAULT_ID, KEYRING.renewed())


@pytest.fixture
def keychain() -> Keychain:
    return Keychain(OpenRoot(VAULT_ID, token_bytes(32), VaultKeys.of(VAULT_ID, KEYRING)))


def test_the_keys_before_stay_while_a_look_may_need_them(keychain: Keychain, monkeypatch: pytest.MonkeyPatch) -> None:
    first = keychain.current
    keychain._take(second())
    keychain.forget_before()
    assert keychain._before is first
    monkeypatch.setattr(keys, "LONGEST_LOOK_SECONDS", -1)
    keychain.forget_before()
    assert keychain._before is None


def test_a_second_thread_with_the_same_keys_displaces_nothing(keychain: Keychain) -> None:
    first = keychain.current
    for _ in range(2):
        keychain._take(second())
    assert keychain._before is first
