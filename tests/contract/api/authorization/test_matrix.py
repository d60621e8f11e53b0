# SPDX-License-Identifier: Apache-2.0
"""Every route × every relation × every state of the item: answer, canaries, changes (R-AZ-01 to R-AZ-07)."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from mysafe.authz.decide import NEEDED_RIGHT, Right
from mysafe.domain.actions import Action
from mysafe.server.routes import OPERATIONS
from tests.contract.api.authorization.elsewhere import ELSEWHERE
from tests.contract.api.authorization.matrix import Call, canaries_in, differences, may_change, unclassed
from tests.contract.api.authorization.relations import RELATIONS, Relation
from tests.contract.api.authorization.scene import House, Scene, canary
from tests.contract.api.authorization.table import ANSWERS, ROUTES, Endpoint, State, Work, states_of
from tests.support.server import RunningServer, authorization

SERVED = [(operation.method, operation.path) for operation in OPERATIONS]
ENDPOINTS = [endpoint for endpoint in SERVED if endpoint not in ELSEWHERE]
BY_NAME = {relation.name: relation for relation in RELATIONS}
READ_A_PASSWORD = ("GET", "/api/mysafe/password/{identifier}")
UPDATE_A_NOTE = ("PUT", "/api/mysafe/note/update/{identifier}")


@pytest.fixture(scope="module")
def house(server: RunningServer) -> Iterator[House]:
    with server.client() as client:
        yield House(server, client)


@pytest.fixture(scope="module")
def quiet_scenes() -> dict[tuple[str, str], Scene]:
    """Return the scenes in which nothing may change, by kind and relation: one serves many routes."""
    return {}


def scene_of(house: House, endpoint: Endpoint, relation: str) -> Scene:
    return Scene(house, ROUTES[endpoint], BY_NAME[relation])


def all_differences(scene: Scene, endpoint: Endpoint, call: Call | None = None) -> list[str]:
    return [line for state in states_of(ROUTES[endpoint]) for line in differences(scene, endpoint, state, call)]


def test_every_route_is_in_the_table() -> None:
    assert len(ENDPOINTS) == len(set(ENDPOINTS)) >= 24
    assert unclassed(ENDPOINTS) == set()
    assert set(ELSEWHERE) == set(SERVED) - set(ENDPOINTS)
    manage = Path(__file__).parents[1] / "manage"
    assert {name for name in ELSEWHERE.values() if not (manage / name).is_file()} == set()


@pytest.mark.parametrize("relation", RELATIONS, ids=lambda relation: relation.name)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=" ".join)
def test_the_answer_is_that_of_the_table(
    house: House, quiet_scenes: dict[tuple[str, str], Scene], endpoint: Endpoint, relation: Relation
) -> None:
    route = ROUTES[endpoint]
    key = (route.kind, relation.name)
    if may_change(route, relation):
        scene = Scene(house, route, relation)
    elif key in quiet_scenes:
        scene = quiet_scenes[key]
    else:
        scene = quiet_scenes[key] = Scene(house, route, relation)
    assert all_differences(scene, endpoint) == []


@pytest.mark.parametrize("alias", ["/iso/", "/api/iso/"])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=" ".join)
def test_an_alias_of_a_route_answers_alike(house: House, endpoint: Endpoint, alias: str) -> None:
    scene = scene_of(house, endpoint, "view share")
    call = partial(scene.call, prefix=alias)
    assert all_differences(scene, endpoint, call) == []


# -- negative controls -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", [("DELETE", "/api/mysafe/note/{identifier}"), ("POST", "/api/manage/planted")])
def test_a_route_that_is_not_in_the_table_is_noticed(endpoint: Endpoint) -> None:
    assert unclassed([*ROUTES, endpoint]) == {endpoint}


def test_a_route_that_is_gone_is_noticed() -> None:
    first, *others = ROUTES
    assert unclassed(others) == {first}


FAULTS = [
    (Action.ITEM_READ, Right.NONE, Work.READ, "no relation"),
    (Action.ITEM_READ, Right.EDIT, Work.READ, "view share"),
    (Action.ITEM_LIST, Right.EDIT, Work.LIST, "view share of a group"),
    (Action.ITEM_UPDATE, Right.VIEW, Work.UPDATE, "view share"),
    (Action.ITEM_UPDATE, Right.OWN, Work.UPDATE, "edit share"),
    (Action.ITEM_ACTIVATE, Right.VIEW, Work.ACTIVATE, "view share, group disabled"),
    (Action.ITEM_ACTIVATE, Right.OWN, Work.ACTIVATE, "edit share of a group"),
    (Action.ITEM_DEACTIVATE, Right.NONE, Work.DEACTIVATE, "administrator"),
    (Action.ITEM_DEACTIVATE, Right.OWN, Work.DEACTIVATE, "edit share"),
]


@pytest.mark.parametrize(("action", "right", "work", "relation"), FAULTS)
def test_a_permission_too_many_or_too_few_is_noticed(
    house: House, monkeypatch: pytest.MonkeyPatch, action: Action, right: Right, work: Work, relation: str
) -> None:
    monkeypatch.setitem(NEEDED_RIGHT, action, right)
    for endpoint in ROUTES:
        found = all_differences(scene_of(house, endpoint, relation), endpoint)
        assert bool(found) == (ROUTES[endpoint].work is work), found


def test_a_canary_is_found_wherever_it_is_planted(house: House) -> None:
    scene = scene_of(house, READ_A_PASSWORD, "no relation")
    of_another = scene.items[State.ACTIVE].canaries["password"]
    clean = scene.call(READ_A_PASSWORD, State.ACTIVE)
    assert canaries_in(clean) == set()
    for planted in (
        httpx.Response(clean.status_code, headers=clean.headers, content=clean.content + of_another.encode()),
        httpx.Response(clean.status_code, headers={**clean.headers, "X-Name": of_another}, content=clean.content),
        httpx.Response(clean.status_code, headers=clean.headers, content=of_another[:-3].lower().encode()),
    ):
        (found,) = canaries_in(planted)
        assert of_another.startswith(found)


def test_a_canary_in_a_right_answer_is_noticed(house: House) -> None:
    scene = scene_of(house, READ_A_PASSWORD, "view share")

    def leak(endpoint: Endpoint, state: State) -> httpx.Response:
        answer = scene.call(endpoint, state)
        return httpx.Response(answer.status_code, headers={**answer.headers, "X-N": canary()}, content=answer.content)

    (found,) = differences(scene, READ_A_PASSWORD, State.ACTIVE, leak)
    assert "1 canaries leaked, 0 missing" in found


def test_a_refused_write_that_writes_is_noticed(house: House) -> None:
    scene = scene_of(house, UPDATE_A_NOTE, "view share")

    def write_all_the_same(endpoint: Endpoint, state: State) -> httpx.Response:
        note = f"/api/mysafe/note/update/{scene.items[state].identifier}"
        done = house.client.put(note, json={"note": "other"}, headers=authorization(house.owner))
        assert done.status_code == 200
        return scene.call(endpoint, state)

    assert differences(scene, UPDATE_A_NOTE, State.ACTIVE) == []
    (found,) = differences(scene, UPDATE_A_NOTE, State.ACTIVE, write_all_the_same)
    assert "changes" in found


def test_every_line_of_the_table_is_asked_for() -> None:
    works = {route.work for route in ROUTES.values()}
    assert {work for work, _ in ANSWERS} | {Work.ISSUE_TOKEN} == works == set(Work)
    assert {state for _, state in ANSWERS} == set(State)
    assert {relation.standing.value for relation in RELATIONS} == set(range(len(ANSWERS[Work.LIST, State.NONE])))
