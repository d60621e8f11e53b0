# SPDX-License-Identifier: Apache-2.0
"""Make the frozen vectors of our own formats: python -m tests.vectors.generate (from the root of the checkout).

Randomness is SHAKE-128 of a label, so every run makes the same bytes. Files of a released format are never made anew:
a new format gets new files beside them. The files of other people's algorithms are copied from their specifications
by hand and are not made here.
"""

import base64
import json
import tempfile
from collections.abc import Callable
from functools import partial
from hashlib import shake_128
from pathlib import Path

from mysafe.crypto.blind_index import BlindIndex
from mysafe.crypto.credentials import new_access_token
from mysafe.crypto.keyring import EpochState, Keyring, _Epoch
from mysafe.crypto.records import RecordAddress, RecordCipher
from mysafe.crypto.root_key.envelope import EnvelopeProvider
from mysafe.crypto.root_key.key_file import KeyFileProvider
from mysafe.crypto.root_key.passphrase import LEAST, PassphraseProvider, RecoveryProvider, new_recovery_code
from mysafe.crypto.root_key.shares import SharesProvider, SharesWanted
from mysafe.crypto.stream import StreamSealer, blob_context, room_for
from mysafe.crypto.verifiers import Verifiers
from mysafe.domain.secret_text import SecretText

FOLDER = Path(__file__).parent
PROVENANCE = (
    "Made by tests/vectors/generate.py with injected randomness (SHAKE-128 of a label). Opened again by "
    "tests/vectors/independent.py, which shares no code with the product and derives XAES keys with the KBKDF-CMAC "
    "of the cryptography package."
)
VAULT_ID = bytes(range(16))

Json = dict[str, object]


class Stream:
    """Repeatable randomness: SHAKE-128 of a label, read piece by piece."""

    def __init__(self, label: str) -> None:
        self._label = label.encode()
        self._position = 0

    def __call__(self, count: int) -> bytes:
        start, self._position = self._position, self._position + count
        return shake_128(self._label).digest(self._position)[start:]


RECORDS: tuple[tuple[RecordAddress, bytes, bytes | None], ...] = (
    (RecordAddress("items", "password", 1, 1, 1), b"", b""),
    (RecordAddress("items", "password", 12, 7, 3), "name, Zoë, \U0001f511".encode(), b"secret\x80\x00\x00"),
    (RecordAddress("items", "password", 2**63 - 1, 2**63 - 1, 2**32), bytes(127), bytes(128)),
    (RecordAddress("tokens", "tokens", 5, 2, 1), b"m" * 128, None),
    (RecordAddress("users", "users", 9, 0, 2), b"m" * 300, b"s" * 5000),
)


def keyring() -> Keyring:
    """Return a keyring with one epoch in each state; number 7 is active."""
    draw = Stream("keyring")
    epochs = [
        _Epoch(1, EpochState.DESTROYED, bytes(32)),
        _Epoch(2, EpochState.DECRYPT_ONLY, draw(32)),
        _Epoch(7, EpochState.ACTIVE, draw(32)),
        _Epoch(2**32 - 1, EpochState.STAGED, draw(32)),
    ]
    return Keyring(4, epochs, [draw(32) for _ in range(5)])


def record_v1() -> Json:
    """Return sealed records and audit details with the keys that open them."""
    keys = keyring()
    cipher = RecordCipher(VAULT_ID, keys, random_bytes=Stream("records"))
    records = []
    for address, meta, secret in RECORDS:
        sealed = cipher.seal(address, meta, secret)
        plain = {"meta": meta.hex(), "secret": None if secret is None else secret.hex()}
        parts = {name: None if part is None else part.hex() for name, part in sealed._asdict().items()}
        records.append({"address": address._asdict(), "plain": plain, "sealed": parts})
    details = [
        {"bound": bound.hex(), "plain": plain.hex(), "sealed": cipher.seal_details(plain, bound).hex()}
        for bound, plain in ((b"", b""), (b"the facts of an entry", b"its details"))
    ]
    return {
        "vault_id": VAULT_ID.hex(),
        "keks": {str(epoch.number): epoch.kek.hex() for epoch in keys._epochs if any(epoch.kek)},
        "audit_key": keys._single_keys[2].hex(),
        "records": records,
        "audit_details": details,
    }


def keyring_v1() -> Json:
    """Return sealed keyrings with what is in them."""
    root_key = Stream("root key")(32)
    made = [Keyring.create(Stream("new keyring")), keyring()]
    return {
        "vault_id": VAULT_ID.hex(),
        "root_key": root_key.hex(),
        "keyrings": [
            {
                "version": one.version,
                "epochs": [[epoch.number, epoch.state.name, epoch.kek.hex()] for epoch in one._epochs],
                "single_keys": [key.hex() for key in one._single_keys],
                "sealed": one.seal(root_key, VAULT_ID, random_bytes=Stream(f"keyring nonce {number}")).hex(),
            }
            for number, one in enumerate(made)
        ],
    }


def slot_v1() -> Json:
    """Return a root key wrapped under a key file."""
    key_file, root_key, bound = Stream("key file")(32), Stream("root key")(32), b"what the slot is bound to"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "key")
        path.touch(mode=0o600)
        path.write_bytes(key_file)
        sealed = KeyFileProvider(path, random_bytes=Stream("slot nonce")).wrap(root_key, bound)
    return {"key_file": key_file.hex(), "bound": bound.hex(), "root_key": root_key.hex(), "sealed": sealed.hex()}


def slot_passphrase_v1() -> Json:
    """Return a root key wrapped under a passphrase, and under a recovery code."""
    root_key, bound = Stream("root key")(32), b"what the slot is bound to"
    code = new_recovery_code(Stream("recovery code")).reveal()
    slots = []
    for kind, text in ((PassphraseProvider, "Zoe\u0308, a passphrase of some length"), (RecoveryProvider, code)):
        ask = partial(_typed, SecretText(text))
        provider = kind(ask, cost=LEAST, random_bytes=Stream(f"{kind.name} slot"))
        slots.append({"provider": kind.name, "text": text, "sealed": provider.wrap(root_key, bound).hex()})
    return {"bound": bound.hex(), "root_key": root_key.hex(), "slots": slots}


def _typed(secret: SecretText, what: str) -> SecretText:
    return secret


def slot_shamir_v1() -> Json:
    """Return a root key wrapped under shares: three of five."""
    root_key, bound = Stream("root key")(32), b"what the slot is bound to"
    provider = SharesProvider(lambda what: SecretText(""), SharesWanted(3, 5), random_bytes=Stream("shamir slot"))
    sealed = provider.wrap(root_key, bound)
    shares = [share.reveal() for share in provider.made]
    return {"bound": bound.hex(), "root_key": root_key.hex(), "shares": shares, "sealed": sealed.hex()}


def slot_device_v1() -> Json:
    """Return a root key wrapped under a slot key that a device encrypted; this device turns bytes around."""

    class Turning:
        name = "turning"

        def encrypt(self, plain: bytes) -> bytes:
            return b"turned:" + plain[::-1]

        def decrypt(self, encrypted: bytes) -> bytes:
            return encrypted.removeprefix(b"turned:")[::-1]

    root_key, bound = Stream("root key")(32), b"what the slot is bound to"
    sealed = EnvelopeProvider(Turning(), random_bytes=Stream("device slot")).wrap(root_key, bound)
    return {"provider": "turning", "bound": bound.hex(), "root_key": root_key.hex(), "sealed": sealed.hex()}


def keyed_hashes_v1() -> Json:
    """Return blind indexes and verifiers of some texts, and an access token of known randomness."""
    index_key, verifier_key, random = Stream("index key")(32), Stream("verifier key")(32), Stream("token")(32)
    index, verifiers = BlindIndex(index_key), Verifiers(verifier_key)
    token = new_access_token(Stream("token")).reveal()
    return {
        "index_key": index_key.hex(),
        "verifier_key": verifier_key.hex(),
        "token_random": random.hex(),
        "token": token,
        "indexes": [
            [["user", "zoë strasse"], index.user_name("ZOE\u0308 Straße").hex()],
            [["group", "the team"], index.group_name("The Team").hex()],
            [["private_group", 7, "the team"], index.private_group_name(7, "The Team").hex()],
            [["client", "0123ABC"], index.client_id("0123ABC").hex()],
            [["token", token], index.token(token).hex()],
            [["transfer", 3], index.transfer(3).hex()],
            [["ident", 7, "Zoë-1"], index.identifier_code(7, "Zoe\u0308-1").hex()],
        ],
        "verifiers": [
            [["token", token], verifiers.of_token(token).hex()],
            [["client", "0123abc", "a secret"], verifiers.of_client_secret("0123abc", "a secret").hex()],
        ],
    }


CONTENTS = (0, 5, 127, 128, 16_000, 16_384, 40_000)
"""Sizes of contents: padded to 128, one more step, the last size below and the first above one chunk, three chunks."""


def content(size: int) -> bytes:
    """Return a content of this many bytes."""
    return bytes(number * number % 251 for number in range(size))


def file_v1() -> Json:
    """Return contents of files as they are stored, with the keys that open them."""
    blobs = []
    for size in CONTENTS:
        key, blob_id = Stream(f"blob key {size}")(32), Stream(f"blob id {size}")(16).hex()
        sealer = StreamSealer(key, blob_context(VAULT_ID, blob_id), random_bytes=Stream(f"salt {size}"))
        out = memoryview(bytearray(room_for(size)))
        sealed = sealer.head + bytes(out[: sealer.update(content(size), out)]) + b"".join(sealer.finish())
        text = base64.b64encode(sealed).decode("ascii")
        blobs.append({"blob_id": blob_id, "key": key.hex(), "size": size, "sealed": text})
    return {"vault_id": VAULT_ID.hex(), "content": "byte n is n * n mod 251", "blobs": blobs}


FILES: dict[str, Callable[[], Json]] = {
    "record_v1.json": record_v1,
    "keyring_v1.json": keyring_v1,
    "slot_v1.json": slot_v1,
    "slot_passphrase_v1.json": slot_passphrase_v1,
    "slot_shamir_v1.json": slot_shamir_v1,
    "slot_device_v1.json": slot_device_v1,
    "keyed_hashes_v1.json": keyed_hashes_v1,
    "file_v1.json": file_v1,
}


def text_of(name: str) -> str:
    """Return the text of a vector file."""
    return json.dumps({"provenance": PROVENANCE, **FILES[name]()}, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for file_name in FILES:
        (FOLDER / file_name).write_text(text_of(file_name), encoding="utf-8")
