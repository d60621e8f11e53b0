# SPDX-License-Identifier: Apache-2.0
"""`/api/manage/access-keys`: the access keys of the caller (contract 2.1, 2.6 and 3)."""

from collections.abc import Callable
from functools import partial
from typing import Any

from mysafe.domain.access_keys import AccessKeyView
from mysafe.domain.actions import Action
from mysafe.domain.errors import TooMany, WrongPassword
from mysafe.domain.ids import AccessKeyId
from mysafe.protocol.identifiers import parse_identifier
from mysafe.server.api.call import About, Answer, Call, Operation, Slow, Step
from mysafe.server.api.conditions import expected_versions, tag
from mysafe.server.api.manage import bodies
from mysafe.server.api.manage.key_bodies import (
    ChangedKey,
    Key,
    Keys,
    KeyWithSecret,
    NewKey,
    Password,
    Secret,
    body_of,
    change_of,
    draft_of,
)
from mysafe.server.api.manage.paging import PAGE, read_page
from mysafe.server.api.manage.problems import PROBLEMS
from mysafe.services.accounts import access_keys
from mysafe.services.accounts.access_keys import NewAccessKey, Revealed
from mysafe.services.accounts.reauthentication import Claim, prove

PATH = "/api/manage/access-keys"
ONE = PATH + "/{identifier}"

TEXT = (b"content-type", b"text/plain; charset=us-ascii")

UseCase = Callable[..., Any]


def list_all(call: Call) -> Step:
    """GET /api/manage/access-keys."""
    query = call.query(*PAGE, "owner")
    page = read_page(query)
    work = partial(access_keys.list_keys, owner=query.get("owner"), after=page.after, limit=page.limit)
    return Step(work, _lines, is_look=True)


def create(call: Call) -> Step:
    """POST /api/manage/access-keys."""
    draft = draft_of(bodies.read(call, NewKey))
    add = partial(access_keys.add, draft=draft, rules=call.key_rules)
    if not draft.is_encrypting:
        return Step(add, _created)
    return _with_pair(call, partial(access_keys.may_add, draft=draft, rules=call.key_rules), add, _created)


def read(call: Call) -> Step:
    """GET /api/manage/access-keys/{identifier}."""
    return Step(partial(access_keys.read, which=_which(call)), _shown, is_look=True)


def change(call: Call) -> Step:
    """PATCH /api/manage/access-keys/{identifier}; `If-Match` is honoured (RFC 9110, 13.1.1)."""
    wanted, which = change_of(bodies.read(call, ChangedKey)), _which(call)
    work = partial(access_keys.change, which=which, wanted=wanted, expected_versions=expected_versions(call))
    if not wanted.is_encrypting:
        return Step(work, _shown)
    needs = partial(access_keys.needs_pair, which=which, action=Action.ACCESS_KEY_UPDATE)
    return _with_pair(call, needs, work, _shown)


def clone(call: Call) -> Step:
    """POST /api/manage/access-keys/{identifier}/clone."""
    which = _which(call)
    needs = partial(access_keys.needs_pair, which=which, action=Action.ACCESS_KEY_CLONE)
    work = partial(access_keys.clone, which=which, rules=call.key_rules)
    return _with_pair(call, needs, work, _created)


def revoke(call: Call) -> Step:
    """POST /api/manage/access-keys/{identifier}/revoke."""
    return Step(partial(access_keys.revoke, which=_which(call)), _shown)


def client_secret(call: Call) -> Step:
    """POST /api/manage/access-keys/{identifier}/secret."""
    return _after_password(call, Action.ACCESS_KEY_REVEAL_SECRET, access_keys.client_secret, _secret)


def decryption_key(call: Call) -> Step:
    """POST /api/manage/access-keys/{identifier}/decryption-key."""
    return _after_password(call, Action.ACCESS_KEY_REVEAL, access_keys.decryption_key, _key_file)


def _which(call: Call) -> AccessKeyId:
    return AccessKeyId(parse_identifier(call.identifier))


def _with_pair(call: Call, needs: UseCase, then: UseCase, encode: Callable[[Any], Answer]) -> Step:
    """Decide first whether RSA keys have to be made, make them beside the loop, then do what is wanted."""

    def make(is_needed: bool) -> Slow:  # noqa: FBT001  # as the engine gives it
        def work() -> Step:
            pair = access_keys.prepare(call.key_rules.rsa_bits, is_encrypting=is_needed)
            return Step(partial(then, pair=pair), encode)

        return Slow(work)

    return Step(needs, make)


def _after_password(call: Call, action: Action, reveal: UseCase, encode: Callable[[Any], Answer]) -> Step:
    """Decide first, compare the password beside the loop, then decide again and reveal."""
    password = bodies.read(call, Password).password
    which, tries = _which(call), call.key_rules.tries

    def compare(claim: Claim) -> Slow:
        def work() -> Step:
            try:
                proof = prove(tries, claim, password)
            except (TooMany, WrongPassword) as error:
                return Step(partial(access_keys.refuse, which=which, action=action, error=error), encode)
            return Step(partial(reveal, which=which, proof=proof), encode)

        return Slow(work)

    return Step(partial(access_keys.claim, which=which, action=action), compare)


def _lines(found: tuple[list[AccessKeyView], bool]) -> Answer:
    views, has_more = found
    following = str(views[-1].key.id) if has_more else None
    return bodies.answer(Keys(access_keys=tuple(map(body_of, views)), next=following))


def _shown(view: AccessKeyView) -> Answer:
    return bodies.answer(body_of(view), headers=(tag(view.key.version),))


def _created(made: NewAccessKey) -> Answer:
    body = KeyWithSecret(access_key=body_of(made.view), client_secret=made.client_secret.reveal())
    location = (b"location", f"{PATH}/{made.key.id}".encode("ascii"))
    return bodies.answer(body, 201, (tag(made.key.version), location))


def _secret(revealed: Revealed) -> Answer:
    return bodies.answer(Secret(client_id=revealed.client_id, client_secret=revealed.secret.reveal()))


def _key_file(revealed: Revealed) -> Answer:
    disposition = f'attachment; filename="{revealed.client_id}.key"'.encode("ascii")
    pem = revealed.secret.reveal().encode("ascii")
    return Answer(200, pem, ((b"content-disposition", disposition),), content_type=TEXT)


def _operation(method: str, path: str, action: Action, handler: Callable[[Call], Step], about: About) -> Operation:
    return Operation(method, path, action, handler, door=PROBLEMS, about=about)


OPERATIONS = (
    _operation(
        "GET",
        PATH,
        Action.ACCESS_KEY_LIST,
        list_all,
        About(
            "List access keys, in pages; administrators may name an owner, or * for all",
            response=Keys,
            query=(*PAGE, "owner"),
        ),
    ),
    _operation(
        "POST",
        PATH,
        Action.ACCESS_KEY_CREATE,
        create,
        About("Make an access key", request=NewKey, response=KeyWithSecret, status=201),
    ),
    _operation("GET", ONE, Action.ACCESS_KEY_READ, read, About("Show an access key", response=Key)),
    _operation(
        "PATCH", ONE, Action.ACCESS_KEY_UPDATE, change, About("Change an access key", request=ChangedKey, response=Key)
    ),
    _operation(
        "POST",
        ONE + "/clone",
        Action.ACCESS_KEY_CLONE,
        clone,
        About("Copy an access key, with a new id and secret", response=KeyWithSecret, status=201),
    ),
    _operation(
        "POST", ONE + "/revoke", Action.ACCESS_KEY_REVOKE, revoke, About("Revoke an access key for good", response=Key)
    ),
    _operation(
        "POST",
        ONE + "/secret",
        Action.ACCESS_KEY_REVEAL_SECRET,
        client_secret,
        About("Show the client secret again, after the password", request=Password, response=Secret),
    ),
    _operation(
        "POST",
        ONE + "/decryption-key",
        Action.ACCESS_KEY_REVEAL,
        decryption_key,
        About("Download the private key of an access key that encrypts, after the password", request=Password),
    ),
)
