# SPDX-License-Identifier: Apache-2.0
"""What the environment of a process says must not lead its vault to another server."""

import pytest
from psycopg.pq import PGconn

from mysafe.storage.postgres.address import connection_text

pytestmark = pytest.mark.postgres


def test_the_environment_changes_neither_host_nor_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("PGOPTIONS", "-c synchronous_commit=off")
    text = connection_text("postgresql://owner@localhost/vault", None)
    used = {option.keyword: option.val for option in PGconn.connect_start(text.encode()).info}
    assert (used[b"hostaddr"], used[b"options"]) == (b"", b"")
    bare = PGconn.connect_start(b"host=localhost")  # the control: this is how it would
    assert {option.keyword: option.val for option in bare.info}[b"hostaddr"] == b"192.0.2.1"
