# SPDX-License-Identifier: Apache-2.0
"""The use cases of an upload: leave is given before a byte is read, and the content becomes visible at the end.

    begin → (the content is stored, outside of any unit) → create or replace
                                                         → discard, if anything went wrong

Both ends decide anew: what was allowed when an upload began may be forbidden when it ends.
"""

from functools import partial
from secrets import token_hex

from mysafe.domain.actions import Action
from mysafe.domain.deferred import Deferred
from mysafe.domain.errors import (
    MissingField,
    QuotaReached,
    StoreFull,
    TooLarge,
    Unavailable,
    VaultError,
    VersionMismatch,
)
from mysafe.domain.files import EXTRA_BYTES, FileBounds, StoredContent, Ticket
from mysafe.domain.ids import ItemRef
from mysafe.domain.items import FileSecret, ItemChange, ItemDraft, ItemView
from mysafe.domain.secret_text import SecretText
from mysafe.services import items
from mysafe.services.authentication import local_operator
from mysafe.services.files.shelf import Shelf
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Vault
from mysafe.storage.blobs.rows import BlobRows, Usage

STEP_BYTES = 8 * 1024 * 1024
"""How much more is set aside at once for an upload that does not say how long it is."""


def new_blob_id() -> str:
    """Return an id that no content has: 32 hexadecimal digits. It is chosen before the first unit of an upload.

    So what that unit began can be discarded when nobody knows whether it was committed.
    """
    return token_hex(16)


def begin(
    uow: UnitOfWork,
    blob_id: str,
    ref: ItemRef | None,
    announced_bytes: int | None,
    bounds: FileBounds,
    expected_versions: frozenset[int] | None = None,
) -> Ticket:
    """Return leave to upload the content of a new file, or a new content of an existing one.

    Args:
        blob_id: a new id for the content, of `new_blob_id`.
        ref: the existing file, None for a new one.
        announced_bytes: how long the request says it is; None if it does not say.
        bounds: how much may be stored.
        expected_versions: as for `items.update`.

    Raises:
        NotFound, AccessDenied, VersionMismatch: as for the update itself.
        TooLarge, QuotaReached, StoreFull: there is no room for so much.
    """
    if ref is None:
        blobs, owner = uow.registry.record_upload(), uow.actor.user_id
    else:
        item = items.granted(uow, Action.ITEM_UPLOAD, ref).item
        blobs, owner = uow.registry.blobs, item.meta.owner_id
        if expected_versions is not None and item.version not in expected_versions:
            raise VersionMismatch
    most, refusal = _room(blobs.usage(owner), bounds)
    expected = max((announced_bytes or 0) - EXTRA_BYTES, 0)
    if most <= 0 or expected > most:
        raise refusal
    blobs.begin(blob_id, owner, expected)
    is_bounded = bounds.user_bytes is not None or bounds.total_bytes is not None
    return Ticket(blob_id, most, refusal, expected if is_bounded else None)


def reserve(vault: Vault, blob_id: str, size_bytes: int, bounds: FileBounds) -> int:
    """Set room aside for a content that has grown to `size_bytes`, and for some more of it. It blocks.

    What is set aside counts for its owner, so uploads that run together do not pass the bounds together. When the
    content is kept or discarded, what it did not need is given back.

    Returns:
        how many bytes are set aside now, at least `size_bytes`.

    Raises:
        TooLarge, QuotaReached, StoreFull: there is no room for so much.
        Unavailable: the content was collected meanwhile, or the database cannot be used now.
    """
    work = partial(_reserve, blob_id=blob_id, size_bytes=size_bytes, bounds=bounds)
    return vault.run(local_operator, work).result()


def _reserve(uow: UnitOfWork, blob_id: str, size_bytes: int, bounds: FileBounds) -> int:
    blobs = uow.registry.blobs
    pending = blobs.pending(blob_id)
    if pending is None:
        raise Unavailable
    usage = blobs.usage(pending.owner_id)
    others = Usage(usage.owner_bytes - pending.reserved_bytes, usage.total_bytes - pending.reserved_bytes)
    room, refusal = _room(others, bounds)
    if size_bytes > room:
        raise refusal
    reserved = min(size_bytes + STEP_BYTES, room)
    blobs.reserve(blob_id, reserved)
    return reserved


def create(uow: UnitOfWork, stored: StoredContent, fields: Deferred[ItemChange], bounds: FileBounds) -> ItemView:
    """Make a file of the actor from a stored content. Its name is that of the file if none is given.

    Raises:
        InvalidInput: what `fields` complains about, or MissingField if the file has no name.
        QuotaReached, StoreFull: others were faster, and there is no room any more.
        Unavailable: the content was collected meanwhile.
    """
    given = fields.value()
    file_name = str(given.meta.get("file_name", ""))
    if not file_name:
        raise MissingField("file_name")
    notes = given.secret.get("notes")
    draft = ItemDraft(
        name=str(given.meta.get("name", file_name)),
        url="",
        username="",
        tags=str(given.meta.get("tags", "")),
        secret=FileSecret(notes if isinstance(notes, SecretText) else SecretText(""), stored.blob_id, stored.key),
        users=given.users or (),
        groups=given.groups or (),
        file_name=file_name,
        media_type=str(given.meta.get("media_type", "")),
        size_bytes=stored.size_bytes,
    )
    view = items.create(uow, draft)
    _keep(uow.registry.blobs, view, stored, bounds)
    return view


def replace(
    uow: UnitOfWork,
    ref: ItemRef,
    stored: StoredContent,
    change: Deferred[ItemChange],
    bounds: FileBounds,
    expected_versions: frozenset[int] | None = None,
) -> ItemView:
    """Make a new version of a file with a stored content, and with what the request names besides.

    The content before stays with the version before. Raises as `items.update` and `create`.
    """
    content = Deferred(lambda: _with_content(change.value(), stored))
    view = items.update(uow, ref, content, expected_versions)
    _keep(uow.registry.blobs, view, stored, bounds)
    return view


def discard(vault: Vault, shelf: Shelf, blob_id: str) -> bool:
    """Remove a blob that nothing keeps, bytes first; return False if something does. It blocks.

    Raises:
        VaultError: not now; the collector tries again.
    """
    if not vault.run(local_operator, lambda uow: uow.registry.blobs.doom(blob_id)).result():
        return False
    shelf.remove(blob_id)
    vault.run(local_operator, lambda uow: uow.registry.blobs.forget(blob_id)).result()
    return True


def _with_content(change: ItemChange, stored: StoredContent) -> ItemChange:
    return change._replace(
        meta={**change.meta, "size_bytes": stored.size_bytes},
        secret={**change.secret, "blob_id": stored.blob_id, "key": stored.key},
    )


def _room(usage: Usage, bounds: FileBounds) -> tuple[int, VaultError]:
    """Return how much more may be stored, and the error for who wants more."""
    rooms: list[tuple[int, VaultError]] = [(bounds.file_bytes, TooLarge(bounds.file_bytes))]
    if bounds.user_bytes is not None:
        rooms.append((bounds.user_bytes - usage.owner_bytes, QuotaReached()))
    if bounds.total_bytes is not None:
        rooms.append((bounds.total_bytes - usage.total_bytes, StoreFull()))
    return min(rooms, key=lambda room: room[0])


def _keep(blobs: BlobRows, view: ItemView, stored: StoredContent, bounds: FileBounds) -> None:
    owner = view.item.meta.owner_id
    if not blobs.keep(stored.blob_id, owner, view.item.ref.id, stored.stored_bytes):
        raise Unavailable
    usage = blobs.usage(owner)
    if bounds.user_bytes is not None and usage.owner_bytes > bounds.user_bytes:
        raise QuotaReached
    if bounds.total_bytes is not None and usage.total_bytes > bounds.total_bytes:
        raise StoreFull
