# SPDX-License-Identifier: Apache-2.0
"""Which addresses lead to a database, and what is always said besides (R-TLS-04). No server is needed."""

import os
from pathlib import Path

import pytest
from psycopg import conninfo, pq

from mysafe.storage.engine import StorageRefused
from mysafe.storage.postgres.address import REFUSED, connection_text, is_local
from mysafe.storage.postgres.secret_file import LONGEST_BYTES, read_secret_file

LOCAL = [
    "postgresql:///mysafe",
    "postgresql://localhost/mysafe",
    "postgresql://127.8.9.10:5433/mysafe",
    "postgresql://[::1]/mysafe",
    "postgresql://mysafe@/mysafe?host=/run/db",
    "postgresql://localhost,127.0.0.1/mysafe",
    "postgresql://db.example/mysafe?hostaddr=127.0.0.1",
]
ELSEWHERE = [
    "postgresql://db.example/mysafe",
    "postgres://mysafe@db.example:5433/mysafe",
    "postgresql://192.0.2.7/mysafe",
    "postgresql://[2001:db8::7]/mysafe",
    "postgresql://localhost,db.example/mysafe",
    "postgresql://mysafe@/mysafe?host=/run/db,db.example",
    "postgresql://localhost/mysafe?hostaddr=192.0.2.7",
    "postgresql://localhost/mysafe?host=db.example",
    "postgresql://localhost.example/mysafe",
    "postgresql://127.0.0.1.example/mysafe",
    "postgresql://0.0.0.0/mysafe",
    "postgresql:///mysafe?host=",
]


def said(address: str, password: str | None = None) -> dict[str, str]:
    """Return what the driver is told."""
    return {name: str(value) for name, value in conninfo.conninfo_to_dict(connection_text(address, password)).items()}


@pytest.mark.parametrize("address", ELSEWHERE)
def test_another_machine_must_prove_who_it_is(address: str) -> None:
    parts = said(address)
    assert (parts["sslmode"], parts["sslrootcert"]) == ("verify-full", "system")
    assert said(f"{address}{'&' if '?' in address else '?'}sslrootcert=/ca.pem")["sslrootcert"] == "/ca.pem"


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer", "require", "verify-ca", "none", ""])
@pytest.mark.parametrize("address", ELSEWHERE)
def test_another_machine_is_not_reached_with_less(address: str, mode: str) -> None:
    with pytest.raises(StorageRefused, match="sslmode=verify-full"):
        connection_text(f"{address}{'&' if '?' in address else '?'}sslmode={mode}", None)


@pytest.mark.parametrize("address", LOCAL)
def test_a_socket_and_loopback_may_do_without(address: str) -> None:
    assert said(address)["sslmode"] == "prefer"
    assert said(f"{address}{'&' if '?' in address else '?'}sslmode=disable")["sslmode"] == "disable"


def test_control_what_is_local_is_not_simply_everything() -> None:
    hosts = ["/run", "@mysafe", "localhost", "127.0.0.1", "::1", "", "db", "192.0.2.7", "localhost.", "127.1", "::2"]
    assert [host for host in hosts if is_local(host)] == hosts[:5]


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("address", ["postgresql:///mysafe?", "postgresql://db.example/mysafe?sslmode=verify-full&"])
def test_an_address_says_no_secret_and_nothing_that_undoes_a_check(address: str, name: str) -> None:
    with pytest.raises(StorageRefused, match=f"may not set {name}$") as refused:
        connection_text(f"{address}{name}=8jhfy", None)
    assert "8jhfy" not in repr(refused.value)


def test_a_password_before_the_host_is_refused() -> None:
    with pytest.raises(StorageRefused, match="may not set password") as refused:
        connection_text("postgresql://mysafe:8jhfy@/mysafe", None)
    assert "8jhfy" not in repr(refused.value)


@pytest.mark.parametrize("address", ["postgresql://u:8jhfy@[::1/v", "postgresql:///v?no_such=8jhfy", "host=x =8jhfy"])
def test_an_address_that_cannot_be_read_is_not_repeated(address: str) -> None:
    with pytest.raises(StorageRefused, match="cannot be read") as refused:
        connection_text(address, None)
    assert "8jhfy" not in repr(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1.1", "", "SSLv3"])
def test_old_tls_is_refused(version: str) -> None:
    with pytest.raises(StorageRefused, match=r"TLS 1\.2"):
        connection_text(f"postgresql://db.example/mysafe?ssl_min_protocol_version={version}", None)
    assert said("postgresql://db.example/mysafe")["ssl_min_protocol_version"] == "TLSv1.2"


def test_rights_are_only_read_from_a_primary() -> None:
    assert said("postgresql:///mysafe?target_session_attrs=any")["target_session_attrs"] == "read-write"


@pytest.mark.parametrize("password", ["simple", "with ' and \\ and space", " ", "ümlaut=€", "host=evil.example"])
def test_the_password_arrives_as_it_is(password: str) -> None:
    parts = said("postgresql:///mysafe", password)
    assert parts["password"] == password
    assert parts["host"] == "/var/run/postgresql"


LEADING_ASTRAY = {
    "PGHOST": "db.example",
    "PGHOSTADDR": "192.0.2.7",
    "PGSSLMODE": "disable",
    "PGOPTIONS": "-c synchronous_commit=off",
    "PGTARGETSESSIONATTRS": "read-only",
    "PGSSLMINPROTOCOLVERSION": "TLSv1",
    "PGGSSENCMODE": "require",
    "PGCLIENTENCODING": "LATIN1",
}


def effective(text: str) -> dict[str, str]:
    """Return what the library would use, with its environment variables."""
    given = conninfo.conninfo_to_dict(text)
    defaults = {option.keyword.decode(): option for option in pq.Conninfo.get_defaults()}
    of_environment = {name: option.val.decode() for name, option in defaults.items() if option.val is not None}
    return of_environment | {name: str(value) for name, value in given.items()}


def test_the_environment_does_not_lead_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    text = connection_text("postgresql:///mysafe", None)
    before = effective(text)
    for name, value in LEADING_ASTRAY.items():
        monkeypatch.setenv(name, value)
    assert effective(text) == before


def test_control_the_environment_would_lead_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    before = effective("dbname=mysafe")
    for name, value in LEADING_ASTRAY.items():
        monkeypatch.setenv(name, value)
    changed = {name for name, value in effective("dbname=mysafe").items() if before.get(name) != value}
    assert {"host", "hostaddr", "sslmode", "options", "target_session_attrs"} <= changed


# -- the file with the password ----------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_bytes(b"8jhfy@3789\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_end_of_the_line_is_not_part_of_the_password(file: Path, end: bytes) -> None:
    file.write_bytes(b"8jhfy " + end)
    assert read_secret_file(file) == "8jhfy "


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o601, 0o644])
def test_a_file_that_others_can_use_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(StorageRefused, match="chmod 600"):
        read_secret_file(file)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_the_server_alone_is_read(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert read_secret_file(file) == "8jhfy@3789"


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"8jhfy\nsecond", b"8jhfy\x00", b"8jhfy\xff", b"8jhfy" * LONGEST_BYTES, b"\t8jhfy"]
)
def test_what_is_not_one_line_of_text_is_refused_and_not_shown(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(StorageRefused, match="one line") as refused:
        read_secret_file(file)
    assert "8jhfy" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageRefused, match="/password cannot be read: No such file"):
        read_secret_file(tmp_path / "password")


def test_a_directory_is_no_password(tmp_path: Path) -> None:
    with pytest.raises(StorageRefused, match="cannot be read"):
        read_secret_file(tmp_path)


def test_a_pipe_does_not_hold_up_the_start(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)
    with pytest.raises(StorageRefused, match="chmod 600"):
        read_secret_file(path)
