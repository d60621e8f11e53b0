# SPDX-License-Identifier: Apache-2.0
"""The use cases of a transfer of a leaver's items (R-AZ-07): one administrator requests it, another one approves."""

from dataclasses import replace
from typing import NamedTuple

from mysafe.authz.decide import decide_on_transfer
from mysafe.domain.actions import Action
from mysafe.domain.errors import AccessDenied, InvalidField, NotFound, WrongState
from mysafe.domain.ids import ItemRef, TransferId, UserId
from mysafe.domain.transfers import TRANSFER_LIFETIME_SECONDS, Transfer, TransferState
from mysafe.services.accounts.users import user_named
from mysafe.services.custody.hand_over import Moved
from mysafe.services.unit_of_work import UnitOfWork


class NamedTransfer(NamedTuple):
    """A transfer with the user names of everybody concerned, None where there is nobody.

    `is_expired` says that it was neither carried out nor cancelled in time.
    """

    transfer: Transfer
    from_user: str | None
    to_user: str | None
    requested_by: str | None
    approved_by: str | None
    is_expired: bool


def request(uow: UnitOfWork, from_name: str, to_name: str) -> NamedTransfer:
    """Ask for the transfer of all items of a disabled user to an active one.

    Raises:
        AccessDenied: the actor is no administrator.
        NotFound: there is no such user.
        InvalidField: the items would go to the requester.
        WrongState: the one is not disabled, the other is not active, or another transfer of these items is open.
    """
    uow.registry.require(Action.TRANSFER_REQUEST)
    leaver, heir = user_named(uow, from_name), user_named(uow, to_name)
    if heir.id == uow.actor.user_id:
        raise InvalidField("to")
    now = uow.principals.now
    transfer = Transfer(
        id=TransferId(0),
        version=0,
        from_user=leaver.id,
        to_user=heir.id,
        requested_by=uow.actor.user_id,
        expires_at=now + TRANSFER_LIFETIME_SECONDS,
        state=TransferState.REQUESTED,
        approved_by=UserId(0),
        created_at=0,
    )
    uow.custody.hand_over.check(transfer)
    if any(one.from_user == leaver.id and one.is_open(now) for one in uow.principals.transfers()):
        raise WrongState("another transfer of these items is open")
    return _named(uow, uow.registry.add_transfer(transfer))


def list_all(uow: UnitOfWork) -> list[NamedTransfer]:
    """Return all transfers, newest first. Raises AccessDenied."""
    uow.registry.permit(Action.TRANSFER_LIST)
    return [_named(uow, transfer) for transfer in reversed(uow.principals.transfers())]


def approve(uow: UnitOfWork, transfer_id: TransferId) -> Transfer:
    """Approve a transfer, or approve that it goes on after it was interrupted. `move_some` carries it out.

    Raises:
        AccessDenied: the actor is no administrator, requested it, or receives the items.
        NotFound: there is no such transfer.
        WrongState: it is done, cancelled or too old, or the users are not what they were.
    """
    uow.registry.require(Action.TRANSFER_APPROVE)
    transfer = _open_one(uow, transfer_id, Action.TRANSFER_APPROVE)
    uow.custody.hand_over.check(transfer)
    approved = replace(transfer, state=TransferState.APPROVED, approved_by=uow.actor.user_id)
    return uow.registry.change_transfer(approved, Action.TRANSFER_APPROVE)


def move_some(uow: UnitOfWork, transfer_id: TransferId, after: ItemRef | None) -> Moved:
    """Move the next items of an approved transfer; `after` is the `last` of the unit before. Errors as `approve`."""
    return uow.custody.hand_over.move_some(transfer_id, after)


def finish(uow: UnitOfWork, transfer_id: TransferId, *, is_complete: bool) -> NamedTransfer:
    """Return a transfer after a round over all items; it is done if none had to stay. Errors as `approve`."""
    uow.registry.require(Action.TRANSFER_FINISH)
    transfer = _find(uow, transfer_id)
    if transfer.state is TransferState.DONE:
        return _named(uow, transfer)  # two administrators approved it at the same time
    transfer = _open_one(uow, transfer_id, Action.TRANSFER_FINISH)
    state = TransferState.DONE if is_complete else transfer.state
    return _named(uow, uow.registry.change_transfer(replace(transfer, state=state), Action.TRANSFER_FINISH))


def cancel(uow: UnitOfWork, transfer_id: TransferId) -> NamedTransfer:
    """Cancel a transfer; items that moved already stay moved. Raises AccessDenied, NotFound, WrongState."""
    uow.registry.require(Action.TRANSFER_CANCEL)
    transfer = _find(uow, transfer_id)
    if not transfer.is_open(uow.principals.now):
        raise WrongState("the transfer is done, cancelled or too old")
    cancelled = replace(transfer, state=TransferState.CANCELLED)
    return _named(uow, uow.registry.change_transfer(cancelled, Action.TRANSFER_CANCEL))


def _open_one(uow: UnitOfWork, transfer_id: TransferId, action: Action) -> Transfer:
    """Return an open transfer that the actor may approve or carry out."""
    transfer = _find(uow, transfer_id)
    decision = decide_on_transfer(uow.actor, action, transfer)
    if not decision.is_allowed:
        raise AccessDenied(decision.reason)
    if not transfer.is_open(uow.principals.now):
        raise WrongState("the transfer is done, cancelled or too old")
    return transfer


def _find(uow: UnitOfWork, transfer_id: TransferId) -> Transfer:
    transfer = uow.principals.transfer(transfer_id)
    if transfer is None:
        raise NotFound("transfer")
    return transfer


def _named(uow: UnitOfWork, transfer: Transfer) -> NamedTransfer:
    ids = (transfer.from_user, transfer.to_user, transfer.requested_by, transfer.approved_by)
    users = [uow.principals.user(user_id) for user_id in ids]
    names = [user.username if user else None for user in users]
    is_over = transfer.state in {TransferState.DONE, TransferState.CANCELLED}
    is_expired = not is_over and not transfer.is_open(uow.principals.now)
    return NamedTransfer(transfer, names[0], names[1], names[2], names[3], is_expired)
