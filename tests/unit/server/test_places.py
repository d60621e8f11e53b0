# SPDX-License-Identifier: Apache-2.0
"""Places: a number of them for all, a part of them for each user."""

import pytest

from mysafe.domain.errors import Busy, TooMany
from mysafe.server.places import Places


class Three(Places):
    number = 3
    of_one = 2


def test_there_are_no_more_places_than_their_number_and_one_that_is_given_back_is_free() -> None:
    places = Three()
    taken = [places.take() for _ in range(3)]
    with pytest.raises(Busy):
        places.take()
    taken[0].give_back()
    assert places.take() is not taken[0]


def test_a_user_gets_a_part_of_them_and_another_one_the_rest() -> None:
    places = Three()
    for _ in range(2):
        places.take().give_to(1)
    place = places.take()
    with pytest.raises(TooMany) as refused:
        place.give_to(1)
    assert refused.value.retry_after_seconds == 1
    place.give_to(2)


def test_a_place_that_was_refused_is_free_again_and_counts_for_nobody() -> None:
    places = Three()
    for _ in range(2):
        places.take().give_to(1)
    for _ in range(3):
        with pytest.raises(TooMany), places.take() as place:
            place.give_to(1)
    places.take().give_to(2)


def test_a_place_counts_once_and_is_given_back_once() -> None:
    places = Three()
    place = places.take()
    place.give_to(1)
    place.give_to(1)
    places.take().give_to(1)
    place.give_back()
    place.give_back()
    places.take().give_to(1)
    places.take()
    with pytest.raises(Busy):
        places.take()
