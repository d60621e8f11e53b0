# SPDX-License-Identifier: Apache-2.0
"""The texts and numbers of the protocol, spelled exactly so. Which error is answered with which is said elsewhere.

Errors of contract 7 start with their number; the number of the envelope is the one before the colon.
"""

from typing import NamedTuple

from mysafe.domain.ids import Kind

# Success (contract 4 to 6)


class Texts(NamedTuple):
    """What a kind of item says about its changes, with all its oddities (contract 4.1 to 6.5)."""

    created: str
    updated: str
    deactivated: str
    was_inactive: str
    activated: str
    was_active: str


PASSWORD = Texts(
    "Password successfully registered",
    "Password successfully updated",
    "Password successfully deactivated",
    "Password has already been deactivated",
    "Password successfully activated",
    "Password has already been activated",
)
"""Contract 4.1, 4.4 and 4.5."""

NOTE = Texts(
    "Note successfully registered",
    "Note successfully update",
    "Note successfully deactivated",
    "Note has already been deactivated",
    "Note successfully activated",
    "Note has already been activated",
)
"""Contract 5.1, 5.4 (without the last letter in every version of the manual) and 5.5."""

API_SECRET = Texts(
    "Api secret successfully registered",
    "Api secret updated successfully",
    "Api secret successfully deactivated",
    "Api secret has already been deactivated",
    "Api secret activated successfully",
    "Api secret has already been activated",
)
"""Contract 6.1, 6.4 and 6.5: the word order differs between the routes."""

FILE = Texts(
    "File successfully registered",
    "File successfully updated",
    "File successfully deactivated",
    "File has already been deactivated",
    "File successfully activated",
    "File has already been activated",
)
"""Ours, in the voice of the others: no API is documented for files."""

SUCCESS = "Success"
"""Single GET (contract 1.3)."""

LISTED = ""
"""Lists have an empty text (contract 1.3)."""

# 1001 (contract 7)


def missing(field: str) -> str:
    """Return the text for a required field that is absent or blank (contract 7)."""
    return f"1001: Parameter '{field}' was not informed!"


def invalid(field: str) -> str:
    """Return the text for a field of a wrong type (contract 7, ours)."""
    return f"1001: Parameter '{field}' is invalid!"


def too_long(field: str, limit: int) -> str:
    """Return the text for a field of more than `limit` characters: no quotes, no exclamation mark (contract 5.1, 7)."""
    return f"1001: Parameter {field} limited to {limit} characters"


def bad_seed(field: str) -> str:
    """Return the text for a TOTP seed that is not base32 (contract 7, ours)."""
    return f"1001: Parameter '{field}' must be encoded in base32"


BAD_BODY = "1001: Request body is not valid JSON"
"""Contract 7 and contract 9, rule 19 (ours)."""

BAD_MULTIPART = "1001: Request body is not valid multipart/form-data"
"""Ours: the contract knows no files."""

IDENTIFIER_CODE_TAKEN = "1001: Identifier already found in another API key of this user"
"""Create and update of an API secret (contract 6.1, 7)."""

# Other numbers (contract 7)

NOT_FOUND: dict[Kind, str] = {
    Kind.PASSWORD: "1005: Password not found",
    Kind.NOTE: "1005: Note not found",
    Kind.API_SECRET: "1005: Api secret not found",
    Kind.FILE: "1005: File not found",
}
"""Every route with an identifier (contract 7)."""

NO_ACCESS = "1006: User does not have access"
"""Every route with an identifier (contract 7)."""

INACTIVE: dict[Kind, str] = {
    Kind.PASSWORD: "1009: Inactive password",
    Kind.NOTE: "1009: Inactive note",
    Kind.API_SECRET: "1009: Inactive Api secret",
    Kind.FILE: "1009: Inactive file",
}
"""Single GET (contract 7)."""

BAD_IDENTIFIER = "1010: Unexpected identifier type"
"""Every route with an identifier (contract 7)."""

# Texts without a number: the status is the number (contract 7)

NOT_AUTHORIZED = "You are not authorized to access this resource."
"""403 (contract 2.5)."""

UNEXPECTED = "Unexpected error."
"""500 (contract 1.4)."""

ENCRYPTION_FAILED = "Ocorreu um erro ao criptografar o texto"
"""`exception.message` of a 500 with `exception.code` 400: a value does not fit one RSA block (contract 3)."""

TOO_MANY_REQUESTS = "Too many requests."
"""429 (contract 7, ours)."""

SERVICE_UNAVAILABLE = "Service unavailable."
"""503 (contract 7, ours)."""

VERSION_MISMATCH = "Precondition failed."
"""412 (ours: the contract knows no conditions)."""

BODY_TOO_LARGE = "Request body is too large."
"""413 (ours: the contract has no limit and no text)."""

QUOTA_REACHED = "File quota is used up."
"""413 (ours: the contract knows no files)."""

STORE_FULL = "Insufficient storage."
"""507 (ours: the contract knows no files)."""

BAD_RANGE = "Requested range is not satisfiable."
"""416 (ours: the contract knows no files)."""

SLOW_BODY = "Request timeout."
"""408 (ours: the contract has no limit and no text)."""

# Gateway answers: a period after the first, none after the other two (contract 1.5)

NO_ROUTE = "No route matched with those values."
"""401 for a bad token, 404 for an unknown path or a wrong method."""

UPSTREAM_INVALID = "An invalid response was received from the upstream server"
"""502: the database cannot be reached."""

UPSTREAM_TIMEOUT = "The upstream server is timing out"
"""504: the request passed its deadline."""

# Entries of `shared_error` (contract 9, rule 2)

USER_NOT_FOUND = "User not found"
"""For a user who does not exist, has no permission, or is not visible: one text for all."""

GROUP_NOT_FOUND = "Group not found"
"""The same for a group."""
