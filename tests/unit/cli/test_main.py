# SPDX-License-Identifier: Apache-2.0
"""The arguments of the command line, before anything is opened."""

import subprocess
import sys
import time
from argparse import ArgumentTypeError
from datetime import UTC, datetime

import pytest

from mysafe import __version__
from mysafe.cli.main import _count, _moment, _parser

PROGRAM = [sys.executable, "-m", "mysafe.cli.main"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, check=False)


def test_the_version_is_printed_without_loading_the_program() -> None:
    started = time.monotonic()
    done = run("--version")
    seconds = time.monotonic() - started
    assert (done.returncode, done.stdout) == (0, f"mysafe {__version__}\n")
    assert seconds < 2
    loaded = "import sys, mysafe.cli.main; print([name for name in sys.modules if name.startswith('mysafe.')])"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['mysafe.cli', 'mysafe.cli.main']"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["open"],
        ["user"],
        ["user", "add"],
        ["user", "remove", "demo"],
        ["init", "--dat", "x"],
        ["access-key", "add", "--owner", "demo"],
        ["access-key", "add", "--owner", "demo", "--name", "n", "--expires", "tomorrow"],
        ["access-key", "add", "--owner", "demo", "--name", "n", "--expires", "2001-01-01"],
        ["audit", "tail", "--lines", "0"],
        ["user", "add", "demo", "--password", "secret"],
        ["user", "password", "demo"],
        ["user", "password", "demo", "secret"],
        ["group", "member", "add", "g"],
        ["group", "remove", "g"],
    ],
)
def test_wrong_arguments_end_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        _parser().parse_args(arguments)
    assert ended.value.code == 2
    assert "mysafe" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "command", "expected"),
    [
        (["init", "--data", "d"], "init", {"data": "d", "database": None}),
        (["init", "--data", "d", "--database", "u"], "init", {"database": "u"}),
        (["serve", "--data", "d", "--host", "h", "--port", "1"], "serve", {"host": "h", "port": "1"}),
        (
            ["user", "add", "demo", "--name", "n", "--email", "e", "--admin", "--password-stdin"],
            "user add",
            {"username": "demo", "name": "n", "email": "e", "admin": True, "password_stdin": True},
        ),
        (["user", "add", "demo"], "user add", {"name": "", "email": "", "admin": False, "password_stdin": False}),
        (["user", "disable", "demo"], "user disable", {"username": "demo"}),
        (["user", "enable", "demo"], "user enable", {"username": "demo"}),
        (["user", "list", "--json"], "user list", {"json": True}),
        (["user", "show", "demo"], "user show", {"username": "demo", "json": False}),
        (
            ["user", "change", "demo", "--email", "", "--no-admin"],
            "user change",
            {"username": "demo", "name": None, "email": "", "admin": False},
        ),
        (["user", "change", "demo"], "user change", {"name": None, "email": None, "admin": None}),
        (["user", "password", "demo", "--password-stdin"], "user password", {"username": "demo"}),
        (["group", "list"], "group list", {"json": False}),
        (["group", "show", "g", "--json"], "group show", {"name": "g", "json": True}),
        (["group", "change", "g", "--name", "h"], "group change", {"name": "g", "new_name": "h", "description": None}),
        (["group", "disable", "g"], "group disable", {"name": "g"}),
        (["group", "member", "add", "g", "a", "b"], "group member add", {"name": "g", "username": ["a", "b"]}),
        (["group", "member", "remove", "g", "a"], "group member remove", {"name": "g", "username": ["a"]}),
        (["group", "add", "g", "--member", "a", "--member", "b"], "group add", {"name": "g", "member": ["a", "b"]}),
        (
            ["access-key", "add", "--owner", "o", "--name", "n", "--ip", "::1", "--ip", "10.0.0.0/8", "--json"],
            "access-key add",
            {"owner": "o", "name": "n", "ip": ["::1", "10.0.0.0/8"], "expires": None, "json": True},
        ),
        (["access-key", "revoke", "c"], "access-key revoke", {"client_id": "c"}),
        (["audit", "tail"], "audit tail", {"lines": 20, "json": False}),
        (["audit", "tail", "--lines", "5", "--json"], "audit tail", {"lines": 5, "json": True}),
        (["doctor", "--key-file", "k"], "doctor", {"key_file": "k"}),
    ],
)
def test_the_documented_commands_are_understood(
    arguments: list[str], command: str, expected: dict[str, object]
) -> None:
    parsed = vars(_parser().parse_args(arguments))
    assert parsed["command"] == command
    assert {name: parsed[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2100-12-31", datetime(2100, 12, 31, tzinfo=UTC)),
        ("2100-12-31T12:00:00Z", datetime(2100, 12, 31, 12, tzinfo=UTC)),
        ("2100-12-31T12:00:00+02:00", datetime(2100, 12, 31, 10, tzinfo=UTC)),
    ],
)
def test_a_moment_is_utc_unless_it_says_otherwise(text: str, expected: datetime) -> None:
    assert _moment(text) == expected


@pytest.mark.parametrize("text", ["0", "-1", "10001", "x", "1_0", "", "9" * 5000])
def test_a_count_has_bounds(text: str) -> None:
    assert _count("10000") == 10_000
    with pytest.raises(ArgumentTypeError):
        _count(text)
