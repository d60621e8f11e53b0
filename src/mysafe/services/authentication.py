# SPDX-License-Identifier: Apache-2.0
"""From a credential to an actor, inside the transaction of the call (contract 2; R-TOK-03, R-TOK-05).

Nothing is cached between calls: a revoked key, a disabled user or a narrowed address list counts at once.
"""

from typing import NamedTuple

from mysafe.authz.restrictions import forbidden_by, is_address_allowed
from mysafe.crypto.credentials import looks_like_access_token, new_access_token
from mysafe.domain.access_keys import TOKEN_LIFETIME_SECONDS, AccessToken, ClientCredentials
from mysafe.domain.errors import CallForbidden, NotAuthenticated
from mysafe.domain.ids import TokenId
from mysafe.domain.principals import NOBODY, OPERATOR, Actor
from mysafe.domain.secret_text import SecretText
from mysafe.services.principals import Principals
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Identify, Identity


class Caller(NamedTuple):
    """What the network says about a call: the client's address and the Referer header, None without one.

    `certificate` is the SHA-256 of the client's certificate, 64 hexadecimal digits, None without one (R-TOK-12).
    """

    address: str
    referer: str | None = None
    certificate: str | None = None


def local_operator(principals: Principals) -> Identity:
    """Identify a local command: whoever opened the vault with its root key is the operator."""
    return Identity(OPERATOR)


def nobody(principals: Principals) -> Identity:
    """Identify a call that names nobody: it can only be refused, and that is recorded."""
    return Identity(NOBODY)


def bearer(token: SecretText | None, caller: Caller) -> Identify:
    """Return how to identify the caller by an access token.

    A token that cannot be ours is refused here, before any database work.

    Raises:
        NotAuthenticated: no token was sent, or one that has not the form of ours.
    """
    if token is None or not looks_like_access_token(token.reveal()):
        raise NotAuthenticated(was_sent=token is not None)
    return lambda principals: _identify_token(principals, token, caller)


def _identify_token(principals: Principals, text: SecretText, caller: Caller) -> Identity:
    session = principals.session(text.reveal())
    if session is None:
        raise NotAuthenticated(was_sent=True)
    key = session.usable_key(principals.steady_now)
    if key is None:
        return Identity(session.actor, NotAuthenticated(was_sent=True))
    rule = forbidden_by(key, caller.address, caller.referer, caller.certificate)
    return Identity(session.actor, CallForbidden(rule) if rule else None)


def client_credentials(credentials: ClientCredentials, caller: Caller) -> Identify:
    """Return how to identify a program by client id and secret.

    An unknown id and a wrong secret are refused alike, and so is a caller outside the key's addresses or without
    its certificate, so that nobody out there can try a secret (contract 2.6).
    """
    return lambda principals: _identify_client(principals, credentials, caller)


def _identify_client(principals: Principals, credentials: ClientCredentials, caller: Caller) -> Identity:
    refusal = NotAuthenticated(was_sent=True)
    key = principals.access_key_by_client(credentials.client_id)
    is_secret_right = principals.is_client_secret(key, credentials)
    if key is None:
        raise refusal
    actor = Actor(key.owner_id, key.id, items=key.items, is_bounded=key.is_bounded)
    owner = principals.user(key.owner_id)
    is_good = (
        is_secret_right
        and key.is_usable(principals.steady_now)
        and owner is not None
        and owner.is_active
        and is_address_allowed(key.addresses, caller.address)
        and (not key.fingerprint or caller.certificate == key.fingerprint)
    )
    return Identity(actor, None if is_good else refusal)


def issue_token(uow: UnitOfWork) -> SecretText:
    """Give the actor a new access token for its access key, good for an hour (contract 2.4)."""
    user = uow.principals.user(uow.actor.user_id)
    key = uow.principals.access_key(uow.actor.access_key_id)
    if user is None or key is None:
        raise NotAuthenticated(was_sent=True)
    text = new_access_token()
    token = AccessToken(
        TokenId(0),
        b"",
        key.id,
        user.id,
        user.auth_epoch,
        uow.principals.steady_now + TOKEN_LIFETIME_SECONDS,
        key.token_epoch,
    )
    uow.registry.add_token(token, text)
    return text
