# SPDX-License-Identifier: Apache-2.0
"""Our own formats are the same as in the frozen files: made anew, opened by us, opened by an independent reader."""

import base64
import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from mysafe.crypto.keyring import Keyring
from mysafe.crypto.records import RecordAddress, RecordCipher
from mysafe.crypto.root_key.key_file import KeyFileProvider
from mysafe.crypto.root_key.passphrase import PassphraseProvider, RecoveryProvider
from mysafe.crypto.root_key.shares import SharesProvider
from mysafe.crypto.stream import HEAD_BYTES, StreamOpener, blob_context, sealed_bytes
from mysafe.domain.secret_text import SecretText
from tests.vectors import generate, independent


def frozen(name: str) -> Any:
    return json.loads((generate.FOLDER / name).read_text(encoding="utf-8"))


RECORD, KEYRING = frozen("record_v1.json"), frozen("keyring_v1.json")
FILE = frozen("file_v1.json")
SLOT, HASHES = frozen("slot_v1.json"), frozen("keyed_hashes_v1.json")
PASSPHRASES, SHARES = frozen("slot_passphrase_v1.json"), frozen("slot_shamir_v1.json")
DEVICE = frozen("slot_device_v1.json")
VAULT_ID = bytes.fromhex(RECORD["vault_id"])
KEKS = {int(number): bytes.fromhex(kek) for number, kek in RECORD["keks"].items()}


@pytest.mark.parametrize("name", generate.FILES)
def test_made_again_the_file_is_the_same(name: str) -> None:
    assert generate.text_of(name) == (generate.FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", generate.FILES)
def test_with_other_randomness_the_file_is_another(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate.Stream, "__call__", lambda self, count: bytes([7]) * count)
    assert generate.text_of(name) != (generate.FOLDER / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(generate.FOLDER.glob("*.json")), ids=lambda path: path.name)
def test_every_file_names_its_provenance(path: Path) -> None:
    assert len(frozen(path.name)["provenance"]) > 20
    assert f"`{path.name}`" in (generate.FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("record", RECORD["records"])
def test_a_frozen_record_opens(record: Any) -> None:
    cipher = RecordCipher(VAULT_ID, generate.keyring())
    key = cipher.unwrap(RecordAddress(**record["address"]), bytes.fromhex(record["sealed"]["dek"]))
    assert key.open_meta(bytes.fromhex(record["sealed"]["meta"])).hex() == record["plain"]["meta"]
    assert (record["sealed"]["secret"] is None) == (record["plain"]["secret"] is None)
    if record["sealed"]["secret"] is not None:
        assert key.open_secret(bytes.fromhex(record["sealed"]["secret"])).hex() == record["plain"]["secret"]


@pytest.mark.parametrize("record", RECORD["records"])
def test_an_independent_reader_opens_a_frozen_record(record: Any) -> None:
    dek = independent.dek_of(KEKS, VAULT_ID, record["address"], bytes.fromhex(record["sealed"]["dek"]))
    for part in ("meta", "secret"):
        if (sealed := record["sealed"][part]) is not None:
            padded = independent.open_part(dek, VAULT_ID, record["address"], part, bytes.fromhex(sealed))
            assert independent.unpadded(padded).hex() == record["plain"][part]
            assert part == "secret" or len(padded) % 128 == 0
            assert len(padded) >= 128


@pytest.mark.parametrize("entry", RECORD["audit_details"])
def test_frozen_audit_details_open(entry: Any) -> None:
    sealed, bound = bytes.fromhex(entry["sealed"]), bytes.fromhex(entry["bound"])
    cipher = RecordCipher(VAULT_ID, generate.keyring())
    assert cipher.open_details(sealed, bound).hex() == entry["plain"]
    theirs = independent.open_xaes(
        bytes.fromhex(RECORD["audit_key"]), sealed, independent.fields("audit", VAULT_ID, bound)
    )
    assert independent.unpadded(theirs).hex() == entry["plain"]


@pytest.mark.parametrize("entry", KEYRING["keyrings"])
def test_a_frozen_keyring_opens(entry: Any) -> None:
    root_key, sealed = bytes.fromhex(KEYRING["root_key"]), bytes.fromhex(entry["sealed"])
    opened = Keyring.open(root_key, VAULT_ID, entry["version"], sealed)
    assert [[epoch.number, epoch.state.name, epoch.kek.hex()] for epoch in opened._epochs] == entry["epochs"]
    assert [key.hex() for key in opened._single_keys] == entry["single_keys"]
    assert opened.index_key.hex() == entry["single_keys"][0]
    assert opened.verifier_key.hex() == entry["single_keys"][1]
    assert opened.csrf_key.hex() == entry["single_keys"][3]
    assert opened.checkpoint_key.private_bytes_raw().hex() == entry["single_keys"][4]
    theirs = independent.open_keyring(root_key, VAULT_ID, entry["version"], sealed)
    assert theirs == (entry["epochs"], entry["single_keys"])


def test_a_frozen_slot_opens(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_bytes(bytes.fromhex(SLOT["key_file"]))
    sealed, bound = bytes.fromhex(SLOT["sealed"]), bytes.fromhex(SLOT["bound"])
    assert KeyFileProvider(path).unwrap(sealed, bound).hex() == SLOT["root_key"]
    assert sealed[:4] == b"MR\x01\x01"
    assert independent.open_xaes(path.read_bytes(), sealed[4:], bound).hex() == SLOT["root_key"]


@pytest.mark.parametrize("entry", PASSPHRASES["slots"], ids=lambda entry: entry["provider"])
def test_a_frozen_slot_of_a_passphrase_opens(entry: Any) -> None:
    sealed, bound = bytes.fromhex(entry["sealed"]), bytes.fromhex(PASSPHRASES["bound"])
    is_code = entry["provider"] == "recovery"
    kind = RecoveryProvider if is_code else PassphraseProvider
    assert kind(lambda what: SecretText(entry["text"])).unwrap(sealed, bound).hex() == PASSPHRASES["root_key"]
    text = entry["text"]
    known = independent.from_paper(text, 20, 5) if is_code else unicodedata.normalize("NFC", text).encode()
    assert independent.open_passphrase_slot(known, sealed, bound).hex() == PASSPHRASES["root_key"]


@pytest.mark.parametrize("chosen", [(0, 1, 2), (4, 2, 0), (3, 4, 1)], ids=str)
def test_a_frozen_slot_of_shares_opens(chosen: tuple[int, ...]) -> None:
    sealed, bound = bytes.fromhex(SHARES["sealed"]), bytes.fromhex(SHARES["bound"])
    shares = [SHARES["shares"][number] for number in chosen]
    given = iter(shares)
    assert SharesProvider(lambda what: SecretText(next(given))).unwrap(sealed, bound).hex() == SHARES["root_key"]
    assert independent.open_shamir_slot(shares, sealed, bound).hex() == SHARES["root_key"]


def test_a_frozen_slot_of_a_device_opens() -> None:
    sealed, bound = bytes.fromhex(DEVICE["sealed"]), bytes.fromhex(DEVICE["bound"])
    slot_key = sealed[6:-72].removeprefix(b"turned:")[::-1]
    assert independent.open_device_slot(DEVICE["provider"], slot_key, sealed, bound).hex() == DEVICE["root_key"]


def test_frozen_keyed_hashes_are_found_again() -> None:
    index_key, verifier_key = bytes.fromhex(HASHES["index_key"]), bytes.fromhex(HASHES["verifier_key"])
    for values, index in HASHES["indexes"]:
        assert independent.keyed_hash(index_key, values)[:16].hex() == index
    for values, verifier in HASHES["verifiers"]:
        assert independent.keyed_hash(verifier_key, values).hex() == verifier
    assert len(HASHES["indexes"]) == 7
    assert len(HASHES["verifiers"]) == 2


@pytest.mark.parametrize("blob", FILE["blobs"], ids=lambda blob: str(blob["size"]))
def test_a_frozen_content_of_a_file_opens(blob: Any) -> None:
    sealed, key, size = base64.b64decode(blob["sealed"]), bytes.fromhex(blob["key"]), blob["size"]
    assert len(sealed) == sealed_bytes(size)
    opener = StreamOpener(key, blob_context(VAULT_ID, blob["blob_id"]), sealed[:HEAD_BYTES], size)
    padded = bytes(opener.open(0, sealed[HEAD_BYTES:]))
    assert padded[:size] == generate.content(size)
    assert independent.open_blob(key, VAULT_ID, blob["blob_id"], sealed) == padded
    assert independent.unpadded(padded) == generate.content(size)
