# SPDX-License-Identifier: Apache-2.0
"""Who is counted when: by callers that are functions, and a clock that the test moves."""

import logging
from typing import cast

import pytest

from mysafe.domain.errors import NotAuthenticated, TooMany
from mysafe.domain.ids import AccessKeyId, UserId
from mysafe.domain.principals import Actor
from mysafe.server.api.admission import MOST_SECRETS_PER_MINUTE, Admission, Rates
from mysafe.services.principals import Principals
from mysafe.services.vault import Identify, Identity
from tests.support.server import Ticks

RATES = Rates(requests_per_second=1, requests_burst=5, token_failures_per_minute=3, token_failures_per_address=6)
HERE, THERE = "192.0.2.1", "198.51.100.1"
NOTHING_TO_READ = cast(Principals, None)
"""The callers below know who they are."""


def caller(user: int, key: int = 1) -> Identify:
    return lambda principals: Identity(Actor(UserId(user), AccessKeyId(key)))


def revoked(user: int) -> Identify:
    return lambda principals: Identity(Actor(UserId(user), AccessKeyId(1)), NotAuthenticated(was_sent=True))


def unknown(principals: Principals) -> Identity:
    raise NotAuthenticated(was_sent=True)


def outcome(identify: Identify) -> str:
    """Return how a call ends: "good", "refused", "throttled", or "recorded" if that is to be recorded."""
    try:
        refusal = identify(NOTHING_TO_READ).refusal
    except TooMany:
        return "throttled"
    except NotAuthenticated:
        return "refused"
    return "good" if refusal is None else "recorded" if isinstance(refusal, TooMany) else "refused"


def call(
    admission: Admission,
    identify: Identify,
    token: bytes = b"Bearer a",
    address: str = HERE,
    *,
    is_forgotten: bool = True,
) -> str:
    """Make a call with a token, and forget a refused one as the endpoint does."""
    try:
        ended = outcome(admission.of_token(identify, token, address))
    except TooMany:
        return "throttled"
    if ended == "refused" and is_forgotten:
        admission.forget(token, address)
    return ended


def attempt(admission: Admission, identify: Identify, client_id: str = "id", address: str = HERE) -> str:
    """Ask for a token."""
    try:
        return outcome(admission.of_client(identify, client_id, address))
    except TooMany:
        return "throttled"


# -- requests of a user -----------------------------------------------------------------------------------------


def test_above_the_burst_one_refusal_a_second_is_recorded_and_the_others_do_no_work() -> None:
    ticks = Ticks()
    admission = Admission(RATES._replace(requests_burst=1), ticks)
    ended = []
    for _ in range(40):
        ended.append(call(admission, caller(7)))
        ticks.advance(0.05)
    assert ended[:2] == ["good", "recorded"]
    assert [ended.count(one) for one in ("good", "recorded", "throttled")] == [2, 2, 36]


def test_many_tokens_of_a_user_share_one_bucket_also_at_their_first_use() -> None:
    admission = Admission(RATES, Ticks())
    ended = [call(admission, caller(7, key), b"Bearer %d" % key) for key in range(20)]
    assert ended == ["good"] * 5 + ["recorded"] + ["throttled"] * 14
    assert call(admission, caller(8), b"Bearer 1 of another user") == "good"


def test_calls_that_wait_together_are_counted_one_by_one() -> None:
    admission = Admission(RATES, Ticks())
    waiting = [admission.of_token(caller(7), b"Bearer a", HERE) for _ in range(20)]
    assert [outcome(identify) for identify in waiting].count("good") == 5


def test_a_group_that_runs_twice_is_counted_once() -> None:
    admission = Admission(RATES, Ticks())
    for token in (b"1", b"2", b"3", b"4", b"5"):
        identify = admission.of_token(caller(7), token, HERE)
        assert [outcome(identify) for _ in range(3)] == ["good"] * 3
    identify = admission.of_token(caller(7), b"6", HERE)
    assert [outcome(identify) for _ in range(3)] == ["recorded"] * 3


@pytest.mark.parametrize("is_forgotten", [True, False], ids=["as it is", "control: refused tokens stay known"])
def test_a_revoked_token_does_not_use_up_what_its_user_may_do(is_forgotten: bool) -> None:
    admission = Admission(RATES, Ticks())
    assert call(admission, caller(7), b"Bearer stolen") == "good"
    for _ in range(50):
        call(admission, revoked(7), b"Bearer stolen", is_forgotten=is_forgotten)
    assert (call(admission, caller(7), b"Bearer new") == "good") is is_forgotten


def test_a_token_tried_from_elsewhere_is_not_counted_for_its_user() -> None:
    admission = Admission(RATES, Ticks())
    assert call(admission, caller(7)) == "good"
    assert [call(admission, revoked(7), address=THERE) for _ in range(50)] == ["refused"] * 5 + ["throttled"] * 45
    assert [call(admission, caller(7)) for _ in range(5)] == ["good"] * 4 + ["recorded"]


def test_a_token_that_died_is_refused_for_that_even_above_the_limit() -> None:
    admission = Admission(RATES, Ticks())
    for _ in range(5):
        assert call(admission, caller(7)) == "good"
    assert call(admission, revoked(7)) == "refused"


# -- failures at the token endpoint -------------------------------------------------------------------------------


def test_tries_that_wait_together_are_throttled_one_by_one() -> None:
    admission = Admission(RATES, Ticks())
    waiting = [admission.of_client(unknown, "id", HERE) for _ in range(20)]
    assert [outcome(identify) for identify in waiting] == ["refused"] * 3 + ["throttled"] * 17


def test_tries_for_several_clients_are_not_throttled_together_before_the_address_is() -> None:
    admission = Admission(RATES, Ticks())
    waiting = [admission.of_client(unknown, f"id {number}", HERE) for number in range(20)]
    assert [outcome(identify) for identify in waiting] == ["refused"] * 6 + ["throttled"] * 14


def test_a_failure_in_a_group_that_runs_twice_is_counted_once() -> None:
    admission = Admission(RATES, Ticks())
    for _ in range(2):
        identify = admission.of_client(unknown, "id", HERE)
        assert [outcome(identify) for _ in range(5)] == ["refused"] * 5
    assert attempt(admission, caller(7)) == "good"


def test_a_right_secret_is_throttled_like_a_wrong_one() -> None:
    admission = Admission(RATES, Ticks())
    for _ in range(3):
        assert attempt(admission, revoked(7)) == "refused"
    assert attempt(admission, caller(7)) == attempt(admission, unknown) == "throttled"
    assert attempt(admission, caller(7), address=THERE) == "good"


def test_a_success_takes_no_failure_back() -> None:
    admission = Admission(RATES, Ticks())
    for _ in range(2):
        attempt(admission, unknown)
    assert attempt(admission, caller(7)) == "good"
    assert [attempt(admission, unknown) for _ in range(2)] == ["refused", "throttled"]


def test_throttled_tries_do_not_make_it_longer() -> None:
    ticks = Ticks()
    admission = Admission(RATES, ticks)
    for _ in range(3):
        attempt(admission, unknown)
    for _ in range(59):
        ticks.advance(1)
        assert attempt(admission, unknown) == "throttled"
    ticks.advance(1)
    assert attempt(admission, caller(7)) == "good"


def test_one_block_of_ipv6_is_one_address() -> None:
    admission = Admission(RATES, Ticks())
    for number in range(3):
        assert attempt(admission, unknown, address=f"2001:db8::{number}") == "refused"
    assert attempt(admission, unknown, address="2001:db8::ffff") == "throttled"
    assert attempt(admission, unknown, address="2001:db8:0:1::1") == "refused"


def test_malformed_requests_count_for_their_address() -> None:
    admission = Admission(RATES, Ticks())
    for _ in range(6):
        admission.malformed(HERE)
    with pytest.raises(TooMany) as throttled:
        admission.malformed(HERE)
    assert throttled.value.retry_after_seconds == 60
    assert attempt(admission, caller(7)) == "throttled"
    admission.malformed(THERE)


def test_tokens_given_out_count_for_their_user_and_failed_tries_do_not() -> None:
    admission = Admission(RATES._replace(token_failures_per_minute=1000, token_failures_per_address=1000), Ticks())
    for _ in range(50):
        assert attempt(admission, revoked(7)) == "refused"
    assert [attempt(admission, caller(7)) for _ in range(7)] == ["good"] * 5 + ["recorded", "throttled"]
    assert call(admission, caller(7)) == "throttled"


# -- what is logged ---------------------------------------------------------------------------------------------


def test_the_begin_of_throttling_is_logged_once_a_minute_without_the_client_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ticks = Ticks()
    admission = Admission(RATES, ticks)
    with caplog.at_level(logging.INFO, logger="mysafe.security"):
        for _ in range(590):
            attempt(admission, unknown, "a-secret-pasted-into-the-wrong-field")
            ticks.advance(0.1)
        assert caplog.messages == ["one client id's token requests from 192.0.2.1 are throttled"]
        ticks.advance(60)
        for _ in range(3):
            attempt(admission, unknown, "a-secret-pasted-into-the-wrong-field")
    assert caplog.messages == ["one client id's token requests from 192.0.2.1 are throttled"] * 2


@pytest.mark.parametrize(
    ("opened", "alarms"), [(MOST_SECRETS_PER_MINUTE, 0), (MOST_SECRETS_PER_MINUTE + 1, 1), (500, 1)]
)
def test_more_secrets_than_usual_raise_one_alarm(caplog: pytest.LogCaptureFixture, opened: int, alarms: int) -> None:
    ticks = Ticks()
    admission = Admission(RATES._replace(requests_per_second=0), ticks)
    with caplog.at_level(logging.INFO, logger="mysafe.security"):
        for number in range(opened):
            token = b"Bearer %d" % (number % 3)
            call(admission, caller(7), token)
            admission.opened(token, HERE)
            ticks.advance(0.1)
    assert caplog.messages == ["user 7 opened more than 100 secrets in a minute"] * alarms


def test_the_same_secrets_in_more_time_or_by_more_users_raise_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    ticks = Ticks()
    admission = Admission(RATES._replace(requests_per_second=0), ticks)
    with caplog.at_level(logging.INFO, logger="mysafe.security"):
        for number in range(500):
            token = b"Bearer %d" % (number % 5)
            call(admission, caller(number % 5), token)
            admission.opened(token, HERE)
            ticks.advance(0.13)
    assert caplog.messages == []
