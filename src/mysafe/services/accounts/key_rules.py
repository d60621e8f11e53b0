# SPDX-License-Identifier: Apache-2.0
"""How the access keys of a vault are made and shown again, as its operator wants it."""

from mysafe.services.accounts.reauthentication import WrongTries


class KeyRules:
    """The rules of one vault, and the wrong passwords that this process has counted.

    Args:
        rsa_bits: size of the RSA key of an access key that encrypts.
        is_secret_kept: whether a sealed copy of new client secrets is kept, to be shown again.
    """

    def __init__(self, rsa_bits: int = 4096, *, is_secret_kept: bool = True) -> None:
        self.rsa_bits = rsa_bits
        self.is_secret_kept = is_secret_kept
        self.tries = WrongTries()
