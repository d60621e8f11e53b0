# SPDX-License-Identifier: Apache-2.0
"""What tests of root key providers share."""

from mysafe.crypto.password_hash import Cost
from mysafe.crypto.root_key.passphrase import PassphraseProvider
from mysafe.domain.secret_text import SecretText

KEY = bytes(range(32))
CHEAPEST = Cost(64 * 1024, 3, 1)
"""As little as a slot may cost: tests open many."""

PASSPHRASE = "correct horse battery staple"


def knows(passphrase: str) -> PassphraseProvider:
    return PassphraseProvider(lambda what: SecretText(passphrase), cost=CHEAPEST)
