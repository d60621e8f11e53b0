# SPDX-License-Identifier: Apache-2.0
"""What is written when people sign in: tries, sessions, second factors and links (R-AUTH, R-SES)."""

from collections.abc import Sequence
from dataclasses import replace

from mysafe.domain.actions import Action
from mysafe.domain.errors import Busy, NotFound, TooMany
from mysafe.domain.ids import FactorId, LinkId, SessionId
from mysafe.domain.principals import User
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sign_in import MOST_SESSIONS, Factor, FactorKind, Link, WebSession
from mysafe.services.keys import VaultKeys
from mysafe.services.payloads import sign_in as payloads
from mysafe.services.payloads.principals import decode_user_credentials
from mysafe.services.payloads.sign_in import encode_link, encode_session
from mysafe.services.recording import Recorder, Subject
from mysafe.services.writes.records import RecordWriter
from mysafe.storage import principals as store
from mysafe.storage import sign_in as rows
from mysafe.storage.engine import Transaction
from mysafe.storage.principals import USERS, RecordRow
from mysafe.storage.sign_in import FACTORS, LINKS, SESSIONS, Tries

FREE_TRIES = 5
"""So many sign-ins under a name may fail in a row before the next one has to wait (R-AUTH-05)."""

MOST_TRIES = 100
"""After so many a new password is needed, by a link (R-AUTH-05)."""

LONGEST_WAIT_SECONDS = 900

FORGOTTEN_SECONDS = 30 * 24 * 3600
"""Failed sign-ins under a name are forgotten when nothing was tried for so long and no limit was reached."""

SWEPT_EVERY = 16
"""Each of so many new records removes some whose time is over."""


class SignInWrites:
    """Decide, write and record in one call each. Every method raises AccessDenied and AuditUnwritable."""

    def __init__(self, tx: Transaction, keys: VaultKeys, recorder: Recorder, now: int) -> None:
        self._tx = tx
        self._keys = keys
        self._recorder = recorder
        self._now = now
        self._records = RecordWriter(tx, keys, recorder, now)

    # -- tries ---------------------------------------------------------------------------------------------------------

    def count_try(self, username: str) -> None:
        """Count a sign-in under a name as failed until `forget_tries`, whether there is such a user or not.

        It is committed before the password is looked at, so that a crash or many clients at once cost no attacker
        anything less. Names that differ in case or compatibility only are one name.

        Raises:
            TooMany: there were too many before.
        """
        self._recorder.attempt(Action.SESSION_BEGIN)
        index = self._keys.index.user_name(username)
        tries = rows.read_tries(self._tx, index)
        if (wait := _wait(tries, self._now)) > 0:
            raise TooMany(wait)
        rows.write_tries(self._tx, index, Tries(tries.failures + 1, self._now))
        if tries.failures == 0:
            rows.sweep_tries(self._tx, self._now - FORGOTTEN_SECONDS, MOST_TRIES)

    def forget_tries(self, username: str) -> None:
        """Forget the failed sign-ins under a name, whose user has proved to be the right one."""
        rows.drop_tries(self._tx, self._keys.index.user_name(username))

    def hash_of(self, user: User) -> str | None:
        """Return the PHC string of a user's password, to compare what somebody typed who wants to enter as them."""
        self._recorder.attempt(Action.SESSION_BEGIN)
        row = USERS.find(self._tx, user.id)
        secret = None if row is None else self._records.secret_of(USERS, row)
        return None if secret is None else decode_user_credentials(secret)

    # -- sessions ------------------------------------------------------------------------------------------------------

    def begin_session(self, session: WebSession, text: SecretText, action: Action) -> WebSession:
        """Store a new session of the actor, known by a token, and return it with its id.

        The oldest sessions end where there would be too many.
        """
        self._recorder.permit(action)
        session = replace(
            session,
            id=SessionId(self._tx.next_id("sessions")),
            version=1,
            verifier=self._keys.verifiers.of_session(text.reveal()),
        )
        others = SESSIONS.of_owner(self._tx, session.user_id)
        for row in others[: max(0, len(others) + 1 - MOST_SESSIONS)]:
            SESSIONS.drop(self._tx, row.id)
        if session.id % SWEPT_EVERY == 0:
            SESSIONS.sweep(self._tx, self._now)
        row = self._seal_session(session, self._keys.index.session(text.reveal()))
        self._records.insert(SESSIONS, row, action, "")
        if session.is_complete:
            store.note_login(self._tx, session.user_id, self._now)
        return session

    def change_session(self, session: WebSession, action: Action) -> WebSession:
        """Store the next version of a session and record it. Raises Busy if it is not there any more."""
        self._recorder.permit(action)
        session, row = self._next(session)
        self._records.replace(SESSIONS, row, action, "")
        return session

    def touch_session(self, session: WebSession) -> WebSession:
        """Note that a session is used now. That is no action of anybody, and is not recorded."""
        session, row = self._next(replace(session, seen_at=self._now))
        if not SESSIONS.replace(self._tx, row, session.version - 1):
            raise Busy
        return session

    def end_session(self, session: WebSession) -> None:
        """Remove a session of the actor and record it."""
        self._recorder.permit(Action.SESSION_END)
        self._recorder.attempt(Action.SESSION_END, Subject(SESSIONS.name, session.id))
        if not SESSIONS.drop(self._tx, session.id):
            raise NotFound("session")
        self._recorder.allowed(Action.SESSION_END, Subject(SESSIONS.name, session.id, session.version))

    # -- second factors ------------------------------------------------------------------------------------------------

    def put_factor(self, factor: Factor, secret: bytes, action: Action) -> Factor:
        """Store a second factor of the actor in the place of the one of its kind, if there is one, and record it."""
        self._recorder.permit(action)
        for row in FACTORS.of_owner(self._tx, factor.user_id):
            if row.bidx == self._keys.index.factor(factor.user_id, factor.kind):
                FACTORS.drop(self._tx, row.id)
        factor = replace(factor, id=FactorId(self._tx.next_id("factors")), version=1, created_at=self._now)
        self._records.insert(FACTORS, self._seal_factor(factor, secret), action, factor.kind.name.lower())
        return factor

    def change_factor(self, factor: Factor, action: Action, secret: bytes | None = None) -> Factor:
        """Store the next version of a second factor and record it; without a new secret it keeps the one it has."""
        self._recorder.permit(action)
        kept = self.secret_of(factor) if secret is None else secret
        factor = replace(factor, version=factor.version + 1)
        self._records.replace(FACTORS, self._seal_factor(factor, kept), action, factor.kind.name.lower())
        return factor

    def remove_factor(self, factor: Factor) -> None:
        """Remove a second factor of the actor and record it."""
        self._recorder.permit(Action.FACTOR_REMOVE)
        FACTORS.drop(self._tx, factor.id)
        self._recorder.allowed(
            Action.FACTOR_REMOVE, Subject(FACTORS.name, factor.id, factor.version, name=factor.kind.name.lower())
        )

    def secret_of(self, factor: Factor) -> bytes:
        """Return the sealed secret of a second factor, opened; only to compare a code with it. Raises Busy."""
        row = FACTORS.find(self._tx, factor.id)
        secret = None if row is None else self._records.secret_of(FACTORS, row)
        if secret is None:
            raise Busy
        return secret

    def seed_of(self, factor: Factor) -> SecretText:
        """Return the seed of a TOTP factor."""
        return payloads.decode_seed(self.secret_of(factor))

    def is_code_of(self, factor: Factor, code: str) -> list[bytes] | None:
        """Return the recovery codes that are left without a code, by their verifiers; None if it is none of them."""
        verifiers = self._keys.verifiers
        wanted = verifiers.of_recovery_code(factor.user_id, code)
        known = payloads.decode_codes(self.secret_of(factor))
        left = [one for one in known if not verifiers.matches(one, wanted)]
        return left if len(left) < len(known) else None

    def sealed_codes(self, user: User, codes: Sequence[SecretText]) -> bytes:
        """Return the secret of a set of recovery codes: their verifiers."""
        verifiers = self._keys.verifiers
        return payloads.encode_codes([verifiers.of_recovery_code(user.id, code.reveal()) for code in codes])

    # -- links ---------------------------------------------------------------------------------------------------------

    def add_link(self, link: Link, text: SecretText, username: str) -> Link:
        """Store a new link, known by a token, and record it; every other one of its user is gone then."""
        self._recorder.permit(Action.LINK_CREATE)
        for row in LINKS.of_owner(self._tx, link.user_id):
            LINKS.drop(self._tx, row.id)
        LINKS.sweep(self._tx, self._now)
        link = replace(
            link,
            id=LinkId(self._tx.next_id("links")),
            version=1,
            verifier=self._keys.verifiers.of_link(text.reveal()),
            created_at=self._now,
        )
        row = self._records.seal(
            LINKS,
            (link.id, link.user_id, 1, self._now),
            self._keys.index.link(text.reveal()),
            encode_link(link),
            None,
        )._replace(expires_at=link.expires_at)
        self._records.insert(LINKS, row, Action.LINK_CREATE, username)
        return link

    def use_link(self, link: Link) -> None:
        """Remove a link of the actor, which is good once, and record it. Raises Busy if it was just used."""
        self._recorder.permit(Action.LINK_USE)
        if not LINKS.drop(self._tx, link.id):
            raise Busy
        self._recorder.allowed(Action.LINK_USE, Subject(LINKS.name, link.id, link.version))

    # -- inside --------------------------------------------------------------------------------------------------------

    def _next(self, session: WebSession) -> tuple[WebSession, RecordRow]:
        stored = SESSIONS.find(self._tx, session.id)
        if stored is None:
            raise Busy
        session = replace(session, version=session.version + 1)
        return session, self._seal_session(session, stored.bidx)

    def _seal_session(self, session: WebSession, index: bytes) -> RecordRow:
        return self._records.seal(
            SESSIONS,
            (session.id, session.user_id, session.version, session.created_at),
            index,
            encode_session(session),
            None,
        )._replace(expires_at=session.expires_at)

    def _seal_factor(self, factor: Factor, secret: bytes) -> RecordRow:
        return self._records.seal(
            FACTORS,
            (factor.id, factor.user_id, factor.version, factor.created_at),
            self._keys.index.factor(factor.user_id, factor.kind),
            payloads.encode_factor(factor),
            secret,
        )


def _wait(tries: Tries, now: int) -> int:
    """Return how many seconds the next try has to wait."""
    if tries.failures < FREE_TRIES:
        return 0
    if tries.failures >= MOST_TRIES:
        return LONGEST_WAIT_SECONDS
    pause: int = min(1 << (tries.failures - FREE_TRIES), LONGEST_WAIT_SECONDS)
    return max(0, tries.last_at + pause - now)


def is_wanted(factors: Sequence[Factor]) -> bool:
    """Return whether a second factor is asked for: one is confirmed."""
    return any(factor.is_confirmed and factor.kind is not FactorKind.RECOVERY for factor in factors)
