# SPDX-License-Identifier: Apache-2.0
"""The units of systemd: what they name exists, they are confined, and the server lives with that."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from mysafe.config import Settings
from mysafe.crypto.root_key.key_file import CREDENTIAL_NAME
from tests.deploy.files import UNITS, unit
from tests.deploy.nodes import until
from tests.support.process import COMMAND, Installation

SERVICE = next(path for path in UNITS if path.name == "mysafe.service")
SERVICES = [path for path in UNITS if path.suffix == ".service"]

HARDENING = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectProc": "invisible",
    "MemoryDenyWriteExecute": "yes",
    "LimitMEMLOCK": "infinity",
    "LimitCORE": "0",
    "MemorySwapMax": "0",
    "CapabilityBoundingSet": "",
    "User": "mysafe",
    "UMask": "0077",
}
WORST_EXPOSURE = 2.0
"""Of `systemd-analyze security`, from 0 to 10. What is left is that it may use the network."""


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_a_service_is_confined(path: Path) -> None:
    found = unit(path)
    assert {key: found[key] for key in HARDENING} == {key: [value] for key, value in HARDENING.items()}
    assert found["SystemCallFilter"][0] == "@system-service"
    assert set(found["RestrictAddressFamilies"][0].split()) == {"AF_INET", "AF_INET6", "AF_UNIX"}
    assert [value.partition(":")[0] for value in found["LoadCredential"]] == [CREDENTIAL_NAME]


def test_the_service_waits_for_the_server_to_end() -> None:
    defaults = {field.name: field.default for field in fields(Settings)}
    assert int(unit(SERVICE)["TimeoutStopSec"][0]) > int(str(defaults["shutdown_seconds"])) + 5 + 20
    assert unit(SERVICE)["Type"] == ["notify"]


def _with_real_programs(directory: Path) -> list[str]:
    """Copy the units with programs that exist here, and return the copies."""
    copies = []
    for path in UNITS:
        text = path.read_text(encoding="utf-8").replace("/opt/mysafe/bin/mysafe", sys.executable)
        (directory / path.name).write_text(text, encoding="utf-8")
        copies.append(str(directory / path.name))
    return copies


def _analyze(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.deploy
def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    assert _analyze("verify", *_with_real_programs(tmp_path)) == (0, "")


@pytest.mark.deploy
def test_control_systemd_names_a_key_that_does_not_exist(tmp_path: Path) -> None:
    copy = Path(_with_real_programs(tmp_path)[UNITS.index(SERVICE)])
    copy.write_text(copy.read_text().replace("ProtectHome=", "ProtectHouse="))
    assert "ProtectHouse" in _analyze("verify", str(copy))[1]


@pytest.mark.deploy
@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_systemd_finds_little_exposed(path: Path, tmp_path: Path) -> None:
    (tmp_path / path.name).write_text(path.read_text())
    assert _exposure(tmp_path / path.name) <= WORST_EXPOSURE


@pytest.mark.deploy
def test_control_a_service_that_is_not_confined_is_exposed(tmp_path: Path) -> None:
    bare = re.sub(r"^(Protect|Private|Restrict|SystemCall|Capability|NoNew).*\n", "", SERVICE.read_text(), flags=re.M)
    (tmp_path / SERVICE.name).write_text(bare)
    assert _exposure(tmp_path / SERVICE.name) > WORST_EXPOSURE


def _exposure(path: Path) -> float:
    _, text = _analyze("security", "--offline=true", "--no-pager", str(path))
    found = re.search(r"Overall exposure level for \S+: (\d+\.\d)", text)
    assert found, text
    return float(found[1])


# -- the server lives with it -----------------------------------------------------------------------------------------

CONFINED = [sys.executable, "-m", "tests.deploy.no_new_code", *COMMAND[1:], "serve"]


@pytest.mark.deploy
def test_the_server_serves_where_memory_cannot_become_code(tmp_path: Path) -> None:
    installation = Installation(tmp_path, CONFINED)
    installation.command("user", "add", "owner")
    key = installation.new_key("owner")
    installation.start()
    token = installation.token(key)
    body = {"name": "n", "username": "u", "password": "p"}
    assert installation.call("POST", "/api/mysafe/password", body, token)[0] == 201
    assert installation.stop() == 0


@pytest.mark.deploy
def test_control_in_that_process_no_page_becomes_code() -> None:
    code = (
        "import ctypes, mmap; page = mmap.mmap(-1, 4096); libc = ctypes.CDLL(None, use_errno=True);"
        "address = ctypes.addressof(ctypes.c_char.from_buffer(page));"
        "print(libc.mprotect(ctypes.c_void_p(address), 4096, 7))"
    )
    for prefix, expected in (([sys.executable, "-m", "tests.deploy.no_new_code"], "-1"), ([sys.executable], "0")):
        done = subprocess.run([*prefix, "-c", code], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.strip() == expected


def _allowed_calls() -> set[str]:
    """Return the system calls that the service may make, sets resolved by systemd itself."""
    listed = _analyze("syscall-filter", "--no-pager")[1]
    sets: dict[str, list[str]] = {}
    name = ""
    for line in listed.splitlines():
        if line.startswith("@"):
            name = line.strip()
            sets[name] = []
        elif line.startswith("    ") and not line.strip().startswith("#"):
            sets[name].append(line.strip())

    def resolve(word: str) -> set[str]:
        return set().union(*map(resolve, sets[word])) if word.startswith("@") else {word}

    allowed: set[str] = set()
    for rule in unit(SERVICE)["SystemCallFilter"]:
        words = set().union(*map(resolve, rule.removeprefix("~").split()))
        allowed = allowed - words if rule.startswith("~") else allowed | words
    return allowed


@pytest.mark.deploy
def test_the_server_makes_no_system_call_that_the_service_may_not(tmp_path: Path) -> None:
    trace = tmp_path / "calls"
    installation = Installation(tmp_path, ["strace", "-D", "-f", "-qq", "-o", str(trace), *COMMAND, "serve"])
    installation.command("user", "add", "owner")
    key = installation.new_key("owner")
    installation.start()
    installation.call("POST", "/api/mysafe/note", {"name": "n", "note": "t"}, installation.token(key))
    assert installation.stop() == 0
    until(lambda: trace.read_text().count("exit_group") > 0)
    made = set(re.findall(r"^\d+\s+(\w+)\(", trace.read_text(), flags=re.M))
    assert {"execve", "openat", "accept4"} <= made, "control: calls are seen"
    # SQLite gives a new file the owner of its database, but only as root, which the service is not.
    assert made - _allowed_calls() <= ({"fchown"} if os.geteuid() == 0 else set())
    assert not {"mount", "ptrace", "reboot", "setuid"} & _allowed_calls(), "control: not everything is allowed"
