# SPDX-License-Identifier: Apache-2.0
"""Counting by a clock that the test moves: what is let through, for how long not, and how much is remembered."""

import random

import pytest

from mysafe.server.origin import source_of
from mysafe.server.throttle import SECOND, Buckets, Windows
from tests.support.server import Ticks

ANNA, BERT = 1, 2


def taken(buckets: Buckets, key: int, tries: int) -> int:
    """Return how many of the tries got a token."""
    return sum(not buckets.take(key) for _ in range(tries))


@pytest.mark.parametrize(("per_second", "burst"), [(50, 100), (3, 7), (1, 1), (100_000, 5)])
def test_a_quiet_bucket_holds_exactly_its_burst(per_second: int, burst: int) -> None:
    ticks = Ticks()
    buckets = Buckets(per_second, burst, ticks)
    assert taken(buckets, ANNA, burst + 50) == burst
    ticks.advance(3600)
    assert taken(buckets, ANNA, burst + 50) == burst


def test_a_bucket_refills_at_its_rate() -> None:
    ticks = Ticks()
    buckets = Buckets(50, 100, ticks)
    assert taken(buckets, ANNA, 200) == 100
    for _ in range(20):
        ticks.advance(0.1)
        assert taken(buckets, ANNA, 200) == 5


def test_an_empty_bucket_says_when_it_has_a_token_again() -> None:
    ticks = Ticks()
    buckets = Buckets(50, 100, ticks)
    taken(buckets, ANNA, 100)
    wait = buckets.take(ANNA)
    assert wait == SECOND // 50
    ticks.now += wait - 1
    assert buckets.take(ANNA) == 1
    ticks.now += 1
    assert buckets.take(ANNA) == 0


def test_what_is_refused_takes_nothing() -> None:
    ticks = Ticks()
    buckets = Buckets(1, 1, ticks)
    assert taken(buckets, ANNA, 1000) == 1
    ticks.advance(1)
    assert buckets.take(ANNA) == 0


@pytest.mark.parametrize("other", [BERT, ANNA], ids=["another key", "control: the same key"])
def test_one_key_does_not_empty_the_bucket_of_another(other: int) -> None:
    buckets = Buckets(50, 100, Ticks())
    assert taken(buckets, ANNA, 10_000) == 100
    assert (taken(buckets, other, 100) == 100) is (other != ANNA)


def test_no_interval_has_more_than_the_burst_and_what_came_back() -> None:
    ticks, chance = Ticks(), random.Random(7)
    buckets, passed = Buckets(50, 100, ticks), []
    for _ in range(5000):
        ticks.now += chance.randrange(SECOND // 50)
        if not buckets.take(ANNA):
            passed.append(ticks.now)
    assert len(passed) > 2000
    for first in range(0, len(passed), 50):
        for last in range(first, len(passed), 50):
            assert last - first + 1 <= 100 + (passed[last] - passed[first]) * 50 / SECOND


def test_a_rate_of_nothing_is_no_limit() -> None:
    buckets = Buckets(0, 1, Ticks())
    assert taken(buckets, ANNA, 1000) == 1000
    assert len(buckets) == 0


def test_a_window_is_full_until_its_oldest_event_is_over() -> None:
    ticks = Ticks()
    windows = Windows(3, 60, ticks)
    for seconds in (0, 10, 10):
        ticks.advance(seconds)
        assert windows.wait(ANNA) == 0
        windows.add(ANNA)
    assert windows.wait(ANNA) == 40 * SECOND
    ticks.advance(39.9)
    assert windows.wait(ANNA) > 0
    ticks.advance(0.1)
    assert windows.wait(ANNA) == 0
    windows.add(ANNA)
    assert windows.wait(ANNA) == 10 * SECOND  # the second event is the oldest now
    assert windows.wait(BERT) == 0


def test_a_window_counts_on_while_it_is_full_and_says_so() -> None:
    ticks = Ticks()
    windows = Windows(2, 60, ticks)
    assert [windows.add(ANNA) for _ in range(4)] == [False, False, True, True]
    ticks.advance(60)
    assert windows.add(ANNA) is False


def test_what_is_not_allowed_does_not_count() -> None:
    ticks = Ticks()
    windows = Windows(1, 1, ticks)
    allowed = []
    for _ in range(40):
        allowed.append(windows.is_allowed(ANNA))
        ticks.advance(0.1)
    assert [index for index, one in enumerate(allowed) if one] == [0, 10, 20, 30]


def test_a_stranger_who_varies_keys_fills_no_memory() -> None:
    ticks = Ticks()
    buckets, windows = Buckets(50, 100, ticks, capacity=100), Windows(10, 60, ticks, capacity=100)
    for key in range(10_000):
        buckets.take(key)
        windows.add(key)
    assert (len(buckets), len(windows)) == (100, 100)


def test_without_a_capacity_the_memory_would_grow() -> None:
    windows = Windows(10, 60, Ticks(), capacity=1_000_000)
    for key in range(10_000):
        windows.add(key)
    assert len(windows) == 10_000


def test_the_key_that_was_quiet_longest_is_forgotten_first() -> None:
    ticks = Ticks()
    windows = Windows(2, 60, ticks, capacity=2)
    for key in (ANNA, BERT, ANNA, 3):
        windows.add(key)
    assert windows.wait(ANNA) > 0
    windows.add(BERT)
    assert windows.wait(BERT) == 0  # its first event was forgotten


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("::1", "::/64"),
        ("", ""),
        ("not an address", "not an address"),
    ],
)
def test_addresses_of_one_block_of_ipv6_are_one_source(address: str, source: str) -> None:
    assert source_of(address) == source


def test_what_counts_for_more_than_one_needs_as_many_tokens() -> None:
    ticks = Ticks()
    buckets = Buckets(1, 10, ticks)
    assert (buckets.take(ANNA), buckets.take_more(ANNA, 5)) == (0, 0)  # six of ten
    assert (buckets.take(ANNA), buckets.take_more(ANNA, 4)) == (0, SECOND)  # three are left, and four are needed
    ticks.advance(1)
    assert buckets.take_more(ANNA, 4) == 0
    assert buckets.take(ANNA) == SECOND


def test_what_needs_more_than_a_bucket_holds_is_let_through_when_it_is_full_and_leaves_a_debt() -> None:
    ticks = Ticks()
    buckets = Buckets(1, 10, ticks)
    assert (buckets.take(ANNA), buckets.take_more(ANNA, 99)) == (0, 0)
    assert buckets.take(ANNA) == 91 * SECOND
    assert buckets.take(BERT) == 0
    ticks.advance(91)
    assert buckets.take(ANNA) == 0
    ticks.advance(9)  # one of ten is missing
    assert (buckets.take(ANNA), buckets.take_more(ANNA, 99)) == (0, SECOND)


def test_without_a_rate_more_costs_nothing() -> None:
    assert Buckets(0, 1, Ticks()).take_more(ANNA, 500) == 0
