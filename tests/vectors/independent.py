# SPDX-License-Identifier: Apache-2.0
"""Open our formats by their description in docs/formats. Shares no code with the product, on purpose.

XAES keys are derived with the general KBKDF-CMAC of the cryptography package, padding is cut with a regular
expression, numbers are packed by hand.
"""

import hashlib
import hmac
import re

from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFCMAC, CounterLocation, Mode

PADDED = re.compile(rb"(.*)\x80\x00*", re.DOTALL)


def fields(*values: bytes | str | int) -> bytes:
    """Encode a list of fields."""
    encoded = b""
    for value in values:
        content = value.encode() if isinstance(value, str) else value
        content = content.to_bytes(8, "big") if isinstance(content, int) else content
        encoded += len(content).to_bytes(4, "big") + content
    return encoded


def xaes_key(key: bytes, nonce: bytes) -> bytes:
    """Return the AES-256-GCM key of an XAES-256-GCM nonce."""
    return KBKDFCMAC(
        algorithm=AES,
        mode=Mode.CounterMode,
        length=32,
        rlen=2,
        llen=None,
        location=CounterLocation.BeforeFixed,
        label=None,
        context=None,
        fixed=b"X\x00" + nonce[:12],
    ).derive(key)


def open_xaes(key: bytes, blob: bytes, bound: bytes) -> bytes:
    """Open nonce 24 | ciphertext | tag."""
    return AESGCM(xaes_key(key, blob[:24])).decrypt(blob[12:24], blob[24:], bound)


def open_gcm(key: bytes, blob: bytes, bound: bytes) -> bytes:
    """Open nonce 12 | ciphertext | tag."""
    return AESGCM(key).decrypt(blob[:12], blob[12:], bound)


def open_blob(key: bytes, vault_id: bytes, blob_id: str, blob: bytes) -> bytes:
    """Open "MS" | 1 | 3 | zeros 4 | salt 24 | commitment 32 | chunks, and return the padded content.

    The recipe of the cryptography package does it: another implementation of the same specification.
    """
    assert blob[:8] == b"MS\x01\x03\0\0\0\0"
    opener = Cobblestone256Decryptor(key, fields("mysafe/v1", vault_id, "blobs", blob_id, "file", 3))
    return opener.update(blob[8:]) + opener.finalize()


def unpadded(padded: bytes) -> bytes:
    """Cut the padding off."""
    match = PADDED.fullmatch(padded)
    assert match is not None
    return match[1]


def dek_of(keks: dict[int, bytes], vault_id: bytes, address: dict[str, object], dek: bytes) -> bytes:
    """Return the data key of a record."""
    assert len(dek) == 80
    assert dek[:4] == b"MS\x01\x01"
    epoch = int.from_bytes(dek[4:8], "big")
    table, kind, record_id, _, version = address.values()
    bound = fields("dek", vault_id, str(table), str(kind), int(str(record_id)), int(str(version)), 1, epoch)
    return open_xaes(keks[epoch], dek[8:], bound)


def open_part(dek: bytes, vault_id: bytes, address: dict[str, object], part: str, blob: bytes) -> bytes:
    """Return the padded plaintext of a part of a record."""
    table, kind, *numbers = address.values()
    numbers_ = [int(str(number)) for number in numbers]
    return open_gcm(dek, blob, fields("mysafe/v1", vault_id, str(table), str(kind), *numbers_, part, 1))


def open_keyring(root_key: bytes, vault_id: bytes, version: int, blob: bytes) -> tuple[list[list[object]], list[str]]:
    """Return the epochs and the single keys of a keyring, as the vector file writes them."""
    assert blob[:4] == b"MK\x01\x01"
    message = fields("keyring commitment", vault_id, version, blob[:4], blob[36:])
    assert hmac.new(root_key, message, hashlib.sha256).digest() == blob[4:36]
    plain = open_xaes(root_key, blob[36:], fields("keyring", vault_id, version))
    count = int.from_bytes(plain[:2], "big")
    records = [plain[2 + 37 * at : 2 + 37 * (at + 1)] for at in range(count)]
    states = {1: "STAGED", 2: "ACTIVE", 3: "DECRYPT_ONLY", 4: "DESTROYED"}
    epochs: list[list[object]] = [
        [int.from_bytes(record[:4], "big"), states[record[4]], record[5:].hex()] for record in records
    ]
    rest = plain[2 + 37 * count :]
    assert len(rest) == 5 * 32
    return epochs, [rest[32 * at : 32 * (at + 1)].hex() for at in range(5)]


DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def from_paper(text: str, size: int, check: int) -> bytes:
    """Return the content of a text for paper, after its check."""
    bits = "".join(f"{DIGITS.index(digit):05b}" for digit in text if digit != "-")
    whole = int(bits, 2).to_bytes(size + check, "big")
    assert hashlib.sha256(whole[:size]).digest()[:check] == whole[size:]
    return whole[:size]


def open_passphrase_slot(text: bytes, slot: bytes, bound: bytes) -> bytes:
    """Return the root key of a passphrase slot; the text is normalised already."""
    assert slot[:4] == b"MR\x01\x02"
    memory, passes, lanes = (int.from_bytes(slot[at : at + 4], "big") for at in (4, 8, 12))
    key = Argon2id(salt=slot[16:32], length=32, iterations=passes, lanes=lanes, memory_cost=memory).derive(text)
    return open_xaes(key, slot[32:], fields("passphrase slot", bound, slot[:32]))


def field_product(left: int, right: int) -> int:
    """Multiply in GF(256) by way of logarithms to the base 3."""
    return 0 if not left or not right else POWERS[(POWERS.index(left) + POWERS.index(right)) % 255]


def _powers_of_three() -> list[int]:
    found = [1]
    while len(found) < 255:
        doubled = found[-1] << 1
        found.append((doubled ^ (0x11B if doubled > 255 else 0)) ^ found[-1])
    return found


POWERS = _powers_of_three()


def open_shamir_slot(shares: list[str], slot: bytes, bound: bytes) -> bytes:
    """Return the root key of a slot of shares, by Lagrange's formula."""
    assert slot[:4] == b"MR\x01\x03"
    raw = [from_paper(share, 38, 4) for share in shares]
    assert all(share[:4] == slot[6:10] and share[4] == slot[4] for share in raw)
    for share in raw:
        assert hashlib.sha256(fields("mysafe share", share)).digest() == slot[10 + 32 * (share[5] - 1) :][:32]
    key = bytearray(32)
    for share in raw:
        weight = 1
        for other in raw:
            if other is not share:
                below = POWERS[(255 - POWERS.index(other[5] ^ share[5])) % 255]
                weight = field_product(weight, field_product(other[5], below))
        key = bytearray(one ^ field_product(weight, value) for one, value in zip(key, share[6:], strict=True))
    head = slot[:-72]
    return open_xaes(bytes(key), slot[-72:], fields("shamir slot", bound, head))


def open_device_slot(name: str, slot_key: bytes, slot: bytes, bound: bytes) -> bytes:
    """Return the root key of a device's slot, after the device gave the slot key."""
    assert slot[:4] == b"MR\x01\x04"
    assert int.from_bytes(slot[4:6], "big") == len(slot) - 6 - 72
    return open_xaes(slot_key, slot[-72:], fields("device slot", name, bound, slot[:-72]))


def keyed_hash(key: bytes, values: list[str | int]) -> bytes:
    """Return the keyed hash of a list of fields."""
    return hmac.new(key, fields(*values), hashlib.sha256).digest()
