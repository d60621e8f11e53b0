# SPDX-License-Identifier: Apache-2.0
"""Compare what a caller got with the table, look for canaries of others, and for changes that should not be."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from tests.contract.api.authorization.classes import (
    ACCOUNTS,
    MANAGEMENT,
    Answer,
    Door,
    Endpoint,
    Route,
    Standing,
    State,
    Work,
)
from tests.contract.api.authorization.managed import TO_A_LIMITED_KEY, TO_THE_OWNER
from tests.contract.api.authorization.records import RECORD_MARK, row_of
from tests.contract.api.authorization.relations import Relation, Share
from tests.contract.api.authorization.scene import MARK, STORED_KINDS, Scene, Versions
from tests.contract.api.authorization.table import (
    ANSWERS,
    AT_THE_DOOR,
    AT_THE_MANAGEMENT_DOOR,
    AT_THE_TOKEN_DOOR,
    CHALLENGES,
    ROUTES,
    states_of,
)
from tests.contract.api.authorization.words import ENTITY_KEYS, FIELDS, SHOWN_FIELDS, envelope

Changes = dict[tuple[str, str], tuple[int, int]]
"""Versions before and after, by kind and identifier."""

Call = Callable[[Endpoint, State], httpx.Response]

_CANARY = re.compile(rb"%s[A-Z2-7]*" % MARK.encode(), re.IGNORECASE)
_OF_RECORDS = re.compile(rb"%s[A-Z2-7]{6,}" % RECORD_MARK.encode(), re.IGNORECASE)  # the mark alone is a word of texts


def unclassed(endpoints: Iterable[Endpoint]) -> set[Endpoint]:
    """Return the routes that the server has and the table has not, and the other way round."""
    return set(endpoints) ^ set(ROUTES)


def canaries_in(answer: httpx.Response, mark: re.Pattern[bytes] = _CANARY) -> set[str]:
    """Return every canary in an answer, in whatever header or value; part of one counts."""
    sent = [answer.content, *(part for header in answer.headers.raw for part in header)]
    return {found.decode().upper() for part in sent for found in mark.findall(part)}


def wanted_answer(route: Route, relation: Relation, state: State) -> Answer:
    """Return the line of the table for a caller."""
    if route.work is Work.ISSUE_TOKEN:
        return AT_THE_TOKEN_DOOR[relation.token_door]
    if relation.door is not Door.OPEN:
        return (AT_THE_MANAGEMENT_DOOR if route.work in MANAGEMENT else AT_THE_DOOR)[relation.door]
    if relation.share is Share.OWN and (route.work, state) in TO_THE_OWNER:
        return TO_THE_OWNER[route.work, state]
    if relation.is_limited and (route.work, state) in TO_A_LIMITED_KEY:
        return TO_A_LIMITED_KEY[route.work, state]
    # An item may be shared with an administrator, too; that is nothing to the accounts.
    standing = Standing.ADMINISTER if route.work in ACCOUNTS and relation.is_admin else relation.standing
    return ANSWERS[route.work, state][standing.value]


def may_change(route: Route, relation: Relation) -> bool:
    """Return whether the caller may change or make an item or a record with a route."""
    answers = [wanted_answer(route, relation, state) for state in states_of(route)]
    is_about_a_record = bool(route.record) and any(answer.status < 300 for answer in answers)
    return is_about_a_record or any(one.is_changed or one.is_erased or one.status == 201 for one in answers)


def differences(scene: Scene, endpoint: Endpoint, state: State, call: Call | None = None) -> list[str]:
    """Call a route as the caller of a scene; return what is not as the table says, one sentence each.

    `call` replaces that of the scene: for aliases of routes, and for the negative controls.
    """
    route, house = ROUTES[endpoint], scene.house
    before, contents, rows = house.versions(), house.contents(), _rows(scene)
    answer = (call or scene.call)(endpoint, state)
    wanted = wanted_answer(route, scene.relation, state)
    found = [
        *_wrong_answer(scene, route, state, wanted, answer),
        *_wrong_canaries(scene, route, state, wanted, answer),
        *_wrong_records(scene, route, state, wanted, answer),
        *_wrong_changes(scene, route, state, wanted, answer, _changes(before, house.versions())),
    ]
    takes_content = route.kind == "file" and endpoint[0] == "POST" and (wanted.status == 201 or wanted.is_changed)
    is_stored = takes_content and route.work in {Work.CREATE, Work.UPDATE}
    if len(house.contents() ^ contents) != is_stored:
        found.append(f"{len(house.contents() ^ contents)} contents stored or gone instead of {int(is_stored)}")
    if _rows(scene) != rows and (wanted.status >= 300 or endpoint[0] == "GET"):
        found.append("a record changed")
    return [f"{' '.join(endpoint)} of {state.value}, {scene.relation.name}: {difference}" for difference in found]


def _rows(scene: Scene) -> list[object]:
    return [row_of(scene.house, scene.route.record, record) for record in scene.records.values()]


def _wrong_answer(scene: Scene, route: Route, state: State, wanted: Answer, answer: httpx.Response) -> list[str]:
    if answer.status_code != wanted.status:
        return [f"status {answer.status_code} instead of {wanted.status}: {answer.text}"]
    if route.work is Work.DESCRIBE and wanted.status == 200:
        return [] if "list_passwords" in answer.text else ["no description"]  # it is the same for everybody
    if route.work is Work.DOWNLOAD and wanted.status == 200:
        return [] if answer.content == scene.items[state].canaries["content"].encode() else ["another content"]
    body = answer.json()
    if route.work is Work.ISSUE_TOKEN:
        return _wrong_token_answer(wanted, body)
    found = []
    challenge = CHALLENGES.get(scene.relation.door)
    if answer.headers.get("WWW-Authenticate") != challenge:
        found.append(f"challenge {answer.headers.get('WWW-Authenticate')} instead of {challenge}")
    is_told = wanted.is_shown or wanted.status == 201 or (route.work is Work.RESTORE and wanted.status == 200)
    if "ETag" in answer.headers and not is_told and not (state in scene.records and wanted.status == 200):
        found.append("the version is told")
    if route.work in MANAGEMENT:
        return found + _wrong_document(wanted, answer)
    entity_key = ENTITY_KEYS.get((route.work, route.kind)) if wanted.status in {200, 201} else None
    entity = body.pop(entity_key, None) if entity_key else None
    if (entity is None) != (entity_key is None) or body != envelope(wanted, route.kind):
        found.append(f"answer {answer.text} instead of {envelope(wanted, route.kind)} with {entity_key}")
    if route.work is Work.LIST and wanted.status == 200:
        found += _wrong_lines(scene, wanted, entity or [])
    return found


def _wrong_token_answer(wanted: Answer, body: dict[str, Any]) -> list[str]:
    is_issued = wanted.status == 200
    is_right = bool(body.get("access_token")) if is_issued else body.get("error") == wanted.text
    return [] if is_right and ("access_token" in body) == is_issued else [f"token answer with keys {list(body)}"]


def _wrong_document(wanted: Answer, answer: httpx.Response) -> list[str]:
    """Compare an answer of /api/manage: a refusal in full, of a success no more than that it is one."""
    body, is_problem = answer.json(), answer.headers["Content-Type"] == "application/problem+json"
    if wanted.status == 200 and "results" in body:
        results = [f"{one['status']} {one['code'] or ''}".strip() for one in body["results"]]
        return [] if results == [wanted.text] else [f"results {results} instead of {wanted.text}"]
    if wanted.status < 400:
        return ["a success is a problem document"] if is_problem else []
    is_right = is_problem and body.keys() == {"type", "title", "status", "code"} and body["code"] == wanted.text
    return [] if is_right else [f"document {answer.text} instead of {wanted.text}"]


def _wrong_lines(scene: Scene, wanted: Answer, lines: list[dict[str, Any]]) -> list[str]:
    item = scene.items[State.ACTIVE]
    expected = [] if wanted.lines is None else [(item.identifier, *wanted.lines)]
    got = [(line["identifier"], line["can_view"], line["can_write"]) for line in lines]
    return [] if got == expected else [f"lines {got} instead of {expected}"]


def _wrong_canaries(scene: Scene, route: Route, state: State, wanted: Answer, answer: httpx.Response) -> list[str]:
    expected = _shown(scene, route, state) if wanted.is_shown else set()
    found = canaries_in(answer)
    leaked, missing = len(found - expected), len(expected - found)
    return [f"{leaked} canaries leaked, {missing} missing"] if leaked or missing else []


def _shown(scene: Scene, route: Route, state: State) -> set[str]:
    item = scene.items[State.ACTIVE if route.work is Work.LIST else state]
    if route.work is Work.LIST_VERSIONS:
        return {item.first["name"], item.canaries["name"]}
    if route.work is Work.READ_VERSION:
        return {item.first[field] for field in FIELDS[route.kind]}
    return {item.canaries[field] for field in SHOWN_FIELDS[route.work, route.kind]}


def _wrong_records(scene: Scene, route: Route, state: State, wanted: Answer, answer: httpx.Response) -> list[str]:
    """Compare which records are shown: that of the path, of a list the caller's own. Administrators see all."""
    if route.work is Work.LIST_FOR_ADMINISTRATORS and wanted.status == 200:
        return []
    shown = state
    if state is State.NONE:
        shown = State.OTHERS if route.work is Work.ADD_FOR_ADMINISTRATORS else State.OWN
    expected = {scene.records[shown].canary} if wanted.status < 300 and shown in scene.records else set()
    found = canaries_in(answer, _OF_RECORDS)
    leaked, missing = len(found - expected), len(expected - found)
    return [f"{leaked} records leaked, {missing} missing"] if leaked or missing else []


def _changes(before: Versions, after: Versions) -> Changes:
    """Return the items that are not the same any more, with their versions before and after; 0 for none."""
    nothing = (0, b"")
    return {
        key: (before.get(key, nothing)[0], after.get(key, nothing)[0])
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    }


def _wrong_changes(
    scene: Scene, route: Route, state: State, wanted: Answer, answer: httpx.Response, got: Changes
) -> list[str]:
    expected: Changes = {}
    if state in scene.records and wanted.is_changed:
        expected = {("note", scene.records[state].item): (1, 2)}
    elif wanted.is_changed or wanted.is_erased:
        item = scene.items[state]
        expected = {item.key: (item.version, 0 if wanted.is_erased else item.version + 1)}
    elif wanted.status == 201 and route.work not in MANAGEMENT:
        entity = answer.json().get(ENTITY_KEYS[route.work, route.kind], {})
        expected = {(STORED_KINDS[route.kind], entity.get("identifier", "")): (0, 1)}
    return [] if got == expected else [f"changes {got} instead of {expected}"]
