# SPDX-License-Identifier: Apache-2.0
"""Who may be named in a share, and what a share with a group gives (contract 9, rules 1 to 7; R-AZ-02, R-AZ-08)."""

import pytest

from tests.support.databases import beside
from tests.support.manage import Person
from tests.support.server import RunningServer, authorization

ITEM = {"name": "n", "username": "u", "password": "p"}
NOT_FOUND = "Group not found"


def new_group(owner: Person, name: str, *members: Person, are_members_visible: bool = False) -> str:
    body = {
        "name": name,
        "are_members_visible": are_members_visible,
        "usernames": [member.username for member in members],
    }
    return f"private-groups/{owner.done('POST', 'private-groups', body, 201)['id']}"


def share(sharer: Person, *names: str) -> tuple[str, list[str], list[str]]:
    """Create an item shared with groups; return its identifier, the groups it got, and those it did not get."""
    with sharer.server.client() as client:
        body = {**ITEM, "groups_allowed": [{"name": name} for name in names]}
        answer = client.post("/api/mysafe/password", json=body, headers=authorization(sharer.token))
    assert answer.status_code == 201
    entity = answer.json()["password_entity"]
    assert {one["message"] for one in entity["shared_error"]} <= {NOT_FOUND}
    allowed = [one["name"] for one in entity["groups_allowed"]]
    return entity["identifier"], allowed, [one["name"] for one in entity["shared_error"]]


def can_read(person: Person, identifier: str) -> bool:
    is_readable = person.server.read(person.token, identifier).status_code == 200
    with person.server.client() as client:
        answer = client.get("/api/mysafe/password", headers=authorization(person.token))
    assert (identifier in [line["identifier"] for line in answer.json()["password_on_list"]]) == is_readable
    return is_readable


@pytest.fixture
def people(server: RunningServer) -> tuple[Person, Person, Person]:
    return Person(server), Person(server), Person(server)


People = tuple[Person, Person, Person]


def test_an_owner_shares_with_their_private_group_and_its_members_read(people: People) -> None:
    owner, member, stranger = people
    new_group(owner, "friends", member)
    identifier, allowed, refused = share(owner, "FRIENDS", "no such group")
    assert (allowed, refused) == (["friends"], ["no such group"])
    assert can_read(member, identifier)
    assert not can_read(stranger, identifier)


@pytest.mark.parametrize("are_members_visible", [True, False])
def test_a_member_may_name_a_group_that_lets_members_see_it_and_nobody_else_may(
    people: People, are_members_visible: bool
) -> None:
    owner, member, stranger = people
    new_group(owner, f"of {owner.username}", member, are_members_visible=are_members_visible)
    _, allowed, refused = share(member, f"of {owner.username}")
    assert bool(allowed) == are_members_visible
    assert bool(refused) != are_members_visible
    assert share(stranger, f"of {owner.username}")[1:] == ([], [f"of {owner.username}"])


def test_an_administrator_may_not_name_the_private_group_of_somebody_else(people: People) -> None:
    owner, admin = people[0], Person(people[0].server, is_admin=True)
    new_group(owner, f"hidden {owner.username}", are_members_visible=True)
    assert share(admin, f"hidden {owner.username}")[1] == []


def test_the_owner_of_a_group_sees_what_others_share_with_it_only_as_a_member(people: People) -> None:
    owner, member, _ = people
    path = new_group(owner, f"all {owner.username}", member, are_members_visible=True)
    identifier, allowed, _ = share(member, f"all {owner.username}")
    assert allowed
    assert not can_read(owner, identifier)
    owner.done("POST", f"{path}/members/add", {"usernames": [owner.username]})
    assert can_read(owner, identifier)
    owner.done("POST", f"{path}/members/remove", {"usernames": [owner.username]})
    assert not can_read(owner, identifier)


def test_a_disabled_private_group_receives_no_share_and_gives_nothing_until_enabled(people: People) -> None:
    owner, member, _ = people
    path = new_group(owner, "sleeping", member)
    identifier, _, _ = share(owner, "sleeping")
    assert can_read(member, identifier)
    owner.done("POST", f"{path}/disable")
    assert not can_read(member, identifier)
    assert share(owner, "sleeping")[1:] == ([], ["sleeping"])
    owner.done("POST", f"{path}/enable")
    assert can_read(member, identifier)


def test_a_disabled_system_group_receives_no_share_and_gives_nothing_until_enabled(people: People) -> None:
    owner, member, _ = people
    admin, name = Person(owner.server, is_admin=True), f"system {owner.username}"
    body = {"name": name, "usernames": [member.username]}
    path = f"groups/{admin.done('POST', 'groups', body, 201)['id']}"
    identifier, allowed, _ = share(owner, name)
    assert (allowed, can_read(member, identifier)) == ([name], True)
    admin.done("POST", f"{path}/disable")
    assert (share(owner, name)[1], can_read(member, identifier)) == ([], False)
    admin.done("POST", f"{path}/enable")
    assert can_read(member, identifier)


def test_of_two_groups_of_one_name_the_own_private_one_is_meant_and_otherwise_the_system_one(people: People) -> None:
    owner, friend, colleague = people
    admin, name = Person(owner.server, is_admin=True), f"Team {owner.username}"
    admin.done("POST", "groups", {"name": name, "usernames": [colleague.username]}, 201)
    path = new_group(owner, name, friend, are_members_visible=True)
    private, _, _ = share(owner, name)
    assert (can_read(friend, private), can_read(colleague, private)) == (True, False)
    system, _, _ = share(friend, name)  # sees both, owns neither
    assert (can_read(friend, system), can_read(colleague, system)) == (True, True)
    assert not can_read(owner, system)
    owner.done("POST", f"{path}/disable")
    assert share(owner, name)[1:] == ([], [name])  # and not, all of a sudden, the whole company


def test_of_two_private_groups_of_others_with_one_name_none_is_meant(people: People) -> None:
    first, second, member = people
    path = new_group(first, "other", member, first, are_members_visible=True)
    new_group(second, "twins", member, second, are_members_visible=True)
    identifier, _, _ = share(member, "twins")
    assert (can_read(first, identifier), can_read(second, identifier)) == (False, True)
    first.done("PATCH", path, {"name": "twins"})  # nobody takes over what is meant for another one by a new name
    identifier, groups, unshared = share(member, "twins")
    assert (can_read(first, identifier), can_read(second, identifier)) == (False, False)
    assert (groups, unshared) == ([], ["twins"])
    first.done("POST", f"{path}/disable")
    identifier, _, _ = share(member, "twins")
    assert (can_read(first, identifier), can_read(second, identifier)) == (False, True)


def test_an_editor_sends_back_the_groups_that_were_read_and_none_is_lost(people: People) -> None:
    owner, editor, member = people
    new_group(owner, "only mine", member)
    body = {**ITEM, "users_allowed": [{"username": editor.username, "can_edit": True}]}
    identifier = owner.server.create(owner.token, "password", {**body, "groups_allowed": [{"name": "only mine"}]})
    read = owner.server.read(editor.token, identifier).json()["password_entity"]
    assert read["groups_allowed"] == [{"name": "only mine", "can_edit": False}]  # R-AZ-08: who sees the item
    with owner.server.client() as client:
        path, headers = f"/api/mysafe/password/update/{identifier}", authorization(editor.token)
        answer = client.put(path, json={"groups_allowed": read["groups_allowed"]}, headers=headers)
        assert answer.json()["password_entity"]["groups_allowed"] == read["groups_allowed"]
        assert can_read(member, identifier)
        client.put(path, json={"groups_allowed": []}, headers=headers)
        assert not can_read(member, identifier)
        gone = client.put(path, json={"groups_allowed": read["groups_allowed"]}, headers=headers)
    assert gone.json()["password_entity"]["groups_allowed"] == []  # what is not there any more is not the editor's


def test_a_member_who_is_disabled_or_removed_loses_the_right(people: People) -> None:
    owner, member, other = people
    path = new_group(owner, "leaving", member, other)
    identifier, _, _ = share(owner, "leaving")
    assert can_read(other, identifier)
    owner.done("POST", f"{path}/members/remove", {"usernames": [other.username]})
    assert not can_read(other, identifier)
    member.server.set_user_active(member.username, is_active=False)
    assert member.server.read(member.token, identifier).status_code == 401


def test_the_search_finds_exactly_whom_one_may_name(people: People) -> None:
    owner, member, stranger = people
    admin, word = Person(owner.server, is_admin=True), f"squad of {owner.username}"
    admin.done("POST", "groups", {"name": f"{word} system"}, 201)
    disabled = admin.done("POST", "groups", {"name": f"{word} disabled"}, 201)
    admin.done("POST", f"groups/{disabled['id']}/disable")
    new_group(owner, f"{word} shown", member, are_members_visible=True)
    new_group(owner, f"{word} hidden", member)
    expected = {
        owner.username: ["system", "shown", "hidden"],
        member.username: ["system", "shown"],
        stranger.username: ["system"],
        admin.username: ["system"],
    }
    for person in (owner, member, stranger, admin):
        found = [group["name"] for group in person.done("GET", f"principals?search={word}")["groups"]]
        assert found == [f"{word} {end}" for end in expected[person.username]]
        for end in ("system", "shown", "hidden", "disabled"):
            assert bool(share(person, f"{word} {end}")[1]) == (f"{word} {end}" in found)


def test_the_search_is_bounded_and_knows_active_users_only(fresh_server: RunningServer) -> None:
    person, admin = Person(fresh_server), Person(fresh_server, is_admin=True)
    for number in range(25):
        admin.done("POST", "users", {"username": f"crowd{number:02}", "email": f"crowd{number:02}@example.org"}, 201)
    found = person.done("GET", "principals?search=CROWD")
    assert ([one["username"] for one in found["users"]], found["has_more"]) == (
        [f"crowd{number:02}" for number in range(20)],
        True,
    )
    assert found["groups"] == []
    by_mail = person.done("GET", "principals?search=crowd07@")
    assert by_mail["users"] == [{"username": "crowd07", "name": "", "email": "crowd07@example.org"}]
    assert by_mail["has_more"] is False
    fresh_server.set_user_active("crowd07", is_active=False)
    assert person.done("GET", "principals?search=crowd07")["users"] == []
    assert person.refused("GET", "principals?search=%20") == (400, "missing_field", "search")
    assert person.refused("GET", "principals") == (400, "missing_field", "search")


def test_a_private_group_moved_to_another_owner_outside_the_vault_does_not_open(fresh_server: RunningServer) -> None:
    owner, thief = Person(fresh_server), Person(fresh_server)
    path = new_group(owner, "stolen", owner)
    with beside(fresh_server.settings) as connection:
        connection.execute("UPDATE groups SET owner_id = (SELECT max(id) FROM users)")
        assert connection.changes() == 1
    assert thief.done("GET", "private-groups")["groups"] == []
    assert thief.ask("GET", path).status_code == 500
    assert fresh_server.read(owner.token, "999999").status_code == 400  # all else is served
