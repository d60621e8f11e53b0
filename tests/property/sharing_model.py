# SPDX-License-Identifier: Apache-2.0
"""What sharing means, in plain sets: written from the contract (1.6, 1.7, 2.5, 4, 7, 9), not from the server.

This module imports nothing of the product and knows no HTTP.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

Ref = tuple[str, int]
"""Kind and identifier. The same number of another kind is another item (contract 1.6)."""

UNAUTHENTICATED, NOT_FOUND, NO_ACCESS, INACTIVE = 401, 1005, 1006, 1009


class Entry(NamedTuple):
    """An entry of a sharing list: a name, None for an entry without one, and `can_edit` as it is sent."""

    name: str | None
    can_edit: object = None


Entries = tuple[Entry, ...] | None
"""A sharing list; None for a field that is left out, or null."""

Shares = frozenset[tuple[str, bool]]


class Reply(NamedTuple):
    """What a call comes to: 0 or the number of the error, and what the answer says of the item."""

    code: int = 0
    name: str = ""
    users: Shares = frozenset()
    groups: Shares = frozenset()
    unshared: frozenset[str] = frozenset()
    has_changed: bool = False


class Line(NamedTuple):
    """A line of a list."""

    identifier: int
    name: str
    can_write: bool


@dataclass
class Item:
    """An item: its owner, and whom it is shared with, each with the right to edit."""

    owner: str
    name: str
    users: dict[str, bool]
    groups: dict[str, bool]
    is_active: bool = True

    def shown(self) -> Reply:
        """Return what an answer says of the item."""
        return Reply(0, self.name, frozenset(self.users.items()), frozenset(self.groups.items()))


@dataclass
class Model:
    """Users, groups and items. A name is in `users` or `groups` if it exists, in `disabled` if it is disabled."""

    users: set[str] = field(default_factory=set)
    groups: dict[str, frozenset[str]] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    items: dict[Ref, Item] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=dict)

    def rights(self, who: str, item: Item) -> set[str]:
        """Return what a user may do: nothing, view, or view and edit. A user reached twice has both rights (9.6)."""
        if who == item.owner:
            return {"view", "edit"}
        through_groups = [
            can_edit
            for group, can_edit in item.groups.items()
            if group not in self.disabled and who in self.groups[group]
        ]
        given = through_groups + [can_edit for user, can_edit in item.users.items() if user == who]
        return ({"view"} if given else set()) | ({"edit"} if any(given) else set())

    def create(self, who: str, ref: Ref, item_name: str, users: Entries, groups: Entries) -> Reply:
        """Make an item that the server gave an identifier; one that is not larger than all before is an error."""
        kind, identifier = ref
        assert identifier > self.newest.get(kind, 0), f"identifier {identifier} of a {kind} is not a new one"
        self.newest[kind] = identifier
        item = self.items[ref] = Item(who, item_name, {}, {})
        unshared = self._share(item, users or (), groups or ())
        return item.shown()._replace(unshared=unshared, has_changed=True)

    def read(self, who: str, ref: Ref) -> Reply:
        """Read an item; without access an inactive one is not told from others (7)."""
        refusal = self._refusal(who, ref, "view")
        if refusal is not None:
            return refusal
        return self.items[ref].shown() if self.items[ref].is_active else Reply(INACTIVE)

    def update(self, who: str, ref: Ref, item_name: str | None, users: Entries, groups: Entries) -> Reply:
        """Change the name, the sharing, or both; what is left out stays (4.4). Inactive items can change (9.18)."""
        refusal = self._refusal(who, ref, "edit")
        if refusal is not None:
            return refusal
        item = self.items[ref]
        if item_name is not None:
            item.name = item_name
        unshared = self._share(item, users, groups)
        return item.shown()._replace(unshared=unshared, has_changed=True)

    def switch(self, who: str, ref: Ref, *, is_active: bool) -> Reply:
        """Activate or deactivate an item."""
        refusal = self._refusal(who, ref, "edit")
        if refusal is not None:
            return refusal
        item = self.items[ref]
        has_changed = item.is_active != is_active
        item.is_active = is_active
        return Reply(has_changed=has_changed)

    def listed(self, who: str, kind: str) -> list[Line] | None:
        """Return the lines of a list, ascending: active items the user may view (9.17). None: not authenticated."""
        if who in self.disabled:
            return None
        return [
            Line(ref[1], item.name, "edit" in self.rights(who, item))
            for ref, item in sorted(self.items.items())
            if ref[0] == kind and item.is_active and self.rights(who, item)
        ]

    def _refusal(self, who: str, ref: Ref, needed: str) -> Reply | None:
        """Return the first of the refusals of contract 7, or None."""
        if who in self.disabled:
            return Reply(UNAUTHENTICATED)
        if ref not in self.items:
            return Reply(NOT_FOUND)
        return None if needed in self.rights(who, self.items[ref]) else Reply(NO_ACCESS)

    def _share(self, item: Item, users: Entries, groups: Entries) -> frozenset[str]:
        """Replace the lists that are there; return the names nobody can share with (9.1 to 9.5)."""
        unshared: set[str] = set()
        if users is not None:
            item.users, unknown = self._resolved(users, self.users)
            item.users.pop(item.owner, None)
            unshared |= unknown
        if groups is not None:
            item.groups, unknown = self._resolved(groups, self.groups)
            unshared |= unknown
        return frozenset(unshared)

    def _resolved(self, entries: Iterable[Entry], existing: Iterable[str]) -> tuple[dict[str, bool], set[str]]:
        known = set(existing) - self.disabled
        shares = {name: can_edit in (True, "true", "1") for name, can_edit in entries if name in known and name}
        return shares, {name or "" for name, _ in entries if name not in known}
