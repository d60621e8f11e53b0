# SPDX-License-Identifier: Apache-2.0
"""One entry of the audit log: who did what, when, from where, and how it ended (contract 9, rule 24)."""

from enum import StrEnum
from typing import NamedTuple

from mysafe.domain.actions import Action


class Result(StrEnum):
    """How an action ended. The values are stored: never rename one."""

    ALLOWED = "allowed"
    DENIED = "denied"
    FORBIDDEN = "forbidden"
    UNAUTHENTICATED = "unauthenticated"
    NOT_FOUND = "not_found"
    INACTIVE = "inactive"
    INVALID = "invalid"
    CONFLICT = "conflict"
    THROTTLED = "throttled"
    FAILED = "failed"


class Details(NamedTuple):
    """The sealed part of an entry: what could say something about a person or an item.

    `address` is the client's IP, or "local"; `agent` the client program; `name` the record's name;
    `reason` the policy's words for a refusal, or the class of an error; of what was restored, which version.
    Never a secret.
    """

    address: str
    agent: str
    name: str = ""
    reason: str = ""


class AuditEntry(NamedTuple):
    """One entry. Numbers are 0 where there is none; `at_ms` is Unix time in milliseconds.

    `envelope_sha256` is the digest of the sealed record an action wrote or opened, empty without one.
    """

    id: int
    at_ms: int
    node: str
    actor_id: int
    access_key_id: int
    action: Action
    record_kind: str
    record_id: int
    new_version: int
    envelope_sha256: bytes
    result: Result
    request_id: str
    details: Details
