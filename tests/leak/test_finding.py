# SPDX-License-Identifier: Apache-2.0
"""The control of the leak tests: what is planted is found, in every place and every encoding that is searched."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from tests.support.canaries import A_PART, Canaries, files_under, process_texts

pytestmark = pytest.mark.sqlite("it searches the files of the database")

ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "raw": lambda text: f"password={text}\n".encode(),
    "in capitals or not": lambda text: text.swapcase().encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64, one byte on": lambda text: base64.b64encode(b"x" + text.encode() + b"yy"),
    "base64, two bytes on": lambda text: base64.b64encode(b"xy" + text.encode() + b"z"),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(b"\xff\xfe" + text.encode()),
    "base64 in lower case": lambda text: base64.b64encode(b"a" + text.lower().encode()),
    "hexadecimal": lambda text: text.encode().hex().encode(),
    "hexadecimal capitals": lambda text: text.encode().hex().upper().encode(),
    "UTF-16": lambda text: b"\0" + text.encode("utf-16-le") + b"\0",
    "UTF-16, big end first": lambda text: text.encode("utf-16-be"),
    "JSON": lambda text: json.dumps({"a": [f'"é\\{text}\U0001f511']}).encode(),
    "JSON, all escaped": lambda text: "".join(f"\\u{ord(letter):04X}" for letter in text).encode(),
    "percent signs": lambda text: "".join(f"%{ord(letter):02X}" for letter in text).encode(),
    "repr": lambda text: repr({"value": text.encode() + b"\xff"}).encode(),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_canary_is_found_in_every_encoding(encode: Callable[[str], bytes]) -> None:
    canaries = Canaries()
    text = canaries.plant("planted")
    canaries.plant("not there")
    canaries.expect_none_of("issued", "mst_4fGh0123456789")
    assert canaries.found_in(os.urandom(100_000) + encode(text) + os.urandom(1_000)) == {"planted"}
    assert canaries.found_in(b"..." + encode("mst_4fGh0123456789")) == {"issued"}


def test_a_canary_that_was_cut_is_found() -> None:
    canaries = Canaries()
    text = canaries.plant("planted")
    assert canaries.found_in(text[:-3].encode()) == {A_PART}


def test_nothing_is_found_where_nothing_is() -> None:
    canaries = Canaries()
    canaries.plant("planted")
    canaries.expect_none_of("issued", "mst_4fGh0123456789")
    assert canaries.found_in(os.urandom(1_000_000)) == set()


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_canary_is_found_in_every_file(encode: Callable[[str], bytes], tmp_path: Path) -> None:
    canaries = Canaries()
    planted = encode(canaries.plant("planted"))
    (tmp_path / "data").mkdir()
    (tmp_path / "tmp" / "deep").mkdir(parents=True)
    for name in ("server.log", "data.key", "tmp/deep/.hidden"):
        (tmp_path / name).write_bytes(b"x" * 5000 + planted)
    with closing(apsw.Connection(str(tmp_path / "data" / "vault.db"))) as connection:
        list(connection.execute("PRAGMA journal_mode = WAL; CREATE TABLE t (text, blob)"))
        list(connection.execute("INSERT INTO t VALUES (?, ?)", ("kept", planted)))
        assert found(canaries, tmp_path) == {"server.log", "data.key", "tmp/deep/.hidden", "data/vault.db-wal"}
        list(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
        assert "data/vault.db" in found(canaries, tmp_path)


def found(canaries: Canaries, root: Path) -> set[str]:
    return {place for place, data in files_under(root).items() if canaries.found_in(data)}


HOLDER = """
import os, sys, tempfile
with tempfile.TemporaryFile() as deleted:
    deleted.write(os.environ["PLANTED"][::-1].encode())
    deleted.flush()
    print(flush=True)
    input()
"""


def test_a_canary_is_found_at_a_process_and_in_a_file_it_has_deleted() -> None:
    canaries = Canaries()
    argument, value, kept = canaries.plant("argument"), canaries.plant("value"), canaries.plant("kept")
    command = [sys.executable, "-c", HOLDER, argument]
    environment = {**os.environ, "PLANTED": kept[::-1], "OTHER": value}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        texts = process_texts(process.pid)
        process.communicate(b"\n")
    found = {name: canaries.found_in(text) for name, text in texts.items()}
    assert (found.pop("cmdline"), found.pop("environ")) == ({"argument"}, {"value"})
    assert {name for names in found.values() for name in names} == {"kept"}
