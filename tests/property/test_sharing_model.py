# SPDX-License-Identifier: Apache-2.0
"""The server shares as the model does, whatever users do in whatever order (contract 1.7; contract 9, rules 1 to 11).

`make model` runs it for longer, with other examples each time.
"""

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from mysafe.authz.decide import NEEDED_RIGHT, Right
from mysafe.domain.actions import Action
from mysafe.services import items as item_cases
from mysafe.services.sharing import reshare
from tests.property.sharing_door import KINDS, Door
from tests.property.sharing_model import UNAUTHENTICATED, Entries, Entry, Model, Ref, Reply
from tests.support.server import RunningServer

LONG_RUN = os.environ.get("MODEL_EXAMPLES")
SETTINGS = settings(
    max_examples=int(LONG_RUN or 40),
    stateful_step_count=40,
    derandomize=LONG_RUN is None,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink] if LONG_RUN else [Phase.generate],  # shrinking takes minutes
    print_blob=LONG_RUN is not None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

CONTROL_SETTINGS = settings(SETTINGS, derandomize=True, phases=[Phase.generate], print_blob=False)

USERS, GROUPS = 4, 2
MISSING = 12
GHOST = "ghost"

someone = st.integers(0, USERS - 1)
some_group = st.integers(0, GROUPS - 1)
some_item = st.integers(0, MISSING)
can_edit_values: st.SearchStrategy[object] = st.sampled_from([True, False, None, "true", "1", 1, 0, 2, "yes", [], {}])


Drawn = list[tuple[int | None, object]]
"""A sharing list as it is drawn: of (number of a user or group, can_edit)."""


def entries(numbers: st.SearchStrategy[int], at_least: int = 0) -> st.SearchStrategy[Drawn]:
    """Return sharing lists. The number -1 is a name nobody has, and None an entry without a name."""
    odd: st.SearchStrategy[int | None] = st.sampled_from([-1, None])
    return st.lists(st.tuples(numbers | numbers | odd, can_edit_values), min_size=at_least, max_size=4)


def sharing(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[Drawn | None]:
    """Return sharing lists, and None for one that is left out."""
    return entries(numbers, 1) | entries(numbers) | st.none()


first_items = st.lists(
    st.tuples(someone, st.sampled_from(KINDS), entries(someone, 1), entries(some_group, 1)), min_size=2, max_size=3
)


TO_BE_SEEN = {
    *itertools.product(("read", "update", "switch"), ("", "view", "edit view", "missing")),
    *itertools.product(("read", "update", "switch"), ("0", "401", "1005", "1006")),
    ("create", "0"),
    ("create", "401"),
    ("read", "1009"),
}
"""What the examples must try and come to: with which right on the item, and with which answer."""


class Sharing(RuleBasedStateMachine):
    """Do the same with the server and the model. Server and model outlive an example, users and groups do not."""

    door: ClassVar[Door]
    model: ClassVar[Model]
    seen: ClassVar[Counter[tuple[str, str]]]

    @initialize(first=first_items, members=st.tuples(*[st.sets(someone, min_size=1)] * GROUPS))
    def move_in(self, first: Any, members: Any) -> None:
        self.users = [self.door.new_user() for _ in range(USERS)]
        self.groups = [self.door.new_group() for _ in range(GROUPS)]
        self.refs: list[Ref] = []
        self.model.users.update(self.users)
        self.model.groups.update(dict.fromkeys(self.groups, frozenset()))
        self.step = 0
        for group, of_group in enumerate(members):
            self.change_the_members(group, of_group)
        for made in first:
            self.create(*made)

    @rule(who=someone, kind=st.sampled_from(KINDS), users=sharing(someone), groups=sharing(some_group))
    def create(self, who: int, kind: str, users: Any, groups: Any) -> None:
        user, name = self.users[who], self.door.new_name()
        shares = self._entries(self.users, users), self._entries(self.groups, groups)
        identifier, reply = self.door.create(user, kind, name, *shares)
        if user in self.model.disabled or identifier is None:
            self._same("create", reply, Reply(UNAUTHENTICATED))
            return
        self._same("create", reply, self.model.create(user, (kind, identifier), name, *shares))
        self.refs.append((kind, identifier))

    @rule(who=someone, item=some_item, is_renamed=st.booleans(), users=sharing(someone), groups=sharing(some_group))
    def update(self, who: int, item: int, is_renamed: bool, users: Any, groups: Any) -> None:
        user, ref, name = self.users[who], self._ref(item), self.door.new_name() if is_renamed else None
        shares = self._entries(self.users, users), self._entries(self.groups, groups)
        self._note_right("update", user, ref)
        reply = self.door.update(user, ref, name, *shares)
        self._same("update", reply, self.model.update(user, ref, name, *shares))

    @rule(who=someone, item=some_item, is_active=st.booleans())
    def switch(self, who: int, item: int, is_active: bool) -> None:
        user, ref = self.users[who], self._ref(item)
        self._note_right("switch", user, ref)
        reply = self.door.switch(user, ref, is_active=is_active)
        self._same("switch", reply, self.model.switch(user, ref, is_active=is_active))

    @rule(item=some_item, deed=st.sampled_from(["rename", "deactivate", "activate", "read"]))
    def everybody_tries(self, item: int, deed: str) -> None:
        """Try it as each user: drawn one by one, hardly any would be a viewer of the item."""
        for who in range(USERS):
            if deed == "rename":
                self.update(who, item, True, None, None)
            elif deed == "read":
                self.read(who, item)
            else:
                self.switch(who, item, deed == "activate")

    @rule(who=someone, item=some_item)
    def read(self, who: int, item: int) -> None:
        self._reads_alike(self.users[who], self._ref(item))

    @rule(who=someone, item=some_item, kind=st.sampled_from(KINDS))
    def read_the_number_as_of_another_kind(self, who: int, item: int, kind: str) -> None:
        self._reads_alike(self.users[who], (kind, self._ref(item)[1]))

    @rule(group=some_group, members=st.sets(someone))
    def change_the_members(self, group: int, members: set[int]) -> None:
        name, names = self.groups[group], frozenset(self.users[number] for number in members)
        self.door.change_group(name, names, is_enabled=name not in self.model.disabled)
        self.model.groups[name] = names

    @rule(group=some_group, is_enabled=st.booleans())
    def disable_or_enable_a_group(self, group: int, is_enabled: bool) -> None:
        name = self.groups[group]
        self.door.change_group(name, self.model.groups[name], is_enabled=is_enabled)
        self._note_disabled(name, is_disabled=not is_enabled)

    @rule(who=someone, is_active=st.booleans())
    def disable_or_enable_a_user(self, who: int, is_active: bool) -> None:
        self.door.set_user_active(self.users[who], is_active=is_active)
        self._note_disabled(self.users[who], is_disabled=not is_active)

    @rule(who=someone)
    def a_list_holds_the_single_reads_that_succeed(self, who: int) -> None:
        user = self.users[who]
        for kind in KINDS:
            readable = [ref[1] for ref in self.refs if ref[0] == kind and self._reads_alike(user, ref).code == 0]
            lines = self.door.listed(user, kind)
            assert [line.identifier for line in lines or ()] == readable

    @invariant()
    def a_list_is_that_of_the_model(self) -> None:
        self.step += 1
        user, kind = self.users[self.step % USERS], KINDS[self.step // USERS % len(KINDS)]
        assert self.door.listed(user, kind) == self.model.listed(user, kind)

    def _reads_alike(self, user: str, ref: Ref) -> Reply:
        self._note_right("read", user, ref)
        reply = self.door.read(user, ref)
        self._same("read", reply, self.model.read(user, ref))
        return reply

    def _note_right(self, deed: str, user: str, ref: Ref) -> None:
        item = self.model.items.get(ref)
        right = " ".join(sorted(self.model.rights(user, item))) if item else "missing"
        self.seen[deed, right] += 1

    def _same(self, deed: str, reply: Reply, wanted: Reply) -> None:
        self.seen[deed, str(reply.code)] += 1
        assert reply == wanted

    def _note_disabled(self, name: str, *, is_disabled: bool) -> None:
        (self.model.disabled.add if is_disabled else self.model.disabled.discard)(name)

    def _ref(self, number: int) -> Ref:
        """Return an item of the example, or, for the last number, one that never was."""
        return self.refs[number % len(self.refs)] if number < MISSING else (KINDS[0], 10**12)

    def _entries(self, names: list[str], drawn: Drawn | None) -> Entries:
        if drawn is None:
            return None
        return tuple(Entry(_name(names, number), can_edit) for number, can_edit in drawn)


def _name(names: list[str], number: int | None) -> str | None:
    if number is None:
        return None
    return names[number] if number >= 0 else GHOST


@pytest.fixture
def door(server: RunningServer) -> Iterator[Door]:
    with server.client() as client:
        yield Door(server, client)


@pytest.fixture(scope="module")
def model() -> Model:
    """A model that knows every item of the server."""
    return Model()


def machine_of(door: Door, model: Model) -> type[Sharing]:
    return type("SharingWithServer", (Sharing,), {"door": door, "model": model, "seen": Counter()})


@pytest.mark.timeout(0 if LONG_RUN else 120)
def test_the_server_shares_as_the_model_does(door: Door, model: Model) -> None:
    machine = machine_of(door, model)
    run_state_machine_as_test(machine, settings=SETTINGS)
    assert {pair: machine.seen[pair] for pair in TO_BE_SEEN if machine.seen[pair] < 5} == {}


# -- negative controls -------------------------------------------------------------------------------------------------

Plant = Callable[[pytest.MonkeyPatch], None]


def a_viewer_may_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NEEDED_RIGHT, Action.ITEM_UPDATE, Right.VIEW)


def a_stranger_may_deactivate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NEEDED_RIGHT, Action.ITEM_DEACTIVATE, Right.NONE)


def a_list_lacks_what_one_may_only_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NEEDED_RIGHT, Action.ITEM_LIST, Right.EDIT)


def an_update_of_one_list_empties_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        item_cases,
        "reshare",
        lambda old, new, **kept: reshare(old, new, are_users_kept=False, are_groups_kept=False),
    )


FAULTS = (
    a_viewer_may_edit,
    a_stranger_may_deactivate,
    a_list_lacks_what_one_may_only_view,
    an_update_of_one_list_empties_the_other,
)


@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_fault_of_the_server_is_found_out(
    fresh_server: RunningServer, monkeypatch: pytest.MonkeyPatch, plant: Plant
) -> None:
    plant(monkeypatch)
    with fresh_server.client() as client, pytest.raises(AssertionError):
        run_state_machine_as_test(
            machine_of(Door(fresh_server, client), Model()),
            settings=CONTROL_SETTINGS,
        )


class LenientModel(Model):
    """A model in which a viewer may edit."""

    def rights(self, who: str, item: Any) -> set[str]:
        rights = super().rights(who, item)
        return rights | {"edit"} if rights else rights


def test_a_model_in_which_a_viewer_may_edit_is_found_out(fresh_server: RunningServer) -> None:
    with fresh_server.client() as client, pytest.raises(AssertionError):
        run_state_machine_as_test(
            machine_of(Door(fresh_server, client), LenientModel()),
            settings=CONTROL_SETTINGS,
        )


@pytest.mark.parametrize("identifier", [3, 4])
def test_an_identifier_that_is_used_again_is_found_out(identifier: int) -> None:
    model = Model(users={"anna"})
    model.create("anna", ("note", 4), "n", None, None)
    model.create("anna", ("password", identifier), "n", None, None)
    with pytest.raises(AssertionError, match="not a new one"):
        model.create("anna", ("note", identifier), "n", None, None)
