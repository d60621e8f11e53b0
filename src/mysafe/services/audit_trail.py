# SPDX-License-Identifier: Apache-2.0
"""Read the audit log back."""

from mysafe.audit.events import AuditEntry
from mysafe.services.unit_of_work import UnitOfWork


def tail(uow: UnitOfWork, limit: int) -> list[AuditEntry]:
    """Return the newest `limit` entries, oldest first. Reading the log is recorded too. Raises AccessDenied."""
    return uow.registry.newest_entries(limit)
