# SPDX-License-Identifier: Apache-2.0
"""Single fields: types, blanks, lengths and trimming (contract 9, rules 10 to 13, 15 and 20 to 23)."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mysafe.domain.errors import BadSeed, InvalidField, MissingField, TooLong
from mysafe.domain.sharing import ShareRequest
from mysafe.protocol.fields import LIMITS, check_share_names, checked, seed, shares, texts
from mysafe.protocol.json_body import NumberText


def required_text(fields: Mapping[str, object], name: str) -> str:
    return texts(fields, (name,), {name}, is_update=False)[name]


def optional_text(fields: Mapping[str, object], name: str) -> str:
    return texts(fields, (name,), (), is_update=False)[name]


def tags(fields: Mapping[str, object]) -> str:
    return optional_text(fields, "tags")


NO_TEXTS: list[object] = [True, False, [], {}, ["x"], {"x": "y"}]
NO_STORABLE_TEXTS = ["\0", "a\0b", "\ud800", "a\udfffb", "\ud83d\udd11"]


@pytest.mark.parametrize("value", [None, "", " ", "\t\r\n", "\u00a0\u2003", "absent"])
def test_a_required_field_that_is_absent_null_empty_or_blank_is_missing(value: str | None) -> None:
    with pytest.raises(MissingField) as caught:
        required_text({} if value == "absent" else {"name": value}, "name")
    assert caught.value.field == "name"


@pytest.mark.parametrize("value", ["n", " n ", "\tn\n", "\u200b", "é", "\U0001f511", "0", "false", "null", "e\u0301"])
def test_a_text_is_kept_as_sent(value: str) -> None:
    assert required_text({"name": value}, "name") == value
    assert optional_text({"name": value}, "name") == value


@pytest.mark.parametrize("value", ["", " ", "\t"])
def test_a_blank_optional_text_is_kept_as_sent(value: str) -> None:
    assert optional_text({"url": value}, "url") == value


@pytest.mark.parametrize("fields", [{}, {"url": None}])
def test_an_optional_text_that_is_absent_or_null_is_empty(fields: dict[str, object]) -> None:
    assert optional_text(fields, "url") == ""


@pytest.mark.parametrize("literal", ["0", "-0", "1.50", "1e5"])
def test_a_number_is_its_text_and_nothing_but_a_text(literal: str) -> None:
    for read, name in ((required_text, "name"), (optional_text, "name"), (optional_text, "tags")):
        text = read({name: NumberText(literal)}, name)
        assert text == literal
        assert type(text) is str


@pytest.mark.parametrize("value", [*NO_TEXTS, *NO_STORABLE_TEXTS], ids=repr)
def test_what_is_no_text_or_cannot_be_stored_is_invalid(value: object) -> None:
    for read in (required_text, optional_text):
        with pytest.raises(InvalidField) as caught:
            read({"name": value}, "name")
        assert caught.value.field == "name"
        assert caught.value.args == ("name",)


def test_a_blank_text_with_a_nul_is_invalid_rather_than_missing() -> None:
    with pytest.raises(InvalidField):
        required_text({"name": " \0"}, "name")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ""),
        ("", ""),
        ("  ", ""),
        ("tag1, tag2", "tag1, tag2"),
        ("  a ,,  b\t", "a ,,  b"),
        ([], ""),
        (["a"], "a"),
        (["a", "b c", NumberText("7")], "a, b c, 7"),
        ([" a ", " b "], "a ,  b"),
    ],
)
def test_tags_are_kept_as_sent_with_their_ends_trimmed_and_an_array_is_joined(value: object, expected: str) -> None:
    assert tags({"tags": value}) == expected


@pytest.mark.parametrize("value", [True, {}, [True], [None], [["a"]], [{"a": "b"}], "a\0", ["a", "\0"]], ids=repr)
def test_tags_of_another_type_are_invalid(value: object) -> None:
    with pytest.raises(InvalidField) as caught:
        tags({"tags": value})
    assert caught.value.field == "tags"


def test_an_update_leaves_out_what_is_absent_or_null_and_reads_the_rest_like_a_create() -> None:
    fields = {"name": None, "url": "", "tags": [" a "]}
    assert texts(fields, ("name", "username", "url", "tags"), {"name", "username"}, is_update=True) == {
        "url": "",
        "tags": "a",
    }


@pytest.mark.parametrize("value", ["", " ", "\u00a0"])
def test_an_update_cannot_clear_a_required_field(value: str) -> None:
    with pytest.raises(MissingField):
        texts({"name": value}, ("name",), {"name"}, is_update=True)


def test_the_first_field_in_order_is_complained_about() -> None:
    with pytest.raises(InvalidField) as caught:
        texts({"b": True}, ("a", "b", "c"), {"c"}, is_update=False)
    assert caught.value.field == "b"


def test_an_absent_sharing_list_differs_from_an_empty_one() -> None:
    assert shares({}, "users_allowed", key="username") is None
    assert shares({"users_allowed": None}, "users_allowed", key="username") is None
    assert shares({"users_allowed": []}, "users_allowed", key="username") == ()


def test_shares_keep_their_order_and_their_duplicates() -> None:
    value = [{"username": "x", "can_edit": True}, {"username": "y"}, {"username": "x"}, {"username": NumberText("5")}]
    assert shares({"users_allowed": value}, "users_allowed", key="username") == (
        ShareRequest("x", True),
        ShareRequest("y", False),
        ShareRequest("x", False),
        ShareRequest("5", False),
    )


@pytest.mark.parametrize("element", [{}, {"name": "x"}, {"username": None}, {"can_edit": True}])
def test_an_entry_without_a_name_is_kept_for_shared_error(element: dict[str, object]) -> None:
    (request,) = shares({"users_allowed": [element]}, "users_allowed", key="username") or ()
    assert request == ShareRequest(None, "can_edit" in element)


@pytest.mark.parametrize(
    "value",
    ["", "pduarte", "[]", True, False, {}, {"username": "x"}, NumberText("1"), ["x"], [None], [[]], [NumberText("1")],
     [{"username": "x"}, "y"], [{"username": True}], [{"username": []}], [{"username": {}}], [{"username": "a\0"}]],
    ids=repr,
)  # fmt: skip
def test_a_sharing_list_that_is_no_array_of_objects_is_invalid(value: object) -> None:
    with pytest.raises(InvalidField) as caught:
        shares({"users_allowed": value}, "users_allowed", key="username")
    assert caught.value.field == "users_allowed"


@pytest.mark.parametrize("value", [True, "true", NumberText("1"), "1"], ids=repr)
def test_four_values_mean_that_editing_is_allowed(value: object) -> None:
    assert shares({"g": [{"name": "x", "can_edit": value}]}, "g", key="name") == (ShareRequest("x", True),)


@pytest.mark.parametrize(
    "value",
    [None, False, "false", "", "0", NumberText("0"), NumberText("1.0"), NumberText("2"), "True", "TRUE", " true",
     "yes", "on", [], ["true"], [True], {}, {"true": True}],
    ids=repr,
)  # fmt: skip
def test_every_other_value_means_that_it_is_not(value: object) -> None:
    assert shares({"g": [{"name": "x", "can_edit": value}]}, "g", key="name") == (ShareRequest("x", False),)


@pytest.mark.parametrize(
    ("name", "limit"),
    [("name", 255), ("username", 255), ("tags", 255), ("identifier_code", 255), ("client_id", 255), ("method", 255),
     ("url", 2048), ("password", 10_000), ("client_secret", 10_000), ("notes", 5_000)],
)  # fmt: skip
def test_lengths_are_those_of_rule_22_and_count_code_points(name: str, limit: int) -> None:
    assert LIMITS[name] == limit
    for letter in ("x", "é", "\U0001f511", "\u0301"):
        assert checked({name: letter * limit}, 900) == {name: letter * limit}
        with pytest.raises(TooLong) as caught:
            checked({name: letter * (limit + 1)}, 900)
        assert (caught.value.field, caught.value.limit) == (name, limit)


def test_the_longest_note_is_a_setting() -> None:
    assert LIMITS["secret_key"] == 255
    assert checked({"note": "x" * 900}, 900)
    assert checked({"note": "\U0001f511" * 901}, 901)
    with pytest.raises(TooLong) as caught:
        checked({"note": "x" * 902}, 901)
    assert (caught.value.field, caught.value.limit) == ("note", 901)


def test_lengths_and_the_seed_are_checked_in_field_order() -> None:
    with pytest.raises(BadSeed):
        checked({"name": "n", "secret_key": "!", "notes": "x" * 5001}, 900)
    assert checked({"secret_key": "jbsw y3dp ehpk 3pxp"}, 900) == {"secret_key": "JBSWY3DPEHPK3PXP"}


def test_the_names_of_a_sharing_list_are_as_long_as_names_may_be() -> None:
    check_share_names((ShareRequest(None, False), ShareRequest("x" * 255, False)), "username")
    with pytest.raises(TooLong) as caught:
        check_share_names((ShareRequest("x", False), ShareRequest("x" * 256, False)), "username")
    assert (caught.value.field, caught.value.limit) == ("username", 255)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("", ""),
        ("   ", ""),
        ("JBSWY3DPEHPK3PXP", "JBSWY3DPEHPK3PXP"),
        ("jbsw y3dp ehpk 3pxp", "JBSWY3DPEHPK3PXP"),
        (" jBsWy3DpEhPk3PxP ", "JBSWY3DPEHPK3PXP"),
        ("3DPEHPK3PXPGHODADA", "3DPEHPK3PXPGHODADA"),
        ("A" * 10, "A" * 10),
        ("ABCDEFGHIJ======", "ABCDEFGHIJ======"),
        ("abcdefghij==", "ABCDEFGHIJ=="),
        ("A" * 11, "A" * 11),
        ("ABCDEFGH==", "ABCDEFGH=="),
        ("A" * 14 + "==", "A" * 14 + "=="),
        ("A" * 255, "A" * 255),
        ("A " * 255, "A" * 255),
        ("234567ABCDEFGHIJKLMNOPQRSTUVWXYZ", "234567ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
    ],
)
def test_a_seed_is_stored_without_spaces_and_in_upper_case(sent: str, stored: str) -> None:
    assert seed("secret_key", sent) == stored


@pytest.mark.parametrize(
    "sent",
    ["A", "A" * 9, "A A A A A A A A A", "=" * 16, "ABCDEFGHI=======", "AB======", "ABCDEFGHIJ=======",
     "JBSWY3DPEHPK3PX0", "JBSWY3DPEHPK3PX1", "JBSWY3DPEHPK3PX8", "JBSWY3DPEHPK3PX9", "JBSWY3DPEHPK3PXP.",
     "JBSWY3DP=HPK3PXP", "=JBSWY3DPEHPK3PXP", "JBSWY3DP-EHPK3PXP", "JBSWY3DP\tEHPK3PXP", "JBSWY3DPEHPK3PXP\n",
     "JBSWY3DP\u00a0EHPK3PXP", "ßßßßßßßß", "ſſſſſſſſſſ", "ıııııııııı", "ﬀﬀﬀﬀﬀﬀﬀﬀ", "ＪＢＳＷＹ３ＤＰＥＨＰＫ３ＰＸＰ"],
)  # fmt: skip
def test_what_is_not_base32_of_ten_characters_is_no_seed(sent: str) -> None:
    with pytest.raises(BadSeed) as caught:
        seed("secret_key", sent)
    assert caught.value.args == ("secret_key",)


def test_upper_case_alone_would_make_base32_of_other_letters() -> None:
    assert "ßßßßßßßß".upper() == "S" * 16
    assert "ſſſſſſſſſſ".upper() == "S" * 10


def test_a_seed_too_long_is_too_long_before_it_is_bad() -> None:
    for sent in ("A" * 256, "!" * 256):
        with pytest.raises(TooLong):
            seed("secret_key", sent)


@given(st.text())
def test_any_text_is_kept_as_it_is_or_refused(text: str) -> None:
    try:
        kept = optional_text({"notes": text}, "notes")
    except InvalidField:
        assert "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)
    else:
        assert kept == text
        assert kept.encode("utf-8").decode("utf-8") == text


@given(st.text(alphabet="ABCabc234567= 018é", max_size=40))
def test_a_seed_is_refused_exactly_when_rule_13_says_so(text: str) -> None:
    compact = text.replace(" ", "").upper()
    letters = compact.rstrip("=")
    is_seed = len(compact) >= 10 and letters != "" and set(letters) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    try:
        stored = seed("secret_key", text)
    except BadSeed:
        assert not is_seed or len(compact) - len(letters) > 6
    else:
        assert stored == compact
        assert is_seed or not stored
