# SPDX-License-Identifier: Apache-2.0
"""Decide and write it down: one audit row for every call, allowed or refused (R-LOG-05)."""

from collections.abc import Callable
from typing import NamedTuple

from mysafe.audit.events import AuditEntry, Details, Result
from mysafe.authz.decide import decide, decide_on_access_key
from mysafe.domain import errors
from mysafe.domain.actions import Action
from mysafe.domain.ids import UserId
from mysafe.domain.principals import NOBODY, Actor
from mysafe.services.keys import VaultKeys
from mysafe.services.payloads import audit as payloads
from mysafe.storage.audit_log import AuditRow


class Origin(NamedTuple):
    """Where a call comes from. `action` is what the door was asked for, None where the use case says it."""

    address: str = "local"
    agent: str = "mysafe"
    request_id: str = ""
    action: Action | None = None


class Subject(NamedTuple):
    """The record an entry is about: kind, id, version after the action, digest and name; 0 or empty if unknown."""

    kind: str = ""
    id: int = 0
    version: int = 0
    digest: bytes = b""
    name: str = ""


NOTHING = Subject()

RESULTS: tuple[tuple[type[Exception], Result], ...] = (
    (errors.AccessDenied, Result.DENIED),
    (errors.CallForbidden, Result.FORBIDDEN),
    (errors.NotAuthenticated, Result.UNAUTHENTICATED),
    (errors.WrongPassword, Result.DENIED),
    (errors.NotFound, Result.NOT_FOUND),
    (errors.Inactive, Result.INACTIVE),
    (errors.Conflict, Result.CONFLICT),
    (errors.LastAdministrator, Result.CONFLICT),
    (errors.LimitReached, Result.CONFLICT),
    (errors.VersionMismatch, Result.CONFLICT),
    (errors.WrongState, Result.CONFLICT),
    (errors.InvalidInput, Result.INVALID),
    (errors.TooMany, Result.THROTTLED),
)
"""How a failed call is recorded; what is not listed is FAILED."""


class Recorder:
    """Write the audit rows of one unit of work.

    `actor` is NOBODY until the credential is accepted. `write` stores a row: at once in a unit that may
    write, later in one that only looks. `owed` counts the actions that were allowed and whose row is still to come.
    """

    def __init__(
        self, keys: VaultKeys, origin: Origin, node: str, at_ms: int, write: Callable[[AuditRow], None]
    ) -> None:
        self._keys = keys
        self._origin = origin
        self._node = node
        self._at_ms = at_ms
        self._write = write
        self._attempted = origin.action
        self._subject = NOTHING
        self._remarks: dict[Action, str] = {}
        self.actor: Actor = NOBODY
        self.owed = 0

    def attempt(self, action: Action | None, subject: Subject = NOTHING) -> None:
        """Note what is being tried, in case it fails before it is recorded. None keeps the action."""
        self._attempted = action or self._attempted
        self._subject = subject

    def permit(self, action: Action) -> None:
        """Return if the policy lets the actor do `action`, where no item is concerned. Raises AccessDenied."""
        self.attempt(action)
        decision = decide(self.actor, action)
        if not decision.is_allowed:
            raise errors.AccessDenied(decision.reason)

    def permit_on_key(self, action: Action, owner_id: UserId, subject: Subject = NOTHING) -> None:
        """Return if the policy lets the actor do `action` to an access key of `owner_id`. Raises AccessDenied."""
        self.attempt(action, subject)
        decision = decide_on_access_key(self.actor, action, owner_id)
        if not decision.is_allowed:
            raise errors.AccessDenied(decision.reason)

    def remark(self, action: Action, text: str) -> None:
        """Note what the row that says that `action` was allowed is to say besides. It holds no secret."""
        self._remarks[action] = text

    def allowed(self, action: Action, subject: Subject = NOTHING) -> None:
        """Record that `action` was allowed. Raises AuditUnwritable, and then nothing may be revealed."""
        self._write(self._row(action, Result.ALLOWED, subject, self._remarks.pop(action, "")))

    def left_out(self, action: Action, result: Result, subject: Subject, reason: str) -> None:
        """Record that one of several things an action is about was left as it is, while the unit goes on."""
        self._write(self._row(action, result, subject, reason))

    def check_settled(self) -> None:
        """Raise RuntimeError, which undoes the unit, if an action was allowed and no row says so."""
        if self.owed:
            raise RuntimeError("an allowed action was not recorded")

    def refused(self, error: BaseException, write: Callable[[AuditRow], None]) -> None:
        """Record through `write` that the call failed; the unit's own rows were rolled back.

        An unknown token is not recorded: nobody acted, and a stranger could fill the disk. Nor is a throttled
        call of nobody's; the door names the actor of those that are to be recorded.
        """
        action = self._attempted
        is_token_request = action in {Action.TOKEN_ISSUE, Action.SESSION_BEGIN} and not isinstance(
            error, errors.TooMany
        )
        if action is None or (self.actor is NOBODY and not is_token_request):
            return
        result = next((result for kind, result in RESULTS if isinstance(error, kind)), Result.FAILED)
        reason = str(error) if isinstance(error, errors.VaultError) else type(error).__name__
        write(self._row(action, result, self._subject, reason))

    def _row(self, action: Action, result: Result, subject: Subject, reason: str) -> AuditRow:
        actor, origin = self.actor, self._origin
        facts = (
            self._at_ms,
            self._node,
            actor.user_id,
            actor.access_key_id,
            action,
            subject.kind,
            subject.id,
            subject.version,
            subject.digest,
            result,
            origin.request_id,
        )
        details = payloads.encode_details(Details(origin.address, origin.agent, subject.name, reason))
        sealed = self._keys.cipher.seal_details(details, payloads.encode_facts(facts))
        return AuditRow(0, *facts, sealed)


def open_row(keys: VaultKeys, row: AuditRow) -> AuditEntry:
    """Return the entry of a stored row. Raises SealBroken if a column was changed outside the vault."""
    facts: tuple[int | str | bytes, ...] = row[1:-1]
    details = payloads.decode_details(keys.cipher.open_details(row.details, payloads.encode_facts(facts)))
    return AuditEntry(
        row.id,
        row.at_ms,
        row.node,
        row.actor_id,
        row.access_key_id,
        Action(row.action),
        row.record_kind,
        row.record_id,
        row.new_version,
        row.envelope_sha256,
        Result(row.result),
        row.request_id,
        details,
    )
