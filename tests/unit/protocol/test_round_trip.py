# SPDX-License-Identifier: Apache-2.0
"""Any text goes in and out byte for byte, or is refused with one of the declared errors."""

import json
from urllib.parse import urlencode

from hypothesis import example, given
from hypothesis import strategies as st

from mysafe.domain.errors import BadBody, BadSeed, InvalidField, InvalidInput, MissingField, TooLong
from mysafe.domain.sharing import PrincipalType, UnsharedName
from mysafe.protocol import envelope, passwords
from mysafe.protocol.body import parse_body
from tests.unit.protocol.views import entity_of, view

ODD_TEXTS = (
    "\0",
    "\ud800",
    "\udc00\ud800",
    "\U0001f511",
    "e\u0301",
    "\ufeff",
    "\u202e",
    "\u2028",
    "\x7f",
    " x ",
    '"\\/',
)
texts = st.text(max_size=30) | st.sampled_from(ODD_TEXTS)


def is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def through_json(fields: dict[str, str], *, escaped: bool) -> bytes | None:
    """Return the JSON of some fields, None where it cannot be written as UTF-8."""
    try:
        return json.dumps(fields, ensure_ascii=escaped).encode()
    except UnicodeEncodeError:
        return None


def shown(body: bytes, content_type: str) -> dict[str, object] | InvalidInput:
    """Return the entity of a single read, decoded by another program, of what a body creates; or why it does not."""
    try:
        entity = entity_of(view(parse_body(body, content_type)))
    except InvalidInput as error:
        return error
    answer = json.loads(envelope.success(200, "Success", "password_entity", entity).decode("utf-8"))
    decoded = answer["password_entity"]
    assert isinstance(decoded, dict)
    return decoded


def is_kept_or_refused(fields: dict[str, str], body: bytes, content_type: str) -> bool:
    """Return whether the fields came back as they were, or were refused for a reason that they give."""
    match shown(body, content_type):
        case BadBody() | InvalidField():
            return not all(map(is_storable, fields.values()))
        case MissingField(field=name):
            return not fields[name].strip()
        case dict() as entity:
            return all(entity[name] == text and is_storable(text) for name, text in fields.items())
        case _:
            return False


all_texts = st.fixed_dictionaries(dict.fromkeys(("name", "username", "password", "url", "notes"), texts))


@given(all_texts, st.booleans())
@example({"name": "n", "username": "u", "password": " \U0001f511\u0301 ", "url": "\ufeff", "notes": "\r\n"}, True)
def test_text_in_json_comes_back_byte_for_byte_or_is_refused(fields: dict[str, str], escaped: bool) -> None:
    body = through_json(fields, escaped=escaped)
    assert body is None or is_kept_or_refused(fields, body, "application/json")


@given(all_texts)
def test_text_in_a_form_comes_back_byte_for_byte_or_is_refused(fields: dict[str, str]) -> None:
    body = urlencode(fields, errors="surrogatepass").encode("ascii")
    assert is_kept_or_refused(fields, body, "application/x-www-form-urlencoded")


def test_text_that_was_changed_on_the_way_would_be_noticed() -> None:
    sent = dict.fromkeys(("name", "username", "password", "url", "notes"), " x ")
    trimmed = {name: text.strip() for name, text in sent.items()}
    assert is_kept_or_refused(sent, json.dumps(sent).encode(), "application/json")
    assert not is_kept_or_refused(sent, json.dumps(trimmed).encode(), "application/json")


def refused_or(fields: dict[str, object], name: str) -> object:
    """Return what became of one field of a password, or the error."""
    made = shown(json.dumps({"name": "n", "username": "u", "password": "p", **fields}).encode(), "application/json")
    return made[name] if isinstance(made, dict) else made


@given(texts)
def test_tags_come_back_but_for_their_ends(text: str) -> None:
    got = refused_or({"tags": text}, "tags")
    assert got == text.strip() if is_storable(text) else isinstance(got, BadBody | InvalidField)


@given(st.lists(texts, max_size=3))
def test_names_of_shares_come_back_byte_for_byte(names: list[str]) -> None:
    got = refused_or({"users_allowed": [{"username": name} for name in names]}, "users_allowed")
    if all(map(is_storable, names)):
        assert got == [{"username": name, "can_edit": False} for name in names]
    else:
        assert isinstance(got, BadBody | InvalidField)


@given(st.text(st.characters(codec="utf-8")))
def test_a_name_in_shared_error_comes_back_byte_for_byte(name: str) -> None:
    shown_view = view(
        {"name": "n", "username": "u", "password": "p"}, unshared=(UnsharedName(PrincipalType.USER, name),)
    )
    answer = json.loads(envelope.success(201, "", "e", passwords.changed(shown_view)))
    assert answer["e"]["shared_error"] == [{"username": name, "message": "User not found"}]


FIELD_NAMES = ("name", "username", "password", "url", "secret_key", "notes", "tags", "users_allowed", "groups_allowed")
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["username", "name", "can_edit"]), inner)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*FIELD_NAMES, "other"]), values))
def test_any_object_is_a_password_or_a_complaint_that_names_a_known_field(fields: dict[str, object]) -> None:
    made = shown(json.dumps(fields).encode(), "application/json")
    if isinstance(made, MissingField | InvalidField | TooLong | BadSeed):
        assert made.field in FIELD_NAMES
    elif isinstance(made, InvalidInput):
        assert isinstance(made, BadBody)
        assert "\\ud" in json.dumps(fields)
