# SPDX-License-Identifier: Apache-2.0
"""Checkpoints are C2SP signed notes: published examples, and nothing that is not one is taken for one."""

from base64 import b64decode

import pytest

from mysafe.audit.checkpoint import Checkpoint, Note, key_hash, origin_of, parse_note, parse_notes, verifier_key
from mysafe.crypto.signatures import is_signed

# The example of the package golang.org/x/mod/sumdb/note, and the key of the Go checksum database.
EXAMPLE_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
EXAMPLE_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
EXAMPLE_SEALED = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
GO_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"

NOTE = Note(Checkpoint("mysafe/00", 7, bytes(range(32))), "mysafe/00", b"\1\2\3\4", bytes(64))


@pytest.mark.parametrize("key", [EXAMPLE_KEY, GO_KEY])
def test_a_key_has_the_published_hash(key: str) -> None:
    name, hashed, public = key.split("+", 2)
    raw = b64decode(public)
    assert raw[0] == 1
    assert key_hash(name, raw[1:]).hex() == hashed
    assert verifier_key(name, raw[1:]) == key


def test_the_published_signature_holds_for_its_text_and_for_no_other() -> None:
    public, sealed = b64decode(EXAMPLE_KEY.split("+", 2)[2])[1:], b64decode(EXAMPLE_SEALED)
    assert is_signed(public, EXAMPLE_TEXT.encode(), sealed[4:])
    assert not is_signed(public, EXAMPLE_TEXT.rstrip("\n").encode(), sealed[4:])


def test_a_note_is_drawn_as_the_specification_draws_it() -> None:
    assert NOTE.checkpoint.text() == "mysafe/00\n7\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    lines = NOTE.encode().split("\n")
    assert lines[3] == ""
    assert lines[4].startswith("— mysafe/00 AQIDBAAA")
    assert lines[5:] == [""]
    assert parse_note(NOTE.encode()) == NOTE
    assert origin_of(bytes(16)) == "mysafe/" + "0" * 32


def test_notes_are_found_one_after_another_and_after_a_torn_one() -> None:
    text = NOTE.encode()
    assert parse_notes("") == ([], 0, 0, False)
    assert parse_notes(f"{text}\n{text}\n") == ([NOTE, NOTE], 0, 0, False)
    found = parse_notes(f"{text}\n{text[:20]}\n{text}\n")
    assert found.notes == [NOTE, NOTE]
    assert found.stray_lines == 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n7\n", "\n07\n"),
        ("\n7\n", "\n-7\n"),
        ("\n7\n", "\n7 \n"),
        ("\n7\n", "\n1" + 18 * "0" + "\n"),
        ("Hh8=", "Hh8"),
        ("— ", "- "),
        ("\n\n", "\n"),
        ("AQID", "!QID"),
        ("mysafe/00\n", "mysafe 00\n"),
    ],
)
def test_what_is_no_note_is_not_taken_for_one(old: str, new: str) -> None:
    text = NOTE.encode()
    assert old in text
    assert parse_note(text.replace(old, new, 1)) is None
