# SPDX-License-Identifier: Apache-2.0
"""A vault on SQLite is served by one process; commands go on working beside it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import Installation, free_port


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Installation]:
    installation = Installation(tmp_path, is_on_sqlite=True)
    installation.start()
    yield installation
    installation.close()


def refusal(installation: Installation, **environment: str) -> str:
    """Return the one sentence of another server that does not start."""
    installation.environment |= environment
    status, out, err = installation.attempt("serve", "--port", str(free_port()))
    assert (status, out, err.count("\n")) == (1, "", 1)
    return err


def test_a_second_server_is_refused_and_commands_work_beside_the_first(served: Installation) -> None:
    assert f"another server serves the vault in {served.data}" in refusal(served)
    served.command("user", "add", "ana")
    token = served.token(served.new_key("ana"))
    assert served.call("GET", "/api/mysafe/password", None, token)[0] == 200


def test_a_second_server_with_another_data_directory_is_refused(served: Installation, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir(mode=0o700)
    database = served.data / "vault.db"
    elsewhere = {
        "MYSAFE_DATA": str(tmp_path / "other"),
        "MYSAFE_DATABASE": f"sqlite:///{database}",
        "MYSAFE_KEY_FILE": str(tmp_path / "data.key"),
    }
    assert f"another server serves the vault of {database}" in refusal(served, **elsewhere)
    served.command("user", "add", "ana")
    served.close()
    served.start()
    assert served.call("GET", "/health/ready")[0] == 200
