# SPDX-License-Identifier: Apache-2.0
"""A server of people's keys, as processes: sealed at the start, open after what is typed, sealed again on demand."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.support.process import Installation

PASSPHRASE = "correct horse battery staple"
ITEM = {"name": "n", "username": "u", "password": "p"}


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[tuple[Installation, list[str]]]:
    """A vault that a key file and two of three shares open; it is served with the shares."""
    installation = Installation(tmp_path)
    installation.command("keys", "add-slot", "--provider", "shamir", "--shares", "2/3", "--kit", str(tmp_path / "kit"))
    kit = (tmp_path / "kit").read_text(encoding="utf-8").splitlines()
    assert (tmp_path / "kit").stat().st_mode & 0o777 == 0o600
    shares = [line.strip() for line in kit if line.startswith("    ") and "mysafe" not in line]
    assert len(shares) == 3
    installation.environment["MYSAFE_ROOT_PROVIDER"] = "shamir"
    yield installation, shares
    installation.close()


def raw(installation: Installation, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", installation.port, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


EVERYWHERE = (
    ("GET", "/api/mysafe/password"), ("GET", "/api/mysafe/password/1"), ("POST", "/api/mysafe/note"),
    ("POST", "/api/oauth2/token"), ("GET", "/iso/mysafe/password"), ("GET", "/api/manage/me"), ("GET", "/nothing"),
    ("POST", "/health/live"), ("POST", "/unseal"), ("POST", "/api/unseal"), ("GET", "/api/openapi.json"),
)  # fmt: skip


def assert_sealed(installation: Installation) -> None:
    assert raw(installation, "GET", "/health/live")[::2] == (200, b'{"status": "ok"}')
    assert raw(installation, "GET", "/health/ready")[::2] == (503, b'{"status": "sealed"}')
    for method, path in EVERYWHERE:
        status, headers, body = raw(installation, method, path)
        assert (status, headers["retry-after"]) == (503, "1"), path
        assert "server" not in headers
        assert json.loads(body)


def test_shares_open_a_sealed_server_and_a_command_seals_it_again(shared: tuple[Installation, list[str]]) -> None:
    installation, shares = shared
    installation.start()
    assert_sealed(installation)
    assert installation.attempt("unseal", stdin=f"{shares[0]}\n") == (0, "the vault is sealed: 1 of 2 shares\n", "")
    status, out, err = installation.attempt("unseal", stdin=f"{shares[0]}\nnonsense\n")
    assert (status, out.count("1 of 2 shares")) == (1, 2)
    assert "share 1 was given before" in err
    assert "not copied as it is printed" in err
    assert_sealed(installation)
    assert installation.command("unseal", stdin=f"{shares[2].lower()}\n") == "the vault is open\n"
    assert raw(installation, "GET", "/health/ready")[0] == 200
    assert raw(installation, "GET", "/api/mysafe/password")[0] == 401

    installation.environment["MYSAFE_ROOT_PROVIDER"] = "keyfile"
    installation.command("user", "add", "ana")
    token = installation.token(installation.new_key("ana"))
    assert installation.call("POST", "/api/mysafe/password", ITEM, token)[0] == 201
    entries = [json.loads(line) for line in installation.command("audit", "tail", "--json").splitlines()]
    unsealing = [(entry["result"], entry["reason"]) for entry in entries if entry["action"] == "vault.unseal"]
    assert [result for result, _ in unsealing] == ["denied", "denied", "allowed"]
    assert "given before" in unsealing[0][1]

    installation.command("seal")
    assert_sealed(installation)
    assert installation.command("seal") == "the vault is sealed: 0 of 2 shares\n"
    installation.command("unseal", stdin=f"{shares[1]}\n{shares[2]}\n")
    assert installation.call("GET", "/api/mysafe/password/1", None, token)[0] == 200
    assert installation.stop() == 0
    log = installation.log.read_text(encoding="utf-8")
    assert not any(share in log for share in shares)
    assert not (installation.data / "control.sock").exists()


def test_a_passphrase_opens_a_vault_made_with_it(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.touch(mode=0o600)
    file.write_text(PASSPHRASE + "\n", encoding="utf-8")
    with_file = {"MYSAFE_ROOT_PROVIDER": "passphrase", "MYSAFE_PASSPHRASE_FILE": str(file)}
    installation = Installation(tmp_path, environment=with_file)
    try:
        assert not (tmp_path / "data.key").exists()
        installation.command("user", "add", "ana")
        del installation.environment["MYSAFE_PASSPHRASE_FILE"]
        status, _, err = installation.attempt("user", "add", "bob")
        assert (status, err.count("\n")) == (1, 1)
        installation.start()
        assert_sealed(installation)
        status, _, err = installation.attempt("unseal", stdin="another passphrase\n")
        assert status == 1
        assert "wrong passphrase" in err
        assert installation.command("unseal", stdin=f"{PASSPHRASE}\n") == "the vault is open\n"
        assert installation.command("unseal") == "the vault is open\n"
        installation.stop()
        installation.environment["MYSAFE_PASSPHRASE_FILE"] = str(file)
        installation.start()
        assert raw(installation, "GET", "/health/ready")[0] == 200
    finally:
        installation.close()


def test_a_server_with_a_key_file_is_sealed_and_opened_without_typing(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    try:
        assert "no server" in installation.attempt("unseal")[2]
        installation.start()
        assert raw(installation, "GET", "/health/ready")[0] == 200
        installation.command("seal")
        assert_sealed(installation)
        assert installation.command("unseal") == "the vault is open\n"
        assert raw(installation, "GET", "/health/ready")[0] == 200
    finally:
        installation.close()
