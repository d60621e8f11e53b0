# SPDX-License-Identifier: Apache-2.0
"""Too many requests, too many failures (R-LIM-02, R-TOK-14): who gets 429, until when, and who does not.

The clock by which is counted stands still unless a test moves it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from mysafe.services import audit_trail
from tests.support.server import RunningServer, authorization

HERE, THERE = "192.0.2.1", "198.51.100.1"
BODY = {"name": "n", "username": "u", "password": "p"}
THROTTLED = {
    "error": "temporarily_unavailable",
    "error_description": "Too many requests.",
    "message": "Too many requests.",
}

Key = tuple[str, str]


@contextmanager
def serving(directory: Path, **overrides: object) -> Iterator[RunningServer]:
    """Serve behind a proxy on loopback, so that a call can come from any address."""
    running = RunningServer(directory, behind_proxy=True, trusted_proxies=["127.0.0.1"], **overrides)
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that throttles token requests as it does by default."""
    with serving(tmp_path, token_failures_per_minute=10, token_failures_per_address=100) as running:
        yield running


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[RunningServer]:
    """A server where a user may make five requests at once and one a second."""
    with serving(tmp_path, requests_per_second=1, requests_burst=5) as running:
        yield running


def ask(server: RunningServer, key: Key, *, address: str = HERE) -> httpx.Response:
    """Ask for a token."""
    with server.client() as client:
        return client.post(
            "/api/oauth2/token",
            data={"grant_type": "client_credentials", "client_id": key[0], "client_secret": key[1]},
            headers={"X-Forwarded-For": address},
        )


def statuses(server: RunningServer, keys: list[Key], *, address: str = HERE) -> list[int]:
    return [ask(server, key, address=address).status_code for key in keys]


def wrong(key: Key) -> Key:
    return key[0], "wrong"


def listed(server: RunningServer, token: str, times: int) -> list[int]:
    with server.client() as client:
        return [client.get("/api/mysafe/password", headers=authorization(token)).status_code for _ in range(times)]


def results(server: RunningServer) -> list[str]:
    return [str(entry.result) for entry in server.operate(partial(audit_trail.tail, limit=1000))]


# -- failures at the token endpoint -------------------------------------------------------------------------------


def test_the_eleventh_failure_of_a_client_and_address_is_throttled_and_its_right_secret_too(
    strict: RunningServer,
) -> None:
    key = strict.new_key(strict.new_actor())
    assert statuses(strict, [wrong(key)] * 10) == [401] * 10
    for tried in (wrong(key), key):
        answer = ask(strict, tried)
        assert (answer.status_code, answer.json()) == (429, THROTTLED)
        assert answer.headers["Retry-After"] == "60"
        assert (answer.headers["Pragma"], answer.headers["Cache-Control"]) == ("no-cache", "no-store")


def test_with_a_higher_limit_the_eleventh_failure_is_not_throttled(tmp_path: Path) -> None:
    with serving(tmp_path, token_failures_per_minute=11) as server:
        key = server.new_key(server.new_actor())
        assert statuses(server, [wrong(key)] * 12) == [401] * 11 + [429]


def test_nobody_out_there_locks_a_client_out(strict: RunningServer) -> None:
    key, other = (strict.new_key(strict.new_actor()) for _ in range(2))
    assert statuses(strict, [wrong(key)] * 11)[-1] == 429
    assert ask(strict, key, address=THERE).status_code == 200
    assert ask(strict, other).status_code == 200


def test_a_forged_address_beyond_the_proxy_does_not_help(strict: RunningServer) -> None:
    key = strict.new_key(strict.new_actor())
    tries = [ask(strict, wrong(key), address=f"203.0.113.{number}, {HERE}") for number in range(11)]
    assert [answer.status_code for answer in tries] == [401] * 10 + [429]


def test_unknown_clients_are_throttled_like_known_ones(strict: RunningServer) -> None:
    known = strict.new_key(strict.new_actor())
    answers = [[ask(strict, (client_id, "wrong")) for _ in range(11)] for client_id in (known[0], "unknown")]
    assert [[one.status_code for one in tries] for tries in answers] == [[401] * 10 + [429]] * 2
    assert answers[0][-1].content == answers[1][-1].content


def test_an_address_is_throttled_after_a_hundred_failures_of_any_clients(strict: RunningServer) -> None:
    key = strict.new_key(strict.new_actor())
    assert set(statuses(strict, [(f"unknown {number}", "x") for number in range(100)])) == {401}
    assert statuses(strict, [("another", "x"), key]) == [429, 429]
    assert statuses(strict, [key], address=THERE) == [200]


def test_requests_that_name_no_client_count_for_their_address(tmp_path: Path) -> None:
    with serving(tmp_path, token_failures_per_address=3) as server, server.client() as client:
        key = server.new_key(server.new_actor())
        headers = {"X-Forwarded-For": HERE}
        tries = [client.post("/api/oauth2/token?client_secret=x", headers=headers).status_code for _ in range(5)]
        assert tries == [400, 400, 400, 429, 429]
        assert client.get("/api/oauth2/token", auth=key, headers=headers).status_code == 429
        assert len([one for one in results(server) if one in {"invalid", "throttled"}]) == 3


def test_throttling_ends_after_a_minute(strict: RunningServer) -> None:
    key = strict.new_key(strict.new_actor())
    statuses(strict, [wrong(key)] * 5)
    strict.ticks.advance(20)
    statuses(strict, [wrong(key)] * 5)
    answer = ask(strict, key)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "40")
    strict.ticks.advance(39.5)
    answer = ask(strict, key)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    strict.ticks.advance(0.5)
    assert ask(strict, key).status_code == 200
    assert statuses(strict, [wrong(key)] * 6) == [401] * 5 + [429]


def test_a_throttled_try_reaches_neither_the_database_nor_the_audit_log(strict: RunningServer) -> None:
    key = strict.new_key(strict.new_actor())
    statuses(strict, [wrong(key)] * 10)
    before = results(strict)
    with strict.fault("internal-error"):
        assert ask(strict, key).status_code == 429
        assert ask(strict, key, address=THERE).status_code == 500  # the control: this one does reach it
    assert results(strict) == [*before, "allowed"]  # the row of reading the log before
    assert before.count("unauthenticated") == 10


# -- requests of a user -----------------------------------------------------------------------------------------


def test_a_user_makes_a_burst_of_requests_then_none_then_one_a_second(limited: RunningServer) -> None:
    token = limited.new_token(limited.new_actor())  # the first of five
    assert listed(limited, token, 7) == [200] * 4 + [429] * 3
    limited.ticks.advance(2)
    assert listed(limited, token, 4) == [200] * 2 + [429] * 2
    limited.ticks.advance(3600)
    assert listed(limited, token, 7) == [200] * 5 + [429] * 2


def test_the_answer_is_the_documented_envelope_and_says_when_to_try_again(limited: RunningServer) -> None:
    token = limited.new_token(limited.new_actor())
    listed(limited, token, 5)
    with limited.client() as client:
        answer = client.post("/api/mysafe/password", json=BODY, headers=authorization(token))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    body = answer.json()
    assert (body["code"], body["response"]["status"], body["response"]["error"]) == (429, 429, True)
    assert body["exception"] == {"code": 429, "message": "Too many requests.", "detail": None}
    assert body["response"]["Message"] == "Too many requests."


def test_all_keys_and_tokens_of_a_user_share_one_limit(limited: RunningServer) -> None:
    owner = limited.new_actor()
    tokens = [limited.new_token(owner) for _ in range(3)]
    assert [status for token in tokens for status in listed(limited, token, 1)] == [200, 200, 429]
    answer = ask(limited, limited.new_key(owner))
    assert (answer.status_code, answer.json()) == (429, THROTTLED)


def test_one_user_does_not_use_up_what_another_may_do(limited: RunningServer) -> None:
    busy, quiet = (limited.new_token(limited.new_actor()) for _ in range(2))
    assert listed(limited, busy, 20)[-1] == 429
    assert listed(limited, quiet, 4) == [200] * 4


def test_outsiders_do_not_use_up_what_a_user_may_do(limited: RunningServer) -> None:
    key = limited.new_key(limited.new_actor())
    assert set(statuses(limited, [wrong(key)] * 20)) == {401}
    assert ask(limited, key).status_code == 200


def test_a_revoked_token_does_not_use_up_what_its_user_may_do(limited: RunningServer) -> None:
    owner = limited.new_actor()
    key = limited.new_key(owner)
    stolen, other = limited.token(key), limited.new_token(owner)
    assert listed(limited, stolen, 1) == [200]
    limited.revoke(key[0])
    assert listed(limited, stolen, 20) == [401] * 6 + [429] * 14  # the first was still counted for the user
    assert results(limited).count("unauthenticated") == 6  # nor does a flood of it fill the audit log
    limited.ticks.advance(1)
    assert listed(limited, other, 2) == [200] * 2


def test_a_token_used_where_its_key_may_not_be_does_not_either(limited: RunningServer) -> None:
    owner = limited.new_actor()
    key = limited.new_key(owner, referers=["https://intranet.example.com/"])
    stolen, other = limited.token(key), limited.new_token(owner)
    assert listed(limited, stolen, 20) == [403] * 5 + [429] * 15
    limited.ticks.advance(1)
    assert listed(limited, other, 2) == [200] * 2


def test_a_change_that_is_throttled_is_not_made(limited: RunningServer) -> None:
    token = limited.new_token(limited.new_actor())
    with limited.client() as client:
        made = [client.post("/api/mysafe/password", json=BODY, headers=authorization(token)) for _ in range(8)]
        limited.ticks.advance(1)
        lines = client.get("/api/mysafe/password", headers=authorization(token)).json()["password_on_list"]
    assert [answer.status_code for answer in made] == [201] * 4 + [429] * 4
    assert len(lines) == 4


def test_a_flood_leaves_one_audit_row_a_second(limited: RunningServer) -> None:
    token = limited.new_token(limited.new_actor())
    assert listed(limited, token, 50).count(429) == 46
    assert results(limited).count("throttled") == 1
    limited.ticks.advance(1)
    assert listed(limited, token, 50).count(429) == 49
    assert results(limited).count("throttled") == 2


def test_a_flood_of_good_token_requests_leaves_one_row_a_second_too(limited: RunningServer) -> None:
    key = limited.new_key(limited.new_actor())
    assert statuses(limited, [key] * 20) == [200] * 5 + [429] * 15
    assert results(limited).count("throttled") == 1


def test_without_a_limit_nothing_is_throttled(tmp_path: Path) -> None:
    with serving(tmp_path, requests_per_second=0, requests_burst=1) as server:
        assert set(listed(server, server.new_token(server.new_actor()), 20)) == {200}


@pytest.mark.parametrize(("reads", "alarms"), [(100, 0), (101, 1)])
def test_a_user_who_reads_very_many_secrets_raises_an_alarm(
    server: RunningServer, caplog: pytest.LogCaptureFixture, reads: int, alarms: int
) -> None:
    token = server.new_token(server.new_actor())
    identifier = server.create(token, "password", BODY)
    with caplog.at_level(logging.INFO, logger="mysafe.security"), server.client() as client:
        path = f"/api/mysafe/password/{identifier}"
        for _ in range(reads):
            assert client.get(path, headers=authorization(token)).status_code == 200
            assert client.get("/api/mysafe/password/999999", headers=authorization(token)).status_code == 400
    found = [message for message in caplog.messages if "opened more than 100 secrets" in message]
    assert len(found) == alarms


def batch(server: RunningServer, token: str, count: int) -> httpx.Response:
    """Activate so many items, none of which there is."""
    items = [{"kind": "password", "identifier": str(number + 1)} for number in range(count)]
    with server.client() as client:
        body = {"action": "activate", "items": items}
        return client.post("/api/manage/items/batch", json=body, headers=authorization(token))


def test_a_batch_counts_for_as_many_requests_as_it_has_items(limited: RunningServer) -> None:
    token = limited.new_token(limited.new_actor())
    limited.ticks.advance(60)  # asking for the token took one
    assert batch(limited, token, 4).status_code == 200
    refused = batch(limited, token, 2)  # which takes the fifth, and needs another one
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (429, "too_many", "1")
    assert "throttled" in results(limited)
    other = limited.new_token(limited.new_actor())
    assert batch(limited, other, 4).status_code == 200


def test_a_batch_that_is_larger_than_the_burst_needs_a_full_bucket_and_leaves_a_debt(limited: RunningServer) -> None:
    token = limited.new_token(limited.new_actor())
    assert batch(limited, token, 20).status_code == 429  # asking for the token took one
    limited.ticks.advance(60)
    assert batch(limited, token, 20).status_code == 200
    limited.ticks.advance(15)
    assert listed(limited, token, 1) == [429]
    limited.ticks.advance(1)
    assert listed(limited, token, 2) == [200, 429]
