# SPDX-License-Identifier: Apache-2.0
"""Passwords on the wire: what a request means, the order of its checks, how a password is shown (contract 4)."""

import json
from collections.abc import Mapping

import pytest

from mysafe.domain.errors import BadSeed, InvalidField, InvalidInput, MissingField, TooLong
from mysafe.domain.items import ListFilter
from mysafe.domain.sharing import PrincipalType, ShareRequest, UnsharedName
from mysafe.protocol import passwords
from mysafe.protocol.items import parse_filter
from mysafe.protocol.json_body import NumberText, parse_json
from tests.support.golden import GOLDEN, read
from tests.unit.protocol.views import draft_of, entity_of, listed, secret_of, view

LEAST: dict[str, object] = {"name": "n", "username": "u", "password": "p"}
SEED_REQUEST = GOLDEN / "password.create.request.json"


def same(got: object, wanted: object) -> bool:
    """Return whether two JSON values are equal with their types and the order of their keys."""
    return json.dumps(got) == json.dumps(wanted)


def entity(name: str, key: str = "password_entity") -> object:
    """Return the entity of a golden answer."""
    answer = read(name)
    assert isinstance(answer, dict)
    return answer[key]


def golden_fields(name: str) -> dict[str, object]:
    """Return the fields of the golden request or entity that makes a password."""
    found = read(name)
    assert isinstance(found, dict)
    inner = found.get("password_entity", found)
    assert isinstance(inner, dict)
    return dict(inner)


def test_the_request_of_the_documentation_is_understood() -> None:
    draft = draft_of(parse_json(SEED_REQUEST.read_bytes()))
    assert (draft.name, draft.username, draft.url, draft.tags) == (
        "senseg account",
        "npass",
        "www.Segura.com",
        "tag1, tag2",
    )
    password, seed, notes = secret_of(draft)
    assert seed is not None
    assert [text.reveal() for text in (password, seed, notes)] == ["8jhfy@3789", "JBSWY3DPEHPK3PXP", "Access details"]
    assert draft.users == (ShareRequest("pduarte", False),)
    assert draft.groups == (ShareRequest("Test group", False),)


def test_secrets_do_not_show_in_the_draft() -> None:
    draft = draft_of(parse_json(SEED_REQUEST.read_bytes()))
    assert "npass" in repr(draft)
    for secret in ("8jhfy@3789", "JBSWY3DPEHPK3PXP", "Access details"):
        assert secret not in repr(draft)


@pytest.mark.parametrize("nothing", [{}, {"url": None, "secret_key": None, "notes": None, "tags": None,
                                          "users_allowed": None, "groups_allowed": None, "colour": "red"}])  # fmt: skip
def test_optional_fields_have_their_defaults_and_unknown_ones_are_ignored(nothing: dict[str, object]) -> None:
    draft = draft_of({**LEAST, **nothing})
    assert (draft.url, draft.tags, draft.users, draft.groups) == ("", "", (), ())
    assert secret_of(draft).secret_key is None
    assert secret_of(draft).notes.reveal() == ""


def test_nothing_is_trimmed_but_the_tags_and_the_seed() -> None:
    sent = {"name": " n ", "username": "\tu ", "password": " p\n", "url": " x ", "notes": " o ", "tags": " a, b ",
            "secret_key": " jbsw y3dp ehpk 3pxp "}  # fmt: skip
    got = entity_of(view(sent))
    assert {key: got[key] for key in sent} == {**sent, "tags": "a, b", "secret_key": "JBSWY3DPEHPK3PXP"}


def test_numbers_become_plain_text_in_every_field() -> None:
    one = NumberText("1.50")
    draft = draft_of({"name": one, "username": one, "password": one, "url": one, "notes": one, "tags": one})
    for text in (draft.name, draft.username, draft.url, draft.tags, secret_of(draft).password.reveal()):
        assert (text, type(text)) == ("1.50", str)


# The checking order (contract 7)

FIELDS = ("name", "username", "password", "url", "secret_key", "notes", "tags", "users_allowed", "groups_allowed")
LONG: dict[str, object] = {
    "name": "x" * 256,
    "username": "x" * 256,
    "password": "x" * 10_001,
    "url": "x" * 2049,
    "secret_key": "!",
    "notes": "x" * 5_001,
    "tags": "x" * 256,
    "users_allowed": [{"username": "x" * 256}],
    "groups_allowed": [{"name": "x" * 256}],
}


def complaint(fields: Mapping[str, object]) -> tuple[type[InvalidInput], str]:
    """Return the class and the field of the first complaint about a request."""
    with pytest.raises(InvalidInput) as caught:
        draft_of(fields)
    assert isinstance(caught.value, MissingField | InvalidField | TooLong | BadSeed)
    return type(caught.value), caught.value.field


@pytest.mark.parametrize("absent", [{}, {"name": None, "username": "", "password": "  "}])
def test_the_required_fields_are_asked_for_in_the_documented_order(absent: dict[str, object]) -> None:
    assert complaint(absent) == (MissingField, "name")
    assert complaint({**absent, "name": "n"}) == (MissingField, "username")
    assert complaint({**absent, "name": "n", "username": "u"}) == (MissingField, "password")
    assert draft_of({**absent, **LEAST}).name == "n"


@pytest.mark.parametrize("at", range(len(FIELDS)))
def test_types_are_checked_in_field_order_and_before_every_length(at: int) -> None:
    wrong = {**LEAST, **LONG, **dict.fromkeys(FIELDS[at:], True)}
    assert complaint(wrong) == (InvalidField, FIELDS[at])
    assert complaint(dict(reversed(wrong.items()))) == (InvalidField, FIELDS[at])


@pytest.mark.parametrize("at", range(len(FIELDS)))
def test_lengths_and_base32_are_checked_in_field_order(at: int) -> None:
    name = FIELDS[at]
    expected = {
        "secret_key": (BadSeed, name),
        "users_allowed": (TooLong, "username"),
        "groups_allowed": (TooLong, "name"),
    }
    long = {**LEAST, **{field: LONG[field] for field in FIELDS[at:]}}
    assert complaint(long) == expected.get(name, (TooLong, name))


def test_exactly_the_limits_pass() -> None:
    exact = {"name": "é" * 255, "username": "x" * 255, "password": "\U0001f511" * 10_000, "url": "x" * 2048,
             "secret_key": "A" * 255, "notes": "x" * 5_000, "tags": f" {'x' * 255} ",
             "users_allowed": [{"username": "x" * 255}], "groups_allowed": [{"name": "x" * 255}]}  # fmt: skip
    assert draft_of(exact).name == "é" * 255


def test_a_sharing_list_of_json_true_is_named_in_the_complaint() -> None:
    assert complaint({**LEAST, "groups_allowed": [{"name": False}]}) == (InvalidField, "groups_allowed")


# Filters (contract 4.2; contract 9, rules 15 and 16)


def test_filters_are_taken_by_their_names() -> None:
    query = {"tag": "t", "name": "n", "username": "u", "url": "l"}
    assert parse_filter(query) == ListFilter(name="n", username="u", url="l", tag="t")


@pytest.mark.parametrize("query", [{}, {"name": "", "tag": "", "username": "", "url": ""}])
def test_an_empty_filter_is_none(query: dict[str, str]) -> None:
    assert parse_filter(query) == ListFilter()


# Entities against the golden answers


@pytest.mark.parametrize(
    ("request_file", "answer"),
    [
        ("password.create.request.json", "password.create.response.json"),
        ("password.update.request.json", "password.update.response.json"),
    ],
)
def test_the_answer_to_a_change_is_the_golden_one(request_file: str, answer: str) -> None:
    fields = parse_json((GOLDEN / request_file).read_bytes())
    assert same(passwords.changed(view(fields)), entity(answer))


@pytest.mark.parametrize(
    ("answer", "identifier"), [("password.get.response.json", 5), ("password.get.totp.response.json", 197)]
)
def test_the_answer_to_a_single_read_is_the_golden_one(answer: str, identifier: int) -> None:
    fields = golden_fields(answer)
    code = fields["token"]
    assert code is None or isinstance(code, str)
    assert same(entity_of(view(fields, identifier, token=code)), entity(answer))


@pytest.mark.parametrize("answer", sorted(path.name for path in GOLDEN.glob("password.list.*.json")))
def test_the_lines_of_a_list_are_the_golden_ones(answer: str) -> None:
    lines = entity(answer, "password_on_list")
    assert isinstance(lines, list)
    assert lines
    assert same([passwords.line(listed(line, int(line["identifier"]))) for line in lines], lines)


def test_an_order_of_keys_or_a_type_that_differs_would_be_noticed() -> None:
    got = passwords.changed(view(parse_json(SEED_REQUEST.read_bytes())))
    assert same(got, entity("password.create.response.json"))
    assert not same(dict(reversed(got.items())), entity("password.create.response.json"))
    assert not same({**got, "identifier": 312}, entity("password.create.response.json"))


def test_the_notes_are_called_note_after_a_change_and_notes_in_a_read() -> None:
    shown = view({**LEAST, "notes": "o"})
    created, single = passwords.changed(shown), entity_of(shown)
    assert (created["note"], "notes" in created) == ("o", False)
    assert (single["notes"], "note" in single) == ("o", False)


def test_a_change_echoes_no_secret_and_a_list_shows_none() -> None:
    fields = {**LEAST, "password": "CANARY1", "secret_key": "CANARYCANARYCANA", "notes": "o"}
    assert "CANARY" in json.dumps(entity_of(view(fields)))
    assert "CANARY" not in json.dumps(passwords.changed(view(fields)))
    assert "CANARY" not in json.dumps(passwords.line(listed(fields, 1)))


def test_leading_zeros_of_a_code_are_kept() -> None:
    assert entity_of(view(LEAST, token="000042"))["token"] == "000042"


def test_shares_are_shown_with_their_rights_and_named_by_username_and_name() -> None:
    fields = {**LEAST, "users_allowed": [{"username": "x", "can_edit": "1"}], "groups_allowed": [{"name": "g"}]}
    for shown in (passwords.changed(view(fields)), entity_of(view(fields))):
        assert same(shown["users_allowed"], [{"username": "x", "can_edit": True}])
        assert same(shown["groups_allowed"], [{"name": "g", "can_edit": False}])


def test_who_cannot_be_shared_with_is_named_in_shared_error() -> None:
    unshared = (
        UnsharedName(PrincipalType.USER, "ghost"),
        UnsharedName(PrincipalType.GROUP, "X"),
        UnsharedName(PrincipalType.USER, None),
        UnsharedName(PrincipalType.GROUP, None),
    )
    assert same(
        passwords.changed(view(LEAST, unshared=unshared))["shared_error"],
        [
            {"username": "ghost", "message": "User not found"},
            {"name": "X", "message": "Group not found"},
            {"username": "", "message": "User not found"},
            {"name": "", "message": "Group not found"},
        ],
    )


@pytest.mark.parametrize("can_write", [True, False])
def test_a_line_says_whether_it_can_be_changed(can_write: bool) -> None:
    line = passwords.line(listed(LEAST, 1, can_write=can_write))
    assert (line["can_view"], line["can_write"]) == (True, can_write)
    assert (line["need_justify"], line["need_approval"]) == ("0", "0")
