# SPDX-License-Identifier: Apache-2.0
"""Problem documents and models of the management API."""

import json
from datetime import datetime

import pytest

from mysafe.domain import errors
from mysafe.domain.secret_text import SecretText
from mysafe.protocol.compatibility import Compatibility
from mysafe.server.api.call import Call
from mysafe.server.api.manage import bodies, problems
from mysafe.server.api.manage.paging import Page, read_page
from mysafe.services.accounts.key_rules import KeyRules
from mysafe.services.authentication import Caller
from tests.unit.server.test_api_errors import classes

CANARY = "canary-7391"


class Sample(bodies.Model, frozen=True):
    """A model of these tests."""

    name: str
    count: int = 0
    names: tuple[str, ...] = ()


def call(body: bytes) -> Call:
    headers = {b"content-type": b"application/json"}
    return Call("POST", ("7", "3"), b"", headers, body, Caller("127.0.0.1"), Compatibility(), KeyRules())


def test_a_body_becomes_a_model_and_a_model_an_answer() -> None:
    read = bodies.read(call(b'{"name": "a", "count": "3", "names": ["b"]}'), Sample)
    assert read == Sample(name="a", count=3, names=("b",))
    answer = bodies.answer(read, 201)
    assert (answer.status, json.loads(answer.body)) == (201, {"name": "a", "count": 3, "names": ["b"]})


@pytest.mark.parametrize(
    ("body", "complaint", "field"),
    [
        (b"{}", errors.MissingField, "name"),
        (b'{"name": {"%s": 1}}' % CANARY.encode(), errors.InvalidField, "name"),
        (b'{"name": "a", "count": "%s"}' % CANARY.encode(), errors.InvalidField, "count"),
        (b'{"name": "a", "names": ["b", true]}', errors.InvalidField, "names[1]"),
        (b'{"name": "a", "nmae": "%s"}' % CANARY.encode(), errors.InvalidField, "nmae"),
        (b'{"name": "a", "%s` x": 1}' % CANARY.encode(), errors.InvalidField, "body"),
    ],
)
def test_a_body_that_does_not_fit_names_the_field_and_no_value(
    body: bytes, complaint: type[errors.InvalidInput], field: str
) -> None:
    with pytest.raises(complaint) as caught:
        bodies.read(call(body), Sample)
    assert vars(caught.value) == {"field": field}
    assert CANARY not in f"{caught.value!r} {caught.value.__context__!r} {caught.value.__cause__!r}"


class Secretive(bodies.Model, frozen=True):
    """A model with a password in it, and what must not be done: one as a text."""

    password: SecretText
    careless: str = ""


def test_a_secret_field_is_not_in_the_repr_of_its_model() -> None:
    read = bodies.read(call(b'{"password": "%s", "careless": "text"}' % CANARY.encode()), Secretive)
    assert read.password.reveal() == CANARY
    assert (CANARY in repr(read), "text" in repr(read)) == (False, True)
    with pytest.raises(errors.InvalidField) as caught:
        bodies.read(call(b'{"password": ["%s"]}' % CANARY.encode()), Secretive)
    assert caught.value.field == "password"


@pytest.mark.parametrize(
    ("query", "page"),
    [({}, Page(0, 100)), ({"after": "7", "limit": "500"}, Page(7, 500)), ({"after": ""}, Page(0, 100))],
)
def test_a_page_is_read_from_the_query(query: dict[str, str], page: Page) -> None:
    assert read_page(query) == page


@pytest.mark.parametrize("query", [{"limit": "501"}, {"limit": "0"}, {"limit": "\u0663"}, {"after": "9" * 30}])
def test_a_page_that_cannot_be_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidField):
        read_page(query)


class Timed(bodies.Model, frozen=True):
    """A model with a time."""

    at: datetime


@pytest.mark.parametrize("at", ["253402300800", '"253402300800"', '"nonsense"', "-99999999999999"])
def test_a_time_that_no_calendar_has_is_refused(at: str) -> None:
    with pytest.raises(errors.InvalidInput):
        bodies.read(call(b'{"at": %s}' % at.encode()), Timed)


def test_a_number_in_the_place_of_a_text_becomes_a_plain_text() -> None:
    read = bodies.read(call(b'{"name": 1.50, "names": [0]}'), Sample)
    assert (read.name, read.names) == ("1.50", ("0",))
    assert {type(text) for text in (read.name, *read.names)} == {str}  # what is not plain cannot be sealed


@pytest.mark.parametrize("body", [b"[]", b'{"name": NaN}', b'{"name": "a", "name": "b"}', b"{"])
def test_a_body_that_is_no_strict_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(errors.BadBody):
        bodies.read(call(body), Sample)


def test_every_class_of_the_tree_has_a_problem_document() -> None:
    assert len(classes()) > 20
    for kind in classes():
        problem = next(problems.TABLE[one] for one in kind.__mro__ if one in problems.TABLE)
        assert problem.status >= 400
    codes = [problem.code for problem in problems.TABLE.values()]
    assert len(codes) == len(set(codes))


def test_a_problem_says_which_field_and_how_long_but_no_reason() -> None:
    answer = problems.answer_to(errors.TooLong("name", 255), Compatibility())
    body = json.loads(answer.body)
    assert (answer.status, body["code"], body["field"], body["limit"]) == (400, "too_long", "name", 255)
    denied = problems.answer_to(errors.AccessDenied("has view, needs own", "password"), Compatibility())
    assert b"view" not in denied.body
    assert dict(problems.answer_to(errors.Busy(), Compatibility()).headers)[b"retry-after"] == b"1"
    assert dict(problems.answer_to(errors.TooMany(7), Compatibility()).headers)[b"retry-after"] == b"7"
