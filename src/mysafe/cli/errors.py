# SPDX-License-Identifier: Apache-2.0
"""How the command line words what went wrong: one exit status and one sentence for each class of error."""

from typing import NamedTuple

from mysafe.config import SettingsRefused
from mysafe.domain import errors

REFUSED = 1
"""Exit status of a command that was refused or failed."""

USAGE = 2
"""Exit status of a command that was given wrong arguments."""


class Failure(NamedTuple):
    """How a command ends: its exit status, and a sentence for standard error."""

    exit_status: int
    sentence: str


_TABLE: dict[type[errors.VaultError], tuple[int, str]] = {
    errors.VaultError: (REFUSED, "the command was refused"),
    errors.InvalidInput: (USAGE, "a value cannot be used"),
    errors.MissingField: (USAGE, "{field} must not be empty"),
    errors.InvalidField: (USAGE, "{field} has a form or a character that cannot be used"),
    errors.TooLong: (USAGE, "{field} is longer than {limit} characters"),
    errors.TooShort: (USAGE, "{field} is shorter than {limit} characters"),
    errors.BadSeed: (USAGE, "{field} is not base32 of at least ten characters"),
    errors.NamedTwice: (USAGE, "{field} names the same record again"),
    errors.BadBody: (USAGE, "the input is not the document it should be"),
    errors.BadMultipart: (USAGE, "the input is not the multipart form it should be"),
    errors.BadIdentifier: (USAGE, "an identifier is a positive decimal number"),
    errors.BadTokenRequest: (USAGE, "{field} is missing or misplaced"),
    errors.UnsupportedGrant: (USAGE, "only client credentials are offered"),
    errors.NotFound: (REFUSED, "there is no such {what}"),
    errors.UnknownMember: (REFUSED, "there is no such {what}"),
    errors.LastAdministrator: (REFUSED, "this is the last active administrator; make another one first"),
    errors.WrongPassword: (REFUSED, "the password is wrong"),
    errors.AccessDenied: (REFUSED, "the command line may not do this"),
    errors.DuplicateIdentifier: (REFUSED, "the identifier code is taken by another API secret of this user"),
    errors.VersionMismatch: (REFUSED, "the item was changed meanwhile"),
    errors.Inactive: (REFUSED, "the {what} is disabled"),
    errors.Conflict: (REFUSED, "the name is taken by another {what}"),
    errors.LimitReached: (
        REFUSED,
        "the user has {limit} already, and may have no other {what}: revoke one first, or raise the setting",
    ),
    errors.WrongState: (REFUSED, "{reason}"),
    errors.NotEncryptable: (REFUSED, "the value is too long to be encrypted for the access key"),
    errors.NotAuthenticated: (REFUSED, "the credential was not accepted"),
    errors.CallForbidden: (REFUSED, "the access key may not be used from here"),
    errors.TooMany: (REFUSED, "too many requests: try again in {retry_after_seconds} seconds"),
    errors.TooLarge: (REFUSED, "the input is larger than {limit_bytes} bytes"),
    errors.QuotaReached: (REFUSED, "the file is larger than what its owner may still store"),
    errors.SlowBody: (REFUSED, "the input came too slowly"),
    errors.Unavailable: (REFUSED, "the vault cannot do this now; nothing was changed"),
    errors.Sealed: (REFUSED, "the vault is sealed; nothing was changed"),
    errors.DatabaseUnreachable: (REFUSED, "the database cannot be opened, read or written; nothing was changed"),
    errors.Busy: (REFUSED, "another process holds the database; nothing was changed, so try again"),
    errors.NoSpace: (REFUSED, "the disk is full; nothing was changed"),
    errors.StoreFull: (REFUSED, "there is no room for the file; nothing was changed"),
    errors.AuditUnwritable: (REFUSED, "the audit log cannot be written; nothing was changed"),
    errors.DeadlinePassed: (REFUSED, "it took too long; nothing was changed"),
}
"""Every class of `mysafe.domain.errors`; the braces are its facts."""


EXPLAINED: tuple[type[Exception], ...] = (errors.VaultError, SettingsRefused, OSError)
"""What `explain` has words for. Anything else is a fault of the program, or a class whose text is the sentence."""


def explain(error: Exception) -> Failure:
    """Return how a command ends that failed with `error`."""
    if isinstance(error, errors.VaultError):
        exit_status, sentence = _TABLE[type(error)]
        return Failure(exit_status, sentence.format_map(vars(error)))
    if isinstance(error, OSError):
        return Failure(REFUSED, f"{error.strerror or type(error).__name__}: {error.filename or 'input or output'}")
    return Failure(REFUSED, " ".join(str(error).split()))
