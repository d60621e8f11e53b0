# SPDX-License-Identifier: Apache-2.0
"""Read the audit log back."""

from mysafe.audit.events import AuditEntry
from mysafe.domain.actions import Action
from mysafe.services.authentication import local_operator
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Vault


def tail(uow: UnitOfWork, limit: int) -> list[AuditEntry]:
    """Return the newest `limit` entries, oldest first. Reading the log is recorded too. Raises AccessDenied."""
    return uow.registry.newest_entries(limit)


def record_verification(vault: Vault) -> None:
    """Record that the audit log is verified. Raises AuditUnwritable."""
    vault.run(local_operator, lambda uow: uow.registry.root.record_on_audit(Action.AUDIT_VERIFY)).result()


def record_export(vault: Vault, name: str) -> None:
    """Record that the audit log is written into a file of this name. Raises AuditUnwritable."""
    vault.run(local_operator, lambda uow: uow.registry.root.record_on_audit(Action.AUDIT_EXPORT, name)).result()
