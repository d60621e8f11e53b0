# SPDX-License-Identifier: Apache-2.0
"""The use case of a download: that it happens is recorded before the first byte leaves."""

from mysafe.domain.actions import Action
from mysafe.domain.files import FileContent
from mysafe.domain.ids import ItemRef
from mysafe.domain.items import FileSecret
from mysafe.services import items
from mysafe.services.unit_of_work import UnitOfWork


def open_content(uow: UnitOfWork, ref: ItemRef) -> FileContent:
    """Return what opens the content of a file.

    Raises:
        NotFound, AccessDenied, Inactive: as for reading an item.
    """
    grant = items.granted(uow, Action.ITEM_DOWNLOAD, ref)
    secret, meta = uow.open(grant), grant.item.meta
    if not isinstance(secret, FileSecret):
        raise TypeError("not the secret of a file")
    return FileContent(ref, secret.blob_id, secret.key, meta.size_bytes, meta.file_name)
