# SPDX-License-Identifier: Apache-2.0
"""`/api/manage/transfers`: give all items of a user who left to another user, by two administrators (R-AZ-07)."""

from functools import partial

from msgspec import field

from mysafe.domain.actions import Action
from mysafe.domain.ids import ItemRef, TransferId
from mysafe.protocol.identifiers import parse_identifier
from mysafe.server.api.call import About, Answer, Call, Operation, Step
from mysafe.server.api.items import EVERY_WIRE
from mysafe.server.api.manage import bodies
from mysafe.server.api.manage.history import moment
from mysafe.server.api.manage.problems import PROBLEMS
from mysafe.services.accounts import transfers
from mysafe.services.accounts.transfers import NamedTransfer
from mysafe.services.custody.hand_over import Moved

_NAMES = {wire.kind: wire.name for wire in EVERY_WIRE}

MOST_SHOWN = 500
"""Most items that an answer names among those that could not be moved."""


class TransferRequest(bodies.Model, frozen=True):
    """The user names of the disabled user whose items move, and of the active user who receives them."""

    from_: str = field(name="from")
    to: str


class TransferShown(bodies.Model, frozen=True):
    """A transfer. `state` is requested, approved, done, cancelled or expired; names are null where nobody is."""

    identifier: str
    from_: str | None = field(name="from")
    to: str | None
    requested_by: str | None
    requested_at: str
    expires_at: str
    approved_by: str | None
    state: str


class TransferList(bodies.Model, frozen=True):
    """All transfers, newest first."""

    transfers: tuple[TransferShown, ...]


class LeftItem(bodies.Model, frozen=True):
    """An item that could not be moved."""

    kind: str
    identifier: str


class TransferOutcome(bodies.Model, frozen=True):
    """A transfer after a round: how many items this call moved, how many had to stay, and the first of those."""

    transfer: TransferShown
    moved: int
    left: int
    left_items: tuple[LeftItem, ...]


def list_all(call: Call) -> Step:
    """GET /api/manage/transfers."""
    return Step(transfers.list_all, _list, is_look=True)


def request(call: Call) -> Step:
    """POST /api/manage/transfers."""
    body = bodies.read(call, TransferRequest)
    return Step(partial(transfers.request, from_name=body.from_, to_name=body.to), partial(_one, status=201))


def approve(call: Call) -> Step:
    """POST /api/manage/transfers/{identifier}/approve. It approves, then moves the items, unit by unit."""
    number = _number(call)
    begin = partial(_move, number, Moved(0, (), None), None)
    return Step(partial(transfers.approve, transfer_id=number), lambda _: begin())


def cancel(call: Call) -> Step:
    """POST /api/manage/transfers/{identifier}/cancel."""
    return Step(partial(transfers.cancel, transfer_id=_number(call)), _one)


def _number(call: Call) -> TransferId:
    return TransferId(parse_identifier(call.identifier))


def _move(number: TransferId, sum_so_far: Moved, after: ItemRef | None) -> Step:
    return Step(partial(transfers.move_some, transfer_id=number, after=after), partial(_moved, number, sum_so_far))


def _moved(number: TransferId, before: Moved, now: Moved) -> Step:
    """Go on with the next items, or finish."""
    total = Moved(before.moved + now.moved, before.left + now.left, now.last)
    if now.last is not None:
        return _move(number, total, now.last)
    work = partial(transfers.finish, transfer_id=number, is_complete=not total.left)
    return Step(work, partial(_outcome, total))


def _outcome(total: Moved, named: NamedTransfer) -> Answer:
    shown = tuple(LeftItem(kind=_NAMES[ref.kind], identifier=str(ref.id)) for ref in total.left[:MOST_SHOWN])
    return bodies.answer(
        TransferOutcome(transfer=_shown(named), moved=total.moved, left=len(total.left), left_items=shown)
    )


def _list(found: list[NamedTransfer]) -> Answer:
    return bodies.answer(TransferList(transfers=tuple(map(_shown, found))))


def _one(named: NamedTransfer, status: int = 200) -> Answer:
    return bodies.answer(_shown(named), status)


def _shown(named: NamedTransfer) -> TransferShown:
    transfer = named.transfer
    return TransferShown(
        identifier=str(transfer.id),
        from_=named.from_user,
        to=named.to_user,
        requested_by=named.requested_by,
        requested_at=moment(transfer.created_at),
        expires_at=moment(transfer.expires_at),
        approved_by=named.approved_by,
        state="expired" if named.is_expired else transfer.state.value,
    )


OPERATIONS = (
    Operation(
        "GET",
        "/api/manage/transfers",
        Action.TRANSFER_LIST,
        list_all,
        door=PROBLEMS,
        about=About("List the transfers of items, newest first", response=TransferList),
    ),
    Operation(
        "POST",
        "/api/manage/transfers",
        Action.TRANSFER_REQUEST,
        request,
        door=PROBLEMS,
        about=About(
            "Ask for the transfer of all items of a disabled user",
            request=TransferRequest,
            response=TransferShown,
            status=201,
        ),
    ),
    Operation(
        "POST",
        "/api/manage/transfers/{identifier}/approve",
        Action.TRANSFER_APPROVE,
        approve,
        door=PROBLEMS,
        about=About("Approve a transfer of items and carry it out", response=TransferOutcome),
    ),
    Operation(
        "POST",
        "/api/manage/transfers/{identifier}/cancel",
        Action.TRANSFER_CANCEL,
        cancel,
        door=PROBLEMS,
        about=About("Cancel a transfer of items", response=TransferShown),
    ),
)
