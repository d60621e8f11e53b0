# SPDX-License-Identifier: Apache-2.0
"""Compare what a caller got with the table, look for canaries of others, and for changes that should not be."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from tests.contract.api.authorization.relations import Relation
from tests.contract.api.authorization.scene import MARK, STORED_KINDS, Scene, Versions
from tests.contract.api.authorization.table import (
    ANSWERS,
    AT_THE_DOOR,
    AT_THE_MANAGEMENT_DOOR,
    AT_THE_TOKEN_DOOR,
    CHALLENGES,
    ENTITY_KEYS,
    MANAGEMENT,
    NOTHING_OF_OTHERS,
    ROUTES,
    SHOWN_FIELDS,
    Answer,
    Door,
    Endpoint,
    Route,
    Standing,
    State,
    Work,
    envelope,
    states_of,
)

Changes = dict[tuple[str, str], tuple[int, int]]
"""Versions before and after, by kind and identifier."""

Call = Callable[[Endpoint, State], httpx.Response]

_CANARY = re.compile(rb"%s[A-Z2-7]*" % MARK.encode(), re.IGNORECASE)


def unclassed(endpoints: Iterable[Endpoint]) -> set[Endpoint]:
    """Return the routes that the server has and the table has not, and the other way round."""
    return set(endpoints) ^ set(ROUTES)


def canaries_in(answer: httpx.Response) -> set[str]:
    """Return every canary in an answer, in whatever header or value; part of one counts."""
    sent = [answer.content, *(part for header in answer.headers.raw for part in header)]
    return {found.decode().upper() for part in sent for found in _CANARY.findall(part)}


def wanted_answer(route: Route, relation: Relation, state: State) -> Answer:
    """Return the line of the table for a caller."""
    if route.work is Work.ISSUE_TOKEN:
        return AT_THE_TOKEN_DOOR[relation.token_door]
    if relation.door is not Door.OPEN:
        return (AT_THE_MANAGEMENT_DOOR if route.work in MANAGEMENT else AT_THE_DOOR)[relation.door]
    # An item may be shared with an administrator, too; that is nothing to the accounts.
    standing = Standing.ADMINISTER if route.work in MANAGEMENT and relation.is_admin else relation.standing
    return ANSWERS[route.work, state][standing.value]


def may_change(route: Route, relation: Relation) -> bool:
    """Return whether the caller may change or make an item with a route."""
    answers = [wanted_answer(route, relation, state) for state in states_of(route)]
    return any(answer.is_changed or answer.status == 201 for answer in answers)


def differences(scene: Scene, endpoint: Endpoint, state: State, call: Call | None = None) -> list[str]:
    """Call a route as the caller of a scene; return what is not as the table says, one sentence each.

    `call` replaces that of the scene: for aliases of routes, and for the negative controls.
    """
    route = ROUTES[endpoint]
    before = scene.house.versions()
    answer = (call or scene.call)(endpoint, state)
    after = scene.house.versions()
    wanted = wanted_answer(route, scene.relation, state)
    found = [
        *_wrong_answer(scene, route, wanted, answer),
        *_wrong_canaries(scene, route, state, wanted, answer),
        *_wrong_changes(scene, route, state, wanted, answer, _changes(before, after)),
    ]
    return [f"{' '.join(endpoint)} of {state.value}, {scene.relation.name}: {difference}" for difference in found]


def _wrong_answer(scene: Scene, route: Route, wanted: Answer, answer: httpx.Response) -> list[str]:
    if wanted is NOTHING_OF_OTHERS:
        return [f"status {answer.status_code}: {answer.text}"] if answer.status_code >= 500 else []
    if answer.status_code != wanted.status:
        return [f"status {answer.status_code} instead of {wanted.status}: {answer.text}"]
    if route.work is Work.DESCRIBE and wanted.status == 200:
        return [] if "list_passwords" in answer.text else ["no description"]  # it is the same for everybody
    body = answer.json()
    if route.work is Work.ISSUE_TOKEN:
        return _wrong_token_answer(wanted, body)
    found = []
    challenge = CHALLENGES.get(scene.relation.door)
    if answer.headers.get("WWW-Authenticate") != challenge:
        found.append(f"challenge {answer.headers.get('WWW-Authenticate')} instead of {challenge}")
    if "ETag" in answer.headers and not wanted.is_shown and wanted.status != 201:
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
    expected = set[str]()
    if wanted.is_shown:
        item = scene.items[State.ACTIVE if route.work is Work.LIST else state]
        expected = {item.canaries[field] for field in SHOWN_FIELDS[route.work, route.kind]}
    found = canaries_in(answer)
    leaked, missing = len(found - expected), len(expected - found)
    return [f"{leaked} canaries leaked, {missing} missing"] if leaked or missing else []


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
    if wanted.is_changed:
        key, old = scene.items[state].key, 2 if state is State.INACTIVE else 1  # to be deactivated made a version
        expected = {key: (old, old + 1)}
    elif wanted.status == 201 and route.work not in MANAGEMENT:
        entity = answer.json().get(ENTITY_KEYS[route.work, route.kind], {})
        expected = {(STORED_KINDS[route.kind], entity.get("identifier", "")): (0, 1)}
    else:
        expected = {}
    return [] if got == expected else [f"changes {got} instead of {expected}"]
