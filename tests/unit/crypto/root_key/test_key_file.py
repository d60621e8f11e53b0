# SPDX-License-Identifier: Apache-2.0
"""The key file is used when nobody else can read it, and refused with one sentence otherwise."""

import os
import stat
import struct
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key import catalogue, private_file
from mysafe.crypto.root_key.catalogue import load_provider
from mysafe.crypto.root_key.key_file import KeyFileProvider, find_key_file
from mysafe.crypto.root_key.provider import RootKeyRefused, new_root_key
from tests.unit.crypto.scene import flips

KEY = bytes(range(32))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    KeyFileProvider.create(tmp_path / "vault.key")
    return tmp_path / "vault.key"


def test_a_new_key_file_is_random_and_private(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        for name in ("one", "two"):
            KeyFileProvider.create(tmp_path / name)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o600
    assert len((tmp_path / "one").read_bytes()) == 32
    assert (tmp_path / "one").read_bytes() != (tmp_path / "two").read_bytes()


def test_a_wrapped_root_key_comes_back(path: Path) -> None:
    provider = KeyFileProvider(path)
    wrapped = provider.wrap(KEY, b"bound")
    assert (len(wrapped), wrapped[:4]) == (76, b"MR\x01\x01")
    assert KeyFileProvider(str(path)).unwrap(wrapped, b"bound") == KEY
    assert provider.wrap(KEY, b"bound") != wrapped
    assert provider.health() is None
    assert provider.name == "keyfile"


def test_every_flipped_bit_of_a_slot_is_detected(path: Path) -> None:
    provider = KeyFileProvider(path)
    wrapped = provider.wrap(KEY, b"bound")
    for altered in (*flips(wrapped), b"", wrapped[:-1], wrapped + b"\0"):
        with pytest.raises(SealBroken):
            provider.unwrap(altered, b"bound")


def test_a_slot_opens_with_its_own_key_file_and_parameters_only(path: Path) -> None:
    wrapped = KeyFileProvider(path).wrap(KEY, b"bound")
    with pytest.raises(SealBroken):
        KeyFileProvider(path).unwrap(wrapped, b"other")
    other = KeyFileProvider.create(path.with_name("other.key"))
    with pytest.raises(SealBroken):
        other.unwrap(wrapped, b"bound")


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_only_32_bytes_are_wrapped(length: int, path: Path) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        KeyFileProvider(path).wrap(bytes(length), b"")


def test_root_keys_are_fresh() -> None:
    assert len({new_root_key() for _ in range(100)}) == 100
    assert len(new_root_key()) == 32


def _link(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to(path.with_name("real"))


def _another_thing(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "No such file"),
    "readable by the group": (lambda path: path.chmod(0o640), "0640"),
    "readable by others": (lambda path: path.chmod(0o604), "0604"),
    "writable by the group": (lambda path: path.chmod(0o620), "0620"),
    "writable by others": (lambda path: path.chmod(0o602), "0602"),
    "executable by others": (lambda path: path.chmod(0o601), "0601"),
    "empty": (lambda path: path.write_bytes(b""), "32 bytes"),
    "short": (lambda path: path.write_bytes(bytes(31)), "32 bytes"),
    "long": (lambda path: path.write_bytes(bytes(33)), "32 bytes"),
    "a symbolic link": (_link, "symbolic link"),
    "a dangling link": (lambda path: _another_thing(path, lambda at: at.symlink_to("nowhere")), "symbolic link"),
    "a directory": (lambda path: _another_thing(path, Path.mkdir), "not a regular file"),
    "a pipe": (lambda path: _another_thing(path, os.mkfifo), "not a regular file"),
}


def check_refusal(path: Path, words: str) -> None:
    provider = KeyFileProvider(path)
    for use, content in ((provider.wrap, KEY), (provider.unwrap, b"MR\x01\x01" + bytes(72))):
        with pytest.raises(RootKeyRefused) as raised:
            use(content, b"")
        sentence = str(raised.value)
        assert provider.health() == sentence
        assert sentence.startswith(f"the key file {path} ")
        assert words in sentence
        assert "\n" not in sentence
        assert raised.value.__cause__ is None


@pytest.mark.parametrize(("spoil", "words"), REFUSED.values(), ids=REFUSED)
def test_an_unsafe_key_file_is_refused(spoil: Callable[[Path], object], words: str, path: Path) -> None:
    assert KeyFileProvider(path).health() is None
    spoil(path)
    check_refusal(path, words)


def test_a_key_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(path, 12_345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12_345)
    check_refusal(path, "belongs to another user")


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_key_file_may_be_read_only(mode: int, path: Path) -> None:
    path.chmod(mode)
    assert KeyFileProvider(path).health() is None


ME = os.geteuid()
OWNER, USER, GROUP, NAMED_GROUP, MASK, OTHERS = 1, 2, 4, 8, 16, 32
AS_SYSTEMD_SETS_IT = [(OWNER, 4, -1), (USER, 4, ME), (GROUP, 0, -1), (MASK, 4, -1), (OTHERS, 0, -1)]


def access_list(entries: list[tuple[int, int, int]]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)


def test_a_credential_that_systemd_opened_to_this_user_is_accepted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.chmod(0o440)
    check_refusal(path, "0440")
    monkeypatch.setattr(private_file, "_access_list", lambda descriptor: access_list(AS_SYSTEMD_SETS_IT))
    assert KeyFileProvider(path).health() is None
    path.chmod(0o444)
    check_refusal(path, "0444")


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [*AS_SYSTEMD_SETS_IT, (USER, 4, ME + 1)],
        [*AS_SYSTEMD_SETS_IT, (NAMED_GROUP, 4, 0)],
        [(OWNER, 4, -1), (GROUP, 4, -1), (MASK, 4, -1), (OTHERS, 0, -1)],
        [(OWNER, 4, -1), (GROUP, 0, -1), (OTHERS, 4, -1)],
    ],
    ids=["no list", "another user", "another group", "its group", "others"],
)
def test_an_access_list_that_lets_others_in_is_refused(
    entries: list[tuple[int, int, int]], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.chmod(0o440)
    given = access_list(entries) if entries else b""
    monkeypatch.setattr(private_file, "_access_list", lambda descriptor: given)
    check_refusal(path, "0440")
    monkeypatch.setattr(private_file, "_access_list", lambda descriptor: access_list(AS_SYSTEMD_SETS_IT)[:-1])
    check_refusal(path, "0440")


def test_an_existing_file_is_never_overwritten(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(RootKeyRefused, match="File exists"):
        KeyFileProvider.create(path)
    assert path.read_bytes() == before
    (path.parent / "link").symlink_to(path.parent / "nowhere")
    with pytest.raises(RootKeyRefused):
        KeyFileProvider.create(path.parent / "link")
    assert not (path.parent / "nowhere").exists()


def test_a_key_file_is_not_made_where_there_is_no_directory(tmp_path: Path) -> None:
    with pytest.raises(RootKeyRefused, match="No such file"):
        KeyFileProvider.create(tmp_path / "none" / "vault.key")


def test_a_full_disk_leaves_no_half_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RootKeyRefused, match="No space left"):
        KeyFileProvider.create(tmp_path / "vault.key")
    assert list(tmp_path.iterdir()) == []


def test_the_file_and_then_its_directory_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []

    def fsync(descriptor: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), os.fstat(descriptor).st_size))

    monkeypatch.setattr(os, "fsync", fsync)
    KeyFileProvider.create(tmp_path / "vault.key")
    assert [is_directory for is_directory, _ in synced] == [False, True]
    assert synced[0][1] == 32


def test_the_key_file_is_found_as_told_then_as_credential_then_by_default(tmp_path: Path) -> None:
    told, default, environ = tmp_path / "told", tmp_path / "default", {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert find_key_file(None, default, {}) == default
    assert find_key_file(None, default, {"CREDENTIALS_DIRECTORY": ""}) == default
    assert find_key_file(None, default, environ) == default
    (tmp_path / "mysafe-root-key").write_bytes(KEY)
    assert find_key_file(None, default, environ) == tmp_path / "mysafe-root-key"
    assert find_key_file(told, default, environ) == told


def test_the_built_in_provider_is_loaded_by_name(path: Path) -> None:
    provider = load_provider("keyfile", {"path": str(path)})
    assert provider.health() is None
    assert provider.unwrap(KeyFileProvider(path).wrap(KEY, b""), b"") == KEY


def test_an_unknown_provider_or_parameter_is_refused() -> None:
    with pytest.raises(RootKeyRefused, match="no installed packages"):
        load_provider("cloud", {})
    with pytest.raises(RootKeyRefused, match="does not take these parameters"):
        load_provider("keyfile", {"file": "/x"})


def test_an_installed_provider_is_loaded_but_cannot_take_the_name_of_the_built_in_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def installed(*, group: str, name: str) -> list[EntryPoint]:
        return [EntryPoint(name, "mysafe.crypto.root_key.key_file:KeyFileProvider", group)] * (
            2 if name == "twice" else 1
        )

    monkeypatch.setattr(catalogue, "entry_points", installed)
    assert load_provider("cloud", {"path": str(path)}).health() is None
    with pytest.raises(RootKeyRefused, match="2 installed packages"):
        load_provider("twice", {})
    monkeypatch.setattr(catalogue, "entry_points", None)
    assert load_provider("keyfile", {"path": str(path)}).health() is None
