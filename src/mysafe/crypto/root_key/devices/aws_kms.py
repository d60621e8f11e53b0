# SPDX-License-Identifier: Apache-2.0
"""A symmetric key of AWS KMS. Needs the extra `aws-kms` (botocore); credentials come from where botocore finds them.

    encrypted    the ciphertext blob of KMS, with the encryption context {"purpose": "mysafe root key"}

Source: the AWS KMS API, Encrypt and Decrypt.
"""

from botocore import session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.devices.json_service import check_address
from mysafe.crypto.root_key.provider import RootKeyRefused

_CONTEXT = {"purpose": "mysafe root key"}
_WRONG = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


class AwsKmsKey:
    """A key of AWS KMS.

    Args:
        key: its ARN, id or alias.
        region: of the key.
        endpoint: another address than Amazon's own for the region.
    """

    name = "aws-kms"

    def __init__(self, *, key: str, region: str, endpoint: str = "") -> None:
        self._key = key
        if endpoint:
            check_address(self.name, endpoint)
        try:
            self._client = session.Session().create_client(
                "kms",
                region_name=region,
                endpoint_url=endpoint or None,
                config=Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 3}, proxies={}),
            )
        except (BotoCoreError, ValueError) as error:
            raise _refused(type(error).__name__) from None

    def encrypt(self, plain: bytes) -> bytes:
        """Return the bytes encrypted. Raises RootKeyRefused."""
        try:
            answer = self._client.encrypt(KeyId=self._key, Plaintext=plain, EncryptionContext=_CONTEXT)
        except (BotoCoreError, ClientError) as error:
            raise _refused(_reason(error)) from None
        return bytes(answer["CiphertextBlob"])

    def decrypt(self, encrypted: bytes) -> bytes:
        """Return what was encrypted. Raises RootKeyRefused, SealBroken."""
        try:
            answer = self._client.decrypt(KeyId=self._key, CiphertextBlob=encrypted, EncryptionContext=_CONTEXT)
        except (BotoCoreError, ClientError) as error:
            if _reason(error) in _WRONG:
                raise SealBroken from None
            raise _refused(_reason(error)) from None
        return bytes(answer["Plaintext"])


def _reason(error: BotoCoreError | ClientError) -> str:
    code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
    return str(code or type(error).__name__)


def _refused(reason: str) -> RootKeyRefused:
    return RootKeyRefused(f"the key of AWS KMS cannot be used: {reason}")
