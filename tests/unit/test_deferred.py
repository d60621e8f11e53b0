# SPDX-License-Identifier: Apache-2.0
"""Deferred input: read at once, complained about when asked."""

import pytest

from mysafe.domain.deferred import Deferred
from mysafe.domain.errors import BadBody


def test_a_value_is_read_once_and_given_each_time() -> None:
    numbers = iter(range(1, 9))
    deferred = Deferred(lambda: next(numbers))
    assert (deferred.value(), deferred.value(), next(numbers)) == (1, 1, 2)


def test_a_complaint_waits_until_the_value_is_asked_for() -> None:
    def complain() -> None:
        raise BadBody

    deferred = Deferred(complain)
    with pytest.raises(BadBody):
        deferred.value()


def test_what_is_no_complaint_about_the_input_does_not_wait() -> None:
    with pytest.raises(ZeroDivisionError):
        Deferred(lambda: 1 // 0)
