# SPDX-License-Identifier: Apache-2.0
"""Links that let a person choose a password, once: an invitation, or a reset (R-AUTH-12, R-CFG-02).

An administrator never learns or sets a password: the link goes to its user. A second factor stays as it is.
"""

from dataclasses import replace
from typing import NamedTuple

from mysafe.crypto.credentials import looks_like_link_token, new_link_token
from mysafe.domain.actions import Action
from mysafe.domain.errors import NotAuthenticated, NotFound, WrongState
from mysafe.domain.ids import AccessKeyId, LinkId, UserId
from mysafe.domain.principals import Actor, User
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sign_in import FIRST_LINK_SECONDS, LINK_SECONDS, Link, LinkPurpose
from mysafe.services.principals import Principals
from mysafe.services.unit_of_work import UnitOfWork
from mysafe.services.vault import Identify, Identity


class NewLink(NamedTuple):
    """A link that was made, and the token that makes it work: shown once, to whoever made it."""

    link: Link
    token: SecretText
    username: str


def make(uow: UnitOfWork, username: str) -> NewLink:
    """Make a link for a user; another one that user has is good no more.

    It is an invitation for a user without a password. Where the local operator makes it, it is good for 15 minutes.

    Raises:
        NotFound: there is no such user.
        WrongState: the user is disabled.
    """
    user = uow.registry.require_user(Action.LINK_CREATE, 0, uow.principals.user_by_name(username))
    if not user.is_active:
        raise WrongState("the user is disabled")
    writes = uow.registry.sign_in
    purpose = LinkPurpose.INVITATION if writes.hash_of(user) is None else LinkPurpose.RESET
    seconds = FIRST_LINK_SECONDS if uow.actor.is_operator else LINK_SECONDS[purpose]
    token = new_link_token()
    link = Link(LinkId(0), 0, user.id, purpose, b"", user.auth_epoch, 0, uow.principals.steady_now + seconds)
    return NewLink(writes.add_link(link, token, user.username), token, user.username)


def by_link(token: SecretText) -> Identify:
    """Return how to identify the user of a link.

    Raises:
        NotAuthenticated: it has not the form of one.
    """
    if not looks_like_link_token(token.reveal()):
        raise NotAuthenticated(was_sent=True)

    def identify(principals: Principals) -> Identity:
        link = principals.link(token.reveal())
        user = None if link is None else principals.user(link.user_id)
        if link is None or user is None:
            raise NotAuthenticated(was_sent=True)
        is_good = user.is_active and user.auth_epoch == link.auth_epoch and principals.steady_now < link.expires_at
        actor = Actor(user.id, AccessKeyId(0))
        return Identity(actor, None if is_good else NotAuthenticated(was_sent=True))

    return identify


def look(uow: UnitOfWork, token: SecretText) -> str:
    """Return the user name a good link is for."""
    uow.registry.permit(Action.ACCOUNT_READ)
    return _user(uow, uow.actor.user_id).username


def use(uow: UnitOfWork, token: SecretText, password_hash: str) -> User:
    """Give the link's user a password; every token and session of theirs ends, and so does the link.

    `password_hash` comes from `users.prepare_password`.
    """
    link = uow.principals.link(token.reveal())
    if link is None:
        raise NotAuthenticated(was_sent=True)
    user = _user(uow, link.user_id)
    writes = uow.registry.sign_in
    writes.use_link(link)
    writes.forget_tries(user.username)
    after = replace(user, auth_epoch=user.auth_epoch + 1)
    return uow.registry.change_user(after, Action.ACCOUNT_SECURE, password_hash)


def _user(uow: UnitOfWork, user_id: UserId) -> User:
    user = uow.principals.user(user_id)
    if user is None:
        raise NotFound("user")
    return user
