# SPDX-License-Identifier: Apache-2.0
"""T-CANARY: a unique text in every field of a vault that is lived in turns up nowhere but in the right answers.

Searched are all files of the installation (database, WAL, key file, log, temporary directory), the command line and
the environment of the server, and every answer. The control is a server that leaks in each of these places.
"""

import sys
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.support.canaries import files_under, process_texts
from tests.support.life import FIELDS, SECRET, Answer, Life
from tests.support.managing import Management
from tests.support.process import Installation, free_port

pytestmark = pytest.mark.sqlite("it searches the files of the database")

TALKATIVE = [sys.executable, "-m", "tests.support.talkative_server"]


@pytest.fixture
def life(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Life]:
    installation = Installation(tmp_path, getattr(request, "param", None), watched(tmp_path))
    installation.start()
    yield Life(installation)
    installation.close()


METRICS_TOKEN = "the-token-of-the-metrics"


def watched(directory: Path) -> dict[str, str]:
    """Return the settings under which the server says about itself all that it can say."""
    token = directory / "metrics.token"
    token.write_text(METRICS_TOKEN, encoding="utf-8")
    token.chmod(0o600)
    address = f"127.0.0.1:{free_port()}"
    return {
        "MYSAFE_ACCESS_LOG": "true",
        "MYSAFE_METRICS_ADDRESS": address,
        "MYSAFE_METRICS_TOKEN_FILE": str(token),
    }


def scrape(life: Life) -> bytes:
    """Return the metrics, which are an answer like others."""
    with closing(HTTPConnection(life.installation.environment["MYSAFE_METRICS_ADDRESS"], timeout=20)) as connection:
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {METRICS_TOKEN}"})
        answer = connection.getresponse()
        data = answer.read()
    assert answer.status == 200, data
    life.answers.append(Answer("metrics", data, frozenset()))
    return data


def live(life: Life) -> None:
    life.move_in()
    life.receive()
    for kind in FIELDS:
        life.create(kind)
        life.use(kind)
        life.bad_bodies(kind)
    manage(Management(life))
    life.read_encrypted(life.encrypting_key("friend"))
    life.bad_credentials()
    life.odd_requests()
    life.fault()
    life.audit()


def manage(management: Management) -> None:
    credentials = management.keys()
    management.people()
    management.groups()
    for kind, identifier in management.life.items.items():
        management.past(kind, identifier)
    management.files()
    management.password(credentials)
    management.wrong_keys()


@pytest.mark.timeout(300)
def test_no_secret_and_no_name_turns_up_where_it_must_not(life: Life) -> None:
    live(life)
    files = files_under(life.installation.data.parent)
    assert {"data/vault.db", "data/vault.db-wal", "data/vault.db-shm", "data.key", "server.log"} <= set(files)
    assert len(files["data/vault.db-wal"]) > 100_000
    assert b"unexpected SealBroken" in files["server.log"]
    assert files["server.log"].count(b'"mysafe.access"') > 100
    assert b"mysafe_secrets_opened_total " in scrape(life)
    assert b"serve" in process_texts(life.installation.pid)["cmdline"]
    assert life.stored <= life.shown(), "the search must find in the right answers what it must not find elsewhere"
    assert {name.split(":")[0].split(".")[1] for name in life.stored} >= SECRET
    assert life.leaks_in_answers() == set()
    assert life.leaks_in_places() == set()
    life.installation.kill()
    life.installation.start()
    assert life.leaks_in_places() == set()
    life.installation.stop()
    assert life.leaks_in_places() == set()


@pytest.mark.parametrize("life", [TALKATIVE], indirect=True)
def test_a_server_that_leaks_is_found_out_in_every_place(life: Life) -> None:
    life.move_in()
    life.create("note")
    life.bad_bodies("note")
    leaks = life.leaks_in_places() | life.leaks_in_answers()
    places = {leak.partition(" shows ")[0] for leak in leaks if leak.endswith("shows note.note: bad")}
    assert places >= {"file server.log", "file tmp/leak", "file data/leak.db", "answer 400 bad body"}
