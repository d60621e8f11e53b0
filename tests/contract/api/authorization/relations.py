# SPDX-License-Identifier: Apache-2.0
"""How a caller can stand to an item. A new relation is a line of RELATIONS."""

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

from tests.contract.api.authorization.classes import Door, Standing
from tests.support.principals import change_group, expire_key
from tests.support.server import RunningServer

ANOTHER_ADDRESS = "127.0.0.2"
"""An address of this machine that the callers do not call from."""
PORTAL = "https://portal.example/"
TOKEN_SECONDS = 3600


class Share(Enum):
    """What the items are shared with when they are made."""

    NOBODY = "nobody"
    OWN = "nobody, and the caller owns them"
    VIEW = "the caller, to view"
    EDIT = "the caller, to edit"
    GROUP_VIEW = "a group of the caller, to view"
    GROUP_EDIT = "a group of the caller, to edit"
    VIEW_AND_GROUP_EDIT = "the caller to view, and a group of the caller to edit"
    EDIT_AND_GROUP_VIEW = "the caller to edit, and a group of the caller to view"


class Actor:
    """The caller of a scene: a user in a group of its own, an access key and a token."""

    def __init__(self, server: RunningServer, *, is_admin: bool) -> None:
        self.server = server
        self.name = server.new_actor(is_admin=is_admin)
        self.group = f"group of {self.name}"
        server.ensure_group(self.group, [self.name])
        self.key: tuple[str, str] | None = None
        self.token: str | None = None
        self.headers: dict[str, str] = {}
        self.take_key()

    def take_key(self, referers: tuple[str, ...] = ()) -> None:
        """Get another access key, and a token with it."""
        key = self.server.new_key(self.name, referers=referers)
        self.key, self.token = key, self.server.token(key)

    def client_id(self) -> str:
        """Return the client id of the access key."""
        assert self.key is not None
        return self.key[0]

    def sharing(self, share: Share) -> dict[str, list[dict[str, Any]]]:
        """Return the fields that share an item so."""
        user, group = {"username": self.name}, {"name": self.group}
        edits = {"can_edit": True}
        match share:
            case Share.NOBODY | Share.OWN:
                return {}
            case Share.VIEW:
                return {"users_allowed": [user]}
            case Share.EDIT:
                return {"users_allowed": [{**user, **edits}]}
            case Share.GROUP_VIEW:
                return {"groups_allowed": [group]}
            case Share.GROUP_EDIT:
                return {"groups_allowed": [{**group, **edits}]}
            case Share.VIEW_AND_GROUP_EDIT:
                return {"users_allowed": [user], "groups_allowed": [{**group, **edits}]}
            case Share.EDIT_AND_GROUP_VIEW:
                return {"users_allowed": [{**user, **edits}], "groups_allowed": [group]}


def _nothing(actor: Actor) -> None:
    """Leave the caller as it is."""


def _send_nothing(actor: Actor) -> None:
    actor.key = actor.token = None


def _send_nonsense(actor: Actor) -> None:
    actor.key, actor.token = ("x", "y"), "x"


def _send_unknown(actor: Actor) -> None:
    assert actor.key is not None
    assert actor.token is not None
    actor.key, actor.token = (actor.key[0], actor.key[1][::-1]), actor.token[::-1]


def _come_too_late(actor: Actor) -> None:
    assert actor.key is not None
    actor.server.advance_clock(-TOKEN_SECONDS)
    actor.token = actor.server.token(actor.key)
    actor.server.advance_clock(TOKEN_SECONDS)


def _group_is_disabled(actor: Actor) -> None:
    change_group(actor.server, actor.group, [actor.name], is_enabled=False)


def _member_leaves(actor: Actor) -> None:
    change_group(actor.server, actor.group, [])


def _user_is_disabled(actor: Actor) -> None:
    actor.server.set_user_active(actor.name, is_active=False)


def _user_is_disabled_for_a_while(actor: Actor) -> None:
    _user_is_disabled(actor)
    actor.server.set_user_active(actor.name, is_active=True)


def _key_expires(actor: Actor) -> None:
    expire_key(actor.server, actor.client_id())


def _key_is_revoked(actor: Actor) -> None:
    actor.server.revoke(actor.client_id())


def _key_is_for_elsewhere(actor: Actor) -> None:
    key = actor.server.new_key(actor.name, addresses=[ANOTHER_ADDRESS])
    actor.key, actor.token = key, actor.server.token(key, source=ANOTHER_ADDRESS)


def _key_wants_a_referer(actor: Actor) -> None:
    actor.take_key((PORTAL,))


def _key_wants_another_referer(actor: Actor) -> None:
    actor.take_key((PORTAL,))
    actor.headers["Referer"] = "https://elsewhere.example/"


def _key_gets_its_referer(actor: Actor) -> None:
    actor.take_key((PORTAL,))
    actor.headers["Referer"] = PORTAL


class Relation(NamedTuple):
    """One way to stand to an item: what it is shared with, what happens to the caller then, and what this comes to.

    `door` is that of calls with a token, `token_door` that of the token endpoint. `is_withdrawn` says that the
    owner takes every share back at the end, `is_limited` that the access key of the call may not be used everywhere.
    """

    name: str
    share: Share
    standing: Standing
    happens: Callable[[Actor], None] = _nothing
    door: Door = Door.OPEN
    token_door: Door = Door.OPEN
    is_admin: bool = False
    is_withdrawn: bool = False
    is_limited: bool = False


_NOTHING, _VIEW, _EDIT = Standing.NOTHING, Standing.VIEW, Standing.EDIT
_BAD, _FORBIDDEN = Door.BAD_CREDENTIALS, Door.FORBIDDEN

RELATIONS = (
    Relation("no relation", Share.NOBODY, _NOTHING),
    Relation("view share", Share.VIEW, _VIEW),
    Relation("edit share", Share.EDIT, _EDIT),
    Relation("owner", Share.OWN, _EDIT),
    Relation("view share of a group", Share.GROUP_VIEW, _VIEW),
    Relation("edit share of a group", Share.GROUP_EDIT, _EDIT),
    Relation("view share, edit share of a group", Share.VIEW_AND_GROUP_EDIT, _EDIT),
    Relation("edit share, view share of a group", Share.EDIT_AND_GROUP_VIEW, _EDIT),
    Relation("share withdrawn", Share.VIEW_AND_GROUP_EDIT, _NOTHING, is_withdrawn=True),
    Relation("group disabled", Share.GROUP_EDIT, _NOTHING, _group_is_disabled),
    Relation("view share, group disabled", Share.VIEW_AND_GROUP_EDIT, _VIEW, _group_is_disabled),
    Relation("ex-member", Share.GROUP_EDIT, _NOTHING, _member_leaves),
    Relation("administrator", Share.NOBODY, Standing.ADMINISTER, is_admin=True),
    Relation("administrator with a view share", Share.VIEW, _VIEW, is_admin=True),
    # Those below own the item or may edit it, so that nothing but the credential stands in their way.
    Relation("anonymous", Share.EDIT, _EDIT, _send_nothing, Door.NO_CREDENTIALS, Door.NO_CREDENTIALS),
    Relation("malformed token", Share.EDIT, _EDIT, _send_nonsense, _BAD, _BAD),
    Relation("unknown token", Share.OWN, _EDIT, _send_unknown, _BAD, _BAD),
    Relation("token expired", Share.OWN, _EDIT, _come_too_late, _BAD),
    Relation("user disabled", Share.OWN, _EDIT, _user_is_disabled, _BAD, _BAD),
    Relation("user disabled for a while", Share.EDIT, _EDIT, _user_is_disabled_for_a_while, _BAD),
    Relation("key expired", Share.OWN, _EDIT, _key_expires, _BAD, _BAD),
    Relation("key revoked", Share.OWN, _EDIT, _key_is_revoked, _BAD, _BAD),
    Relation("key for another address", Share.OWN, _EDIT, _key_is_for_elsewhere, _FORBIDDEN, _BAD),
    Relation("key without its referer", Share.OWN, _EDIT, _key_wants_a_referer, _FORBIDDEN),
    Relation("key with a wrong referer", Share.OWN, _EDIT, _key_wants_another_referer, _FORBIDDEN),
    Relation("key with its referer", Share.OWN, _EDIT, _key_gets_its_referer, is_limited=True),
)
