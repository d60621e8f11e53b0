# SPDX-License-Identifier: Apache-2.0
"""The OpenAPI document: complete, valid, the same each time, and true of every golden case."""

import copy
import json
import os
import re
import subprocess
import sys
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from schemathesis.specs.openapi.definitions import OPENAPI_31

import api_doc
from mysafe.domain import errors
from mysafe.domain.actions import Action
from mysafe.domain.secret_text import SecretText
from mysafe.server.api.call import About, Call, Operation, Step
from mysafe.server.api.description import document, failures
from mysafe.server.api.description.parts import Undescribed
from mysafe.server.api.description.reading import Reader
from mysafe.server.api.manage import bodies
from mysafe.server.api.manage.problems import PROBLEMS
from mysafe.server.routes import OPERATIONS
from tests.architecture.house import CHECKOUT
from tests.support.golden import Case, cases

DOCUMENT = document.describe(OPERATIONS)
CASES = cases(("password", "note", "secretapi", "oauth2", "gateway", "auth"))
ANSWERED = [case for case in CASES if case.id != "gateway.no-route" and not case.id.startswith("gateway.no-route.")]


class Part(bodies.Model, frozen=True):
    """A part of these tests."""

    count: int
    password: SecretText | None = None
    names: tuple[str, ...] = ()
    anything: object = None


class Unknown:
    """A type that nothing is known of."""


class Strange(bodies.Model, frozen=True):
    """A model that cannot be described."""

    unknown: Unknown


def handler(call: Call) -> Step:
    raise NotImplementedError


def complaints(described: dict[str, Any], pointer: str, value: object) -> list[str]:
    """Return what is wrong with a value by the schema at a place of a document."""
    resource = Resource.from_contents(described, default_specification=DRAFT202012)
    registry = Registry().with_resource("urn:api", resource)
    validator = jsonschema.Draft202012Validator({"$ref": f"urn:api#{pointer}"}, registry=registry)
    return [error.message for error in validator.iter_errors(value)]


def place(*steps: str) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def described_path(case: Case) -> str:
    path = re.sub("^/(?:api/)?iso/", "/api/", re.sub("^/iso/", "/api/", case.path)).rstrip("/")
    found = [
        one
        for one in DOCUMENT["paths"]
        if re.fullmatch(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(one)), path)
        and case.method.lower() in DOCUMENT["paths"][one]
    ]
    return str(min(found, key=lambda one: one.count("{")))


def answer_place(case: Case, described: dict[str, Any]) -> str:
    steps = ("paths", described_path(case), case.method.lower(), "responses", str(case.status))
    answer = described["paths"][steps[1]][steps[2]]["responses"][steps[4]]
    where = answer["$ref"].removeprefix("#") if "$ref" in answer else place(*steps)
    return where + place("content", "application/json", "schema")


def test_every_operation_is_described_once() -> None:
    described = [
        (method.upper(), path)
        for path, part in DOCUMENT["paths"].items()
        for method in part
        if not method.startswith("x-")
    ]
    assert sorted(described) == sorted((one.method, one.path) for one in OPERATIONS)
    names = [part[method]["operationId"] for part in DOCUMENT["paths"].values() for method in part if method[0] != "x"]
    assert len(set(names)) == len(names) == len(OPERATIONS)


@pytest.mark.parametrize("path", ["/api/other", "/api/mysafe/passwords", "/api/mysafe/password/{identifier}/parts"])
def test_an_operation_that_says_nothing_about_itself_is_refused(path: str) -> None:
    with pytest.raises(Undescribed, match=re.escape(path)):
        document.describe([*OPERATIONS, Operation("GET", path, Action.ACCOUNT_READ, handler)])


def test_an_operation_that_is_not_known_here_is_described_by_what_it_says() -> None:
    about = About("Change a part", request=Part, response=bytes, status=202, query=("force",), media="text/plain")
    path = "/api/manage/things/{thing_id}/parts/{name}"
    one = Operation("PATCH", path, Action.ACCOUNT_READ, handler, door=PROBLEMS, about=about)
    described = document.describe([*OPERATIONS, one])
    part = described["paths"][path]["patch"]
    assert part["operationId"] == "patch_manage_things_thing_id_parts_name"
    assert part["tags"] == ["Things"]
    assert [(one["name"], one["in"]) for one in part["parameters"]] == [
        ("thing_id", "path"),
        ("name", "path"),
        ("force", "query"),
    ]
    body = part["requestBody"]["content"]["application/json"]
    assert (body["schema"]["$ref"], body["example"]) == ("#/components/schemas/Part", {"count": 1})
    assert described["components"]["schemas"]["Part"]["properties"]["password"]["anyOf"][0]["format"] == "password"
    assert part["responses"]["202"]["content"] == {"text/plain": {"schema": {}}}
    assert {"400", "401", "403", "404", "409", "412", "500", "503"} < set(part["responses"])


def test_a_model_with_a_type_that_has_no_schema_is_refused() -> None:
    about = About("Show what is strange", response=Strange)
    with pytest.raises(TypeError, match="Unknown"):
        document.describe([Operation("GET", "/api/manage/strange", Action.ACCOUNT_READ, handler, about=about)])


def test_the_document_is_openapi_3_1() -> None:
    validator = jsonschema.Draft202012Validator(OPENAPI_31)
    assert [error.message for error in validator.iter_errors(DOCUMENT)] == []
    assert list(validator.iter_errors({**DOCUMENT, "info": {"title": "mysafe"}}))


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(DOCUMENT)))
    assert len(references) > 50
    for reference in references:
        Reader(DOCUMENT).resolved({"$ref": "#/" + reference})
    with pytest.raises(KeyError):
        Reader(DOCUMENT).resolved({"$ref": "#/components/schemas/Nothing"})


def test_all_golden_cases_but_the_unknown_paths_are_looked_at() -> None:
    assert len(ANSWERED) > len(CASES) - 8
    assert len(ANSWERED) > 85


@pytest.mark.parametrize("case", ANSWERED, ids=lambda case: case.id)
def test_every_golden_answer_is_as_described(case: Case) -> None:
    assert complaints(DOCUMENT, answer_place(case, DOCUMENT), case.expectation()) == []


@pytest.mark.parametrize("case", [one for one in ANSWERED if one.status < 400], ids=lambda case: case.id)
def test_an_answer_without_one_of_its_keys_is_not(case: Case) -> None:
    where, answer = answer_place(case, DOCUMENT), case.expectation()
    assert isinstance(answer, dict)
    for holder in [answer, *(value for value in answer.values() if isinstance(value, dict))]:
        for name in list(holder):
            value = holder.pop(name)
            assert complaints(DOCUMENT, where, answer), name
            holder[name] = value


@pytest.mark.parametrize(
    "case", [one for one in ANSWERED if one.request and one.status < 400], ids=lambda case: case.id
)
def test_every_golden_request_that_is_accepted_is_as_described(case: Case) -> None:
    media = "application/x-www-form-urlencoded" if case.request_encoding == "form" else "application/json"
    schema = place("paths", described_path(case), case.method.lower(), "requestBody", "content", media, "schema")
    assert complaints(DOCUMENT, schema, case.fields()) == []


@pytest.mark.parametrize("name", ["missing-name", "too-long", "missing-client-id"])
def test_golden_requests_with_a_field_missing_or_too_long_are_not(name: str) -> None:
    refused = [case for case in ANSWERED if case.request and case.id.endswith(name)]
    assert refused
    for case in refused:
        steps = ("paths", described_path(case), case.method.lower(), "requestBody", "content", "application/json")
        assert complaints(DOCUMENT, place(*steps, "schema"), case.fields()), case.id


def test_every_example_is_as_described() -> None:
    seen = 0
    for path, part in DOCUMENT["paths"].items():
        for method in (one for one in part if one[0] != "x"):
            seen += examples_seen(("paths", path, method))
    assert seen > 300


def examples_seen(steps: tuple[str, ...]) -> int:
    reader = Reader(DOCUMENT)
    operation = DOCUMENT["paths"][steps[1]][steps[2]]
    contents = [(place(*steps, "requestBody", "content"), operation.get("requestBody", {}).get("content", {}))]
    for status, answer in operation["responses"].items():
        where = answer["$ref"].removeprefix("#") if "$ref" in answer else place(*steps, "responses", status)
        contents.append((where + "/content", reader.resolved(answer).get("content", {})))
    seen = 0
    for where, content in contents:
        for media, one in content.items():
            for name, value in reader.examples(one):
                assert complaints(DOCUMENT, where + place(media, "schema"), value) == [], (where, name)
                seen += 1
    return seen


def test_each_error_of_the_tree_can_be_shown() -> None:
    kinds = failures.every_error()
    assert len(kinds) > 20
    for kind in kinds:
        assert type(failures.example(kind)) is kind
    general = {kind for kind in kinds if not failures.is_specific(kind)}
    assert {errors.Sealed, errors.TooMany} < general < set(kinds)
    assert errors.NotFound not in general


def test_the_same_table_gives_the_same_bytes_in_every_process() -> None:
    code = "import sys; from api_doc import content; sys.stdout.buffer.write(content())"
    made = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{CHECKOUT}/src:{CHECKOUT}/tools"},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert made == {document.as_json(DOCUMENT)}


def test_the_written_description_is_up_to_date() -> None:
    assert api_doc.FILE.read_bytes() == api_doc.content(), "run: make docs"


def test_a_description_that_is_not_up_to_date_is_noticed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = copy.deepcopy(DOCUMENT)
    stale["info"]["version"] = "0"
    monkeypatch.setattr(api_doc, "FILE", tmp_path / "openapi.json")
    monkeypatch.setattr(sys, "argv", ["api_doc.py", "--check"])
    assert api_doc.main() == 1
    api_doc.FILE.write_bytes(document.as_json(stale))
    assert api_doc.main() == 1
    monkeypatch.setattr(sys, "argv", ["api_doc.py"])
    assert api_doc.main() == 0
    monkeypatch.setattr(sys, "argv", ["api_doc.py", "--check"])
    assert api_doc.main() == 0
