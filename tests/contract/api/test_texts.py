# SPDX-License-Identifier: Apache-2.0
"""Every text comes back as it was sent, byte for byte, or is refused with 400 (contract 1.2; contract 9, rules 12, 15).

Controls: a server that normalises, and one that escapes markup, are found out by the same check.
"""

import html
import itertools
import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from mysafe.protocol import fields as fields_module
from tests.support.server import RunningServer, authorization
from tests.support.texts import ODD_TEXTS, pieces, scalar_values

LONGEST_NOTE = 20_000
LIMITS = {
    "password": {"name": 255, "username": 255, "password": 10_000, "url": 2048, "notes": 5_000, "tags": 255},
    "note": {"name": 255, "note": LONGEST_NOTE, "tags": 255},
    "secretapi": {
        "name": 255, "url": 2048, "client_id": 255, "client_secret": 10_000, "identifier_code": 255, "method": 255,
        "tags": 255, "notes": 5_000,
    },
}  # fmt: skip
FIELDS = [(kind, field) for kind, limits in LIMITS.items() for field in limits]
EVERYTHING = scalar_values()


class Client:
    """A user with a server and a connection. Texts go in by create or update, as JSON in two spellings or as a form."""

    def __init__(self, server: RunningServer, client: httpx.Client) -> None:
        self._client = client
        self._headers = authorization(server.new_token(server.new_actor()))

    def send(self, kind: str, body: Mapping[str, str], *, escaped: bool = False, onto: str = "") -> httpx.Response:
        content = json.dumps(body, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
        headers = {**self._headers, "Content-Type": "application/json"}
        if onto:
            return self._client.put(f"/api/mysafe/{kind}/update/{onto}", content=content, headers=headers)
        return self._client.post(f"/api/mysafe/{kind}", content=content, headers=headers)

    def send_form(self, kind: str, body: Mapping[str, str]) -> httpx.Response:
        return self._client.post(f"/api/mysafe/{kind}", data=body, headers=self._headers)

    def read(self, kind: str, identifier: str) -> dict[str, Any]:
        return entity(self._client.get(f"/api/mysafe/{kind}/{identifier}", headers=self._headers))

    def listed(self, kind: str, **filters: str) -> list[dict[str, Any]]:
        answer = self._client.get(f"/api/mysafe/{kind}", params=filters, headers=self._headers)
        (lines,) = (value for key, value in answer.json().items() if key.endswith("_on_list"))
        assert isinstance(lines, list)
        return lines


def entity(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code in {200, 201}, answer.text
    (found,) = (value for key, value in answer.json().items() if key.endswith("_entity"))
    assert isinstance(found, dict)
    return found


_numbers = itertools.count(1)


def body_of(kind: str, text: str) -> dict[str, str]:
    """Return a body with the text in every field, between two letters, as much of it as the field can hold.

    An identifier code starts with a number of its own: one that is equal, or canonically equal, would be taken.
    """
    body = {field: f"a{text[: limit - 2]}z" for field, limit in LIMITS[kind].items()}
    if "identifier_code" in body:
        body["identifier_code"] = f"{next(_numbers)} {text}"[:254] + "z"
    return body


def differing(sent: Mapping[str, str], found: Mapping[str, object]) -> list[str]:
    """Return the fields that are not what was sent, byte for byte."""
    return [name for name, text in sent.items() if str(found.get(name)).encode() != text.encode()]


def damaged(client: Client, kind: str, sent: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return the names of the texts that single GET or list shows otherwise. `sent` is identifier → body."""
    lines = {line["identifier"]: line for line in client.listed(kind)}
    return [
        identifier
        for identifier, body in sent.items()
        if differing(body, client.read(kind, identifier))
        or differing({name: text for name, text in body.items() if name in lines[identifier]}, lines[identifier])
    ]


@pytest.fixture(scope="module")
def long_notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    running = RunningServer(tmp_path_factory.mktemp("server"), notes_max_characters=LONGEST_NOTE)
    yield running
    running.close()


@pytest.fixture
def client(long_notes: RunningServer) -> Iterator[Client]:
    with long_notes.client() as connection:
        yield Client(long_notes, connection)


# -- odd texts in every field ------------------------------------------------------------------------------------------

ENTRANCES: dict[str, Callable[[Client, str, Mapping[str, str]], httpx.Response]] = {
    "JSON": lambda client, kind, body: client.send(kind, body),
    "JSON, escaped": lambda client, kind, body: client.send(kind, body, escaped=True),
    "a form": lambda client, kind, body: client.send_form(kind, body),
    "an update": lambda client, kind, body: client.send(
        kind, body, onto=entity(client.send(kind, body_of(kind, "b")))["identifier"]
    ),
}


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("kind", LIMITS)
def test_an_odd_text_comes_back_from_every_field(client: Client, kind: str, entrance: str) -> None:
    sent = {}
    for text in ODD_TEXTS.values():
        body = body_of(kind, text)
        sent[entity(ENTRANCES[entrance](client, kind, body))["identifier"]] = body
    assert len(sent) == len(ODD_TEXTS)
    assert [sent[identifier]["name"] for identifier in damaged(client, kind, sent)] == []


@pytest.mark.parametrize("kind", LIMITS)
def test_an_odd_text_comes_back_without_letters_around_it(client: Client, kind: str) -> None:
    for name, text in ODD_TEXTS.items():
        body = {field: text if field != "identifier_code" else code for field, code in body_of(kind, text).items()}
        found = client.read(kind, entity(client.send(kind, body))["identifier"])
        assert differing({**body, "tags": text.strip()}, found) == [], name  # rule 15: only the ends of tags


@pytest.mark.parametrize(("kind", "field", "word"), [
    ("password", "name", "name"), ("password", "username", "username"), ("password", "url", "url"),
    ("note", "name", "name"), ("secretapi", "identifier_code", "identifier_code"),
])  # fmt: skip
def test_an_odd_text_is_found_by_its_filter(client: Client, kind: str, field: str, word: str) -> None:
    for name, text in ODD_TEXTS.items():
        body = body_of(kind, text)
        identifier = entity(client.send(kind, body))["identifier"]
        assert identifier in [line["identifier"] for line in client.listed(kind, **{word: body[field]})], name


# -- all of Unicode ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "field"), [("password", "password"), ("note", "note"), ("secretapi", "client_secret")]
)
def test_every_character_there_is_comes_back_from_the_secret_field(client: Client, kind: str, field: str) -> None:
    shown = 0
    for piece in pieces(EVERYTHING, LIMITS[kind][field] - 2):
        body = body_of(kind, piece)
        found = client.read(kind, entity(client.send(kind, body))["identifier"])
        assert differing(body, found) == []
        shown += len(found[field]) - 2
    assert shown == 0x110000 - 0x800 - 1


@pytest.mark.parametrize("kind", LIMITS)
def test_a_character_of_every_row_comes_back_from_every_field(client: Client, kind: str) -> None:
    rows = "".join(EVERYTHING[start] for start in range(127, len(EVERYTHING), 256))
    assert len(rows) > 4_000
    for piece in pieces(rows, 253):
        body = body_of(kind, piece)
        assert differing(body, client.read(kind, entity(client.send(kind, body))["identifier"])) == []


# -- what cannot be kept -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_a_nul_is_refused_in_every_field(client: Client, kind: str, field: str) -> None:
    for text in ("\0", "a\0", "\0a", "a\0b", "\U0001f511\0"):
        body = {**body_of(kind, "b"), field: text}
        for answer in (client.send(kind, body), client.send(kind, body, escaped=True), client.send_form(kind, body)):
            assert answer.status_code == 400
    escaped = client.send(kind, {**body_of(kind, "b"), field: "a\0b"}, escaped=True)
    assert escaped.json()["response"]["message"] == f"1001: Parameter '{field}' is invalid!"
    assert client.listed(kind) == []


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_half_a_character_is_refused_in_every_field(client: Client, kind: str, field: str) -> None:
    for half in ("\ud800", "\udbff", "\udc00", "\udfff", "a\ud83d", "\udd11\ud83d", "\ud83d\ud83d\U0001f511"):
        body = {**body_of(kind, "b"), field: half}
        for is_escaped in (True, False):
            answer = client.send(kind, body, escaped=is_escaped)
            assert answer.status_code == 400
            assert answer.json()["response"]["message"] == "1001: Request body is not valid JSON"
    assert client.listed(kind) == []


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_a_length_is_counted_in_characters_whatever_their_bytes(client: Client, kind: str, field: str) -> None:
    limit = LIMITS[kind][field]
    for letter in ("x", "\u00e9", "\u20ac", "\U0001f511"):
        body = {**body_of(kind, "b"), field: letter * limit}
        assert differing(body, client.read(kind, entity(client.send(kind, body))["identifier"])) == []
        longer = client.send(kind, {**body, field: letter * (limit + 1)})
        assert longer.json()["response"]["message"] == f"1001: Parameter {field} limited to {limit} characters"


def test_a_seed_takes_nothing_but_base32(client: Client) -> None:
    base = body_of("password", "b")
    assert client.send("password", {**base, "secret_key": "JBSWY3DPEHPK3PXP"}).status_code == 201
    for name, text in ODD_TEXTS.items():
        answer = client.send("password", {**base, "secret_key": f"JBSWY3DPEHPK3PXP{text}1"})
        assert answer.json()["response"]["message"] == "1001: Parameter 'secret_key' must be encoded in base32", name


# -- the controls ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("damage", "found_by"), [
    (lambda text: unicodedata.normalize("NFC", text), "a combining mark"),
    (lambda text: unicodedata.normalize("NFKC", text), "a ligature and a full-width letter"),
    (html.escape, "entities"),
    (lambda text: text.replace("\r\n", "\n"), "ends of line"),
    (lambda text: text.replace("\ufeff", ""), "a byte order mark"),
], ids=["NFC", "NFKC", "HTML", "line ends", "mark"])  # fmt: skip
def test_a_server_that_changes_texts_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[str], str], found_by: str
) -> None:
    whole = fields_module._text
    monkeypatch.setattr(fields_module, "_text", lambda name, value: damage(whole(name, value)))
    server = RunningServer(tmp_path)
    try:
        with server.client() as connection:
            client = Client(server, connection)
            bodies = [body_of("note", text) for text in ("plain", ODD_TEXTS[found_by])]
            sent = {entity(client.send("note", body))["identifier"]: body for body in bodies}
            assert damaged(client, "note", sent) == [list(sent)[1]]
    finally:
        server.close()
