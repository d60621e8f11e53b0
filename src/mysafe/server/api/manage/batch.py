# SPDX-License-Identifier: Apache-2.0
"""`/api/manage/items/batch`: share, activate or deactivate many items, with a result for each (R-ITEM-07).

Each item is a unit of work of its own, so a refused one changes nothing and spoils no other. A few are begun at a
time; on SQLite they become one commit.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from mysafe.domain.actions import Action
from mysafe.domain.errors import DatabaseUnreachable, DeadlinePassed, MissingField, NamedTwice
from mysafe.domain.ids import ItemId, ItemRef
from mysafe.domain.sharing import PrincipalType, ShareRequest, SharingChange, UnsharedName
from mysafe.protocol.compatibility import Compatibility
from mysafe.protocol.identifiers import parse_identifier
from mysafe.server.api.call import About, Answer, Call, Operation, Step, Together
from mysafe.server.api.manage import bodies
from mysafe.server.api.manage.history import kind_of
from mysafe.server.api.manage.problems import PROBLEMS, code_of
from mysafe.services import items
from mysafe.services.unit_of_work import UnitOfWork

MOST_ITEMS = 500
MOST_NAMES = 100
LONGEST_NAME = 255

_ACTIONS = {
    "share": Action.ITEM_SHARE,
    "activate": Action.ITEM_ACTIVATE,
    "deactivate": Action.ITEM_DEACTIVATE,
}

ITEMS_AT_ONCE = 20
"""Items whose units are begun together: no other call waits longer than for these."""

_Name = Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]


class BatchItem(bodies.Model, frozen=True):
    """One item of a batch."""

    kind: str
    identifier: str | int


class BatchUser(bodies.Model, frozen=True):
    """A user to share with."""

    username: _Name
    can_edit: bool = False


class BatchGroup(bodies.Model, frozen=True):
    """A group to share with."""

    name: _Name
    can_edit: bool = False


_Users = Annotated[tuple[BatchUser, ...], Meta(max_length=MOST_NAMES)]
_Groups = Annotated[tuple[BatchGroup, ...], Meta(max_length=MOST_NAMES)]


class Batch(bodies.Model, frozen=True):
    """What to do with many items.

    `users`, `groups` and `mode` belong to `share`: `add` leaves the other shares as they are, `replace` replaces the
    list of users, of groups, or both, whichever is there.
    """

    action: Literal["share", "activate", "deactivate"]
    items: Annotated[tuple[BatchItem, ...], Meta(min_length=1, max_length=MOST_ITEMS)]
    users: _Users | None = None
    groups: _Groups | None = None
    mode: Literal["add", "replace"] = "add"


class BatchResult(bodies.Model, frozen=True):
    """What became of one item. `code` says why it was refused, as the code of a problem document does."""

    kind: str
    identifier: str
    status: Literal["done", "unchanged", "refused"]
    code: str | None


class BatchResults(bodies.Model, frozen=True):
    """A result for each item, in the order they were given, and the names nobody can share with."""

    results: tuple[BatchResult, ...]
    unshared_users: tuple[str, ...]
    unshared_groups: tuple[str, ...]


class _Batch(NamedTuple):
    """A batch on its way: its items, what to do with one, and what became of the first ones."""

    items: tuple[tuple[str, ItemRef], ...]
    action: Action
    work_on: Callable[[ItemRef], Callable[[UnitOfWork], Any]]
    compatibility: Compatibility
    outcomes: tuple[Any, ...] = ()


def run(call: Call) -> Step:
    """POST /api/manage/items/batch."""
    body = bodies.read(call, Batch)
    refs = tuple((one.kind, _ref(one)) for one in body.items)
    _check_once([ref for _, ref in refs])
    batch = _Batch(refs, _ACTIONS[body.action], _work_of(body), call.compatibility)
    return Step(_permit, lambda _: _go_on(batch), things=len(refs))


def _check_once(refs: list[ItemRef]) -> None:
    """Raise NamedTwice, with the place of the second one, if an item stands twice."""
    seen: set[ItemRef] = set()
    for number, ref in enumerate(refs):
        if ref in seen:
            raise NamedTwice(f"items[{number}]")
        seen.add(ref)


def _permit(uow: UnitOfWork) -> None:
    """Record that a batch begins; a caller without a good token is refused here, once for all items."""
    uow.registry.permit(Action.ITEM_BATCH)


def _ref(one: BatchItem) -> ItemRef:
    return ItemRef(kind_of(one.kind).kind, ItemId(parse_identifier(str(one.identifier))))


def _work_of(body: Batch) -> Callable[[ItemRef], Callable[[UnitOfWork], Any]]:
    if body.action != "share":
        is_active = body.action == "activate"
        return lambda ref: partial(items.set_active, ref=ref, is_active=is_active)
    if body.users is None and body.groups is None:
        raise MissingField("users")
    users = None if body.users is None else tuple(ShareRequest(one.username, one.can_edit) for one in body.users)
    groups = None if body.groups is None else tuple(ShareRequest(one.name, one.can_edit) for one in body.groups)
    wanted = SharingChange(users, groups, body.mode == "add")
    return lambda ref: partial(items.share, ref=ref, wanted=wanted)


def _go_on(batch: _Batch) -> Answer | Together:
    """Begin the next items, or answer when there are none."""
    begun = len(batch.outcomes)
    following = batch.items[begun : begun + ITEMS_AT_ONCE]
    if not following:
        return _answer(batch)
    return Together(batch.action, [batch.work_on(ref) for _, ref in following], partial(_with_outcomes, batch))


def _with_outcomes(batch: _Batch, outcomes: list[Any]) -> Answer | Together:
    for outcome in outcomes:
        if isinstance(outcome, DeadlinePassed | DatabaseUnreachable):
            raise outcome  # it may still happen, or may have happened, so no result can be told
    return _go_on(batch._replace(outcomes=batch.outcomes + tuple(outcomes)))


def _answer(batch: _Batch) -> Answer:
    results = []
    unshared: dict[UnsharedName, None] = {}
    for (kind, ref), outcome in zip(batch.items, batch.outcomes, strict=True):
        names: tuple[UnsharedName, ...] = ()
        if isinstance(outcome, tuple):
            outcome, names = outcome  # noqa: PLW2901  # of sharing: whether it changed anything, and those
        unshared |= dict.fromkeys(names)
        is_refused = isinstance(outcome, BaseException)
        status: Literal["done", "unchanged", "refused"] = "done" if outcome else "unchanged"
        results.append(
            BatchResult(
                kind=kind,
                identifier=str(ref.id),
                status="refused" if is_refused else status,
                code=code_of(outcome, batch.compatibility) if is_refused else None,
            )
        )
    users, groups = (
        tuple(one.name or "" for one in unshared if one.principal_type is principal_type)
        for principal_type in (PrincipalType.USER, PrincipalType.GROUP)
    )
    return bodies.answer(BatchResults(results=tuple(results), unshared_users=users, unshared_groups=groups))


OPERATIONS = (
    Operation(
        "POST",
        "/api/manage/items/batch",
        Action.ITEM_BATCH,
        run,
        door=PROBLEMS,
        about=About("Share, activate or deactivate many items", request=Batch, response=BatchResults),
    ),
)
