# SPDX-License-Identifier: Apache-2.0
"""The words of the business: secrets that do not leak by accident, and filters of lists."""

import copy
import pickle

import pytest

from mysafe.domain.ids import UserId
from mysafe.domain.items import ItemMeta, ListFilter, split_tags
from mysafe.domain.secret_text import SecretText

SECRET = SecretText("canary")


def test_a_secret_is_given_away_by_reveal_only() -> None:
    assert SECRET.reveal() == "canary"
    shown = [repr(SECRET), str(SECRET), f"{SECRET}", f"{SECRET!r:>30}", "%s" % SECRET, repr([SECRET])]  # noqa: UP031
    assert all("canary" not in text for text in shown)


def test_a_secret_cannot_be_compared_hashed_pickled_or_copied() -> None:
    for act in (
        lambda: SecretText("canary") == SECRET,
        lambda: SECRET != "canary",
        lambda: hash(SECRET),
        lambda: pickle.dumps(SECRET),
        lambda: copy.copy(SECRET),
    ):
        with pytest.raises(TypeError) as raised:
            act()
        assert "canary" not in str(raised.value)


META = ItemMeta("Stra\u00dfe", "https://x.example/A", "Anna", " one,Two words ,,", (), True, UserId(1), UserId(1), 0, 0)


@pytest.mark.parametrize(
    ("wanted", "is_match"),
    [
        (ListFilter(), True),
        (ListFilter(name="STRASSE"), True),
        (ListFilter(name="stra"), False),
        (ListFilter(username="anna", url="https://X.EXAMPLE/a"), True),
        (ListFilter(username="anna", url="https://other"), False),
        (ListFilter(tag="two WORDS"), True),
        (ListFilter(tag=" one "), True),
        (ListFilter(tag="two"), False),
        (ListFilter(tag="  "), True),
        (ListFilter(tag=","), False),
    ],
)
def test_a_filter_matches_whole_values_without_case(wanted: ListFilter, is_match: bool) -> None:
    assert wanted.matches(META) is is_match


def test_tags_are_split_at_commas_and_trimmed() -> None:
    assert split_tags(META.tags) == ["one", "two words"]
    assert split_tags("") == []
