# SPDX-License-Identifier: Apache-2.0
"""`/api/manage/items/…`: the versions of an item, restoring an old one, and erasing an item for good."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from mysafe.domain.actions import Action
from mysafe.domain.errors import InvalidField
from mysafe.domain.ids import ItemId, ItemRef
from mysafe.domain.items import Item
from mysafe.protocol.compatibility import Compatibility
from mysafe.protocol.identifiers import parse_identifier
from mysafe.protocol.items import Wire
from mysafe.server.api.call import About, Answer, Call, Operation, Step
from mysafe.server.api.conditions import expected_versions
from mysafe.server.api.items import EVERY_WIRE
from mysafe.server.api.manage import bodies
from mysafe.server.api.manage.problems import PROBLEMS
from mysafe.services import versions
from mysafe.services.versions import OpenedVersion, Page

BY_NAME = {wire.name: wire for wire in EVERY_WIRE}
"""The kinds of items by the name that stands in paths."""

_NOT_OF_A_VERSION = frozenset({"token", "users_allowed", "groups_allowed"})
"""Fields of a single item that say how it is now, not how a version was."""


class Version(bodies.Model, frozen=True):
    """One version of an item. `author` is null for a user who no longer exists.

    `changed` names the fields in which it differs from the version before; "sharing" and "owner" are among them.
    """

    version: int
    author: str | None
    at: str
    name: str
    changed: tuple[str, ...]
    is_current: bool


class Versions(bodies.Model, frozen=True):
    """Versions of an item, newest first. `next` is the value of `before` for the ones that follow, null at the end."""

    versions: tuple[Version, ...]
    next: int | None


class VersionContent(bodies.Model, frozen=True):
    """What a version held: `fields` are those of the single item of its kind, without shares and TOTP code."""

    kind: str
    identifier: str
    version: int
    author: str | None
    at: str
    changed: tuple[str, ...]
    is_current: bool
    fields: dict[str, object]


class Restored(bodies.Model, frozen=True):
    """The item after an old version was restored: `version` is its current one."""

    kind: str
    identifier: str
    version: int


class Erased(bodies.Model, frozen=True):
    """What was erased: the item, and how many versions it had."""

    kind: str
    identifier: str
    versions: int


def list_versions(call: Call) -> Step:
    """GET /api/manage/items/{kind}/{identifier}/versions."""
    text = call.query("before").get("before")
    before = parse_identifier(text) if text else None
    return Step(partial(versions.list_versions, ref=_ref(call), before=before), _list, is_look=True)


def read_version(call: Call) -> Step:
    """GET /api/manage/items/{kind}/{identifier}/versions/{version}."""
    work = partial(versions.read_version, ref=_ref(call), version=parse_identifier(call.segments[2]))
    return Step(work, partial(_content, kind_of(call.segments[0]), call.compatibility))


def restore(call: Call) -> Step:
    """POST /api/manage/items/{kind}/{identifier}/versions/{version}/restore; `If-Match` is honoured."""
    version = parse_identifier(call.segments[2])
    work = partial(versions.restore, ref=_ref(call), version=version, expected_versions=expected_versions(call))
    return Step(work, partial(_restored, kind_of(call.segments[0])))


def erase(call: Call) -> Step:
    """POST /api/manage/items/{kind}/{identifier}/erase."""
    ref = _ref(call)
    return Step(partial(versions.erase, ref=ref), partial(_erased, kind_of(call.segments[0]), ref))


def kind_of(name: str) -> Wire:
    """Return the kind of item that a name in a path or a body stands for. Raises InvalidField."""
    if name not in BY_NAME:
        raise InvalidField("kind")
    return BY_NAME[name]


def moment(seconds: int) -> str:
    """Return a time in Unix seconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _ref(call: Call) -> ItemRef:
    return ItemRef(kind_of(call.segments[0]).kind, ItemId(parse_identifier(call.segments[1])))


def _list(page: Page) -> Answer:
    listed = tuple(
        Version(
            version=past.version,
            author=author,
            at=moment(past.at),
            name=past.name,
            changed=past.changed,
            is_current=past.is_current,
        )
        for past, author in page.versions
    )
    return bodies.answer(Versions(versions=listed, next=page.following))


def _content(wire: Wire, compatibility: Compatibility, opened: OpenedVersion) -> Answer:
    ref, version, meta = opened.view.item
    entity = wire.entity(opened.view, compatibility)
    content = VersionContent(
        kind=wire.name,
        identifier=str(ref.id),
        version=version,
        author=opened.author,
        at=moment(meta.updated_at),
        changed=meta.changed,
        is_current=opened.is_current,
        fields={name: value for name, value in entity.items() if name not in _NOT_OF_A_VERSION | {"identifier"}},
    )
    return bodies.answer(content)


def _restored(wire: Wire, item: Item) -> Answer:
    model = Restored(kind=wire.name, identifier=str(item.ref.id), version=item.version)
    return bodies.answer(model, headers=((b"etag", b'"%d"' % item.version),))


def _erased(wire: Wire, ref: ItemRef, number: int) -> Answer:
    return bodies.answer(Erased(kind=wire.name, identifier=str(ref.id), versions=number))


def _operation(method: str, end: str, action: Action, handler: Callable[[Call], Step], about: About) -> Operation:
    return Operation(method, "/api/manage/items/{kind}/{identifier}" + end, action, handler, door=PROBLEMS, about=about)


OPERATIONS = (
    _operation(
        "GET",
        "/versions",
        Action.ITEM_HISTORY,
        list_versions,
        About("List the versions of an item, newest first", response=Versions, query=("before",)),
    ),
    _operation(
        "GET",
        "/versions/{version}",
        Action.ITEM_READ_VERSION,
        read_version,
        About("Read what a version of an item held", response=VersionContent),
    ),
    _operation(
        "POST",
        "/versions/{version}/restore",
        Action.ITEM_RESTORE,
        restore,
        About("Bring the content of an old version back as a new version", response=Restored),
    ),
    _operation(
        "POST",
        "/erase",
        Action.ITEM_ERASE,
        erase,
        About("Erase an inactive item for good, with all its versions", response=Erased),
    ),
)
