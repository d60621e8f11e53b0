# SPDX-License-Identifier: Apache-2.0
"""How the access keys of a vault are made and shown again, as its operator wants it."""

from mysafe.services.accounts.reauthentication import WrongTries

MOST_KEYS = 100
"""Access keys a user may have, where nothing else is set."""


class KeyRules:
    """The rules of one vault, and the wrong passwords that this process has counted.

    Args:
        rsa_bits: size of the RSA key of an access key that encrypts.
        is_secret_kept: whether a sealed copy of new client secrets is kept, to be shown again.
        most_keys: access keys a user may have; revoked ones do not count.
    """

    def __init__(self, rsa_bits: int = 4096, *, is_secret_kept: bool = True, most_keys: int = MOST_KEYS) -> None:
        self.rsa_bits = rsa_bits
        self.most_keys = most_keys
        self.is_secret_kept = is_secret_kept
        self.tries = WrongTries()
