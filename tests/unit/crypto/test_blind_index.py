# SPDX-License-Identifier: Apache-2.0
"""Blind indexes: equal names have equal indexes, and nothing else has."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.crypto.blind_index import BlindIndex, caseless
from tests.unit.crypto.scene import stream

INDEX = BlindIndex(stream("index")(32))
TEXT = st.text(st.characters(codec="utf-8"))

SAME_NAME = [
    ("anna", "ANNA"),
    ("Zoë", "ZOE\u0308"),
    ("straße", "STRASSE"),
    ("ﬁscher", "FISCHER"),
    ("Ａｎｎａ", "anna"),
    ("ΌΣΟΣ", "όσος"),
    ("K", "\u212a"),  # the Kelvin sign
    ("ſam", "SAM"),
    ("\u1e9b\u0323", "\u1e69"),  # folding and normalisation undo each other here
    ("\u0390", "\u0399\u0308\u0301"),  # ΐ and its capital: folding it once leaves it decomposed
    ("x\u0345\u0301", "x\u0301\u03b9"),  # a mark that folds to a letter
]
OTHER_NAME = [("anna", "anne"), ("anna", "anna "), ("ana", "аna"), ("i", "ı"), ("zoe", "zoë"), ("", " ")]


@pytest.mark.parametrize(("one", "two"), SAME_NAME)
def test_case_and_compatibility_forms_do_not_count_in_names(one: str, two: str) -> None:
    assert one != two
    assert INDEX.user_name(one) == INDEX.user_name(two)
    assert INDEX.group_name(one) == INDEX.group_name(two)
    assert INDEX.private_group_name(7, one) == INDEX.private_group_name(7, two)


@pytest.mark.parametrize(("one", "two"), OTHER_NAME)
def test_other_names_have_other_indexes(one: str, two: str) -> None:
    assert INDEX.user_name(one) != INDEX.user_name(two)
    assert INDEX.group_name(one) != INDEX.group_name(two)


def test_a_private_group_is_found_by_its_owner_only_and_not_as_a_system_group() -> None:
    name = INDEX.private_group_name(7, "team")
    assert name not in {INDEX.private_group_name(8, "team"), INDEX.group_name("team"), INDEX.user_name("team")}


def test_simpler_ways_are_seen_to_miss_some() -> None:
    assert [pair for pair in SAME_NAME if pair[0].lower() != pair[1].lower()]
    folded_once = [[unicodedata.normalize("NFKC", name).casefold() for name in pair] for pair in SAME_NAME]
    assert any(one != two for one, two in folded_once)


@given(TEXT)
def test_the_caseless_form_is_stable(text: str) -> None:
    form = caseless(text)
    assert caseless(form) == form
    assert unicodedata.normalize("NFKC", form) == form
    for other in (text.casefold(), unicodedata.normalize("NFD", text), unicodedata.normalize("NFKC", text)):
        assert caseless(other) == form


@given(st.text(st.characters(codec="ascii")))
def test_the_short_way_for_ascii_is_the_long_way(text: str) -> None:
    assert caseless(text) == caseless(text + "é").removesuffix("é")


def test_client_ids_and_tokens_are_taken_byte_for_byte() -> None:
    for index in (INDEX.client_id, INDEX.token):
        assert index("Abc") == index("Abc")
        assert len({index("Abc"), index("abc"), index("ABC"), index("Ａbc"), index("Abc ")}) == 5


def test_identifier_codes_belong_to_their_owner_and_ignore_canonical_form_only() -> None:
    assert INDEX.identifier_code(1, "Zoë") == INDEX.identifier_code(1, "Zoe\u0308")
    assert INDEX.identifier_code(1, "Zoë") != INDEX.identifier_code(2, "Zoë")
    assert INDEX.identifier_code(1, "Zoë") != INDEX.identifier_code(1, "zoë")
    assert INDEX.identifier_code(1, "ﬁ") != INDEX.identifier_code(1, "fi")
    assert INDEX.identifier_code(1, "2") != INDEX.identifier_code(12, "")


def test_the_same_text_of_another_meaning_or_vault_has_another_index() -> None:
    for_all = [INDEX.user_name, INDEX.group_name, INDEX.client_id, INDEX.token, BlindIndex(bytes(32)).user_name]
    indexes = [of("abc") for of in for_all] + [INDEX.identifier_code(1, "abc")]
    assert len(set(indexes)) == 6
    assert {len(index) for index in indexes} == {16}


@given(st.lists(st.tuples(st.sampled_from(["user_name", "client_id"]), st.text(st.characters(codec="ascii")))))
def test_different_texts_do_not_collide(names: list[tuple[str, str]]) -> None:
    facts = {(method, text.lower() if method == "user_name" else text) for method, text in names}
    assert len({getattr(INDEX, method)(text) for method, text in names}) == len(facts)
