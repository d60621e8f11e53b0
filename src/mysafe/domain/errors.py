# SPDX-License-Identifier: Apache-2.0
"""Everything that can go wrong on purpose. Errors carry facts; each door words them for its users.

    VaultError
    ├ InvalidInput
    │ ├ MissingField
    │ ├ InvalidField
    │ ├ TooLong
    │ ├ TooShort
    │ ├ BadSeed
    │ ├ NamedTwice
    │ ├ BadBody
    │ │ └ BadMultipart
    │ ├ BadIdentifier
    │ ├ DuplicateIdentifier
    │ ├ BadTokenRequest
    │ └ UnsupportedGrant
    ├ NotFound
    │ └ UnknownMember
    ├ AccessDenied
    ├ Inactive
    ├ Conflict
    ├ LimitReached
    ├ LastAdministrator
    ├ WrongPassword
    ├ WrongState
    ├ VersionMismatch
    ├ NotEncryptable
    ├ NotAuthenticated
    ├ CallForbidden
    ├ TooMany
    ├ TooLarge
    ├ QuotaReached
    ├ SlowBody
    └ Unavailable
      ├ Sealed
      ├ DatabaseUnreachable
      ├ Busy
      ├ NoSpace
      │ └ StoreFull
      ├ AuditUnwritable
      └ DeadlinePassed

Anything outside this tree is a fault of the program or an attack, and is answered without details.
`mysafe.crypto.aead.SealBroken` is outside on purpose: it raises an alarm, not a hint.
"""


class VaultError(Exception):
    """Root of the errors a door knows how to answer."""


class InvalidInput(VaultError):
    """The caller sent something that no vault would accept."""


class _FieldError(InvalidInput):
    """Names the field at fault, never its value."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class MissingField(_FieldError):
    """A required field is absent, null, empty or blank."""


class InvalidField(_FieldError):
    """A field has a type or a character that cannot be stored."""


class TooLong(_FieldError):
    """A field has more characters (Unicode code points) than `limit`."""

    def __init__(self, field: str, limit: int) -> None:
        super().__init__(field)
        self.limit = limit


class TooShort(_FieldError):
    """A password has fewer characters than `limit`."""

    def __init__(self, field: str, limit: int) -> None:
        super().__init__(field)
        self.limit = limit


class BadSeed(_FieldError):
    """A TOTP seed is not base32 of at least ten characters."""


class NamedTwice(_FieldError):
    """The same record is named twice. `field` is the second place."""


class BadBody(InvalidInput):
    """The request body is not the JSON object or form it should be."""


class BadMultipart(BadBody):
    """The request body is not the multipart form it says it is."""


class BadIdentifier(InvalidInput):
    """An identifier in a path is not a positive decimal number."""


class DuplicateIdentifier(InvalidInput):
    """Another API secret of the same owner has this identifier code."""


class BadTokenRequest(_FieldError):
    """A parameter of a token request is missing, misplaced or given twice (contract 2.4).

    `is_exposed` says that a secret stood in a query string, where logs keep it.
    """

    def __init__(self, field: str, *, is_exposed: bool = False) -> None:
        super().__init__(field)
        self.is_exposed = is_exposed

    def __str__(self) -> str:
        return f"{self.field} exposed in a query string" if self.is_exposed else self.field


class UnsupportedGrant(InvalidInput):
    """A token request asks for a grant other than client credentials."""


class NotFound(VaultError):
    """No such record. `what` is a kind of record: "password", "user", "group", …"""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class UnknownMember(NotFound):
    """No active user has a name that is to become a member, or no member has it. `field` says which entry it is."""

    def __init__(self, what: str, field: str) -> None:
        super().__init__(what)
        self.field = field


class AccessDenied(VaultError):
    """The policy says no. `reason` is for the audit log, not for the caller; `what` is a kind of record or ""."""

    def __init__(self, reason: str, what: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.what = what


class Inactive(VaultError):
    """The item exists and the actor may see it, but it is deactivated."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Conflict(VaultError):
    """The name is taken. `what` says by which kind of record."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class LimitReached(VaultError):
    """There are as many records of this kind as there may be: `limit`. `what` is the kind."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(what)
        self.what = what
        self.limit = limit


class LastAdministrator(VaultError):
    """Nobody would be left who administers: the user is the last active administrator."""


class WrongPassword(VaultError):
    """The password given to prove who calls is not that of the user, or the user has none."""


class WrongState(VaultError):
    """The record is not in the state that this needs. `reason` is for the audit log, not for the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class VersionMismatch(VaultError):
    """The item is not at the version that the caller's condition names (RFC 9110, section 13.1.1)."""


class NotEncryptable(VaultError):
    """A value is too long for one block of the RSA key of the access key (contract 3)."""


class NotAuthenticated(VaultError):
    """No credential, or one that is unknown, expired or revoked."""

    def __init__(self, *, was_sent: bool) -> None:
        super().__init__("credential not accepted" if was_sent else "no credential")
        self.was_sent = was_sent


class CallForbidden(VaultError):
    """The credential is good, but its access key forbids this call. `rule` names the limit."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class TooMany(VaultError):
    """Too many requests, or too many failed ones. The caller may try again in `retry_after_seconds`, at least 1."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("too many requests")
        self.retry_after_seconds = retry_after_seconds


class TooLarge(VaultError):
    """A request body is longer than `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(limit_bytes)
        self.limit_bytes = limit_bytes


class QuotaReached(VaultError):
    """A file is larger than what its owner may still store."""


class SlowBody(VaultError):
    """A request body arrives slower than the server waits for."""


class Unavailable(VaultError):
    """The vault cannot serve this now; nothing was changed or revealed."""


class Sealed(Unavailable):
    """The keyring is not open."""


class DatabaseUnreachable(Unavailable):
    """The database cannot be opened, read or written at all."""


class Busy(Unavailable):
    """Too much is queued, or another process holds the database too long."""


class NoSpace(Unavailable):
    """The disk or the quota is full."""


class StoreFull(NoSpace):
    """There is no room for a file: on the disk, or in what all files together may take."""


class AuditUnwritable(Unavailable):
    """The audit row could not be written, so nothing was done."""


class DeadlinePassed(Unavailable):
    """The request took longer than it was given."""
