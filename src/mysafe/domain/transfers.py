# SPDX-License-Identifier: Apache-2.0
"""The transfer of all items of a user who left (R-AZ-07): requested by one administrator, approved by another."""

from dataclasses import dataclass
from enum import StrEnum

from mysafe.domain.ids import TransferId, UserId

TRANSFER_LIFETIME_SECONDS = 7 * 24 * 3600
"""How long after its request a transfer can be approved and continued."""


class TransferState(StrEnum):
    """How far a transfer is. The values are stored: never rename one."""

    REQUESTED = "requested"
    APPROVED = "approved"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer of all items of `from_user` to `to_user`. Times are Unix seconds; `approved_by` is 0 before that."""

    id: TransferId
    version: int
    from_user: UserId
    to_user: UserId
    requested_by: UserId
    expires_at: int
    state: TransferState
    approved_by: UserId
    created_at: int

    def is_open(self, now: int) -> bool:
        """Return whether it can still be approved, continued or cancelled at `now`."""
        return self.state in {TransferState.REQUESTED, TransferState.APPROVED} and now < self.expires_at
