# SPDX-License-Identifier: Apache-2.0
"""Who gets which answer, written by hand from the contract (1.5 to 1.7, 2.4 to 2.6, 4 to 7, 9), not from the server.

This module imports nothing of the product. A new route is a line of ROUTES; a new kind of work needs its lines in
ANSWERS as well.
"""

from enum import Enum
from typing import Any, NamedTuple

KINDS = ("password", "note", "secretapi")


class Work(Enum):
    """What a route does.

    Of a route that manages something, the tables say who is refused at the door, and that nobody sees or changes an
    item by it. What it does for whom is said in tests/contract/api/manage.
    """

    ISSUE_TOKEN = "issue a token"
    LIST = "list"
    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DEACTIVATE = "deactivate"
    ACTIVATE = "activate"
    SHOW_ACCOUNT = "show the caller's account"
    MANAGE = "manage what its own tests look at"
    CHANGE_PASSWORD = "change the caller's password"
    LIST_FOR_ALL = "list what everybody may ask for"
    ADD_FOR_ALL = "add what everybody may have"
    MANAGE_OWN = "look at or change a record of the caller's own"
    LIST_FOR_ADMINISTRATORS = "list accounts"
    ADD_FOR_ADMINISTRATORS = "add an account"
    ADMINISTER = "look at or change an account"
    DESCRIBE = "describe the API"


MANAGEMENT = {
    Work.SHOW_ACCOUNT,
    Work.CHANGE_PASSWORD,
    Work.LIST_FOR_ALL,
    Work.ADD_FOR_ALL,
    Work.MANAGE_OWN,
    Work.LIST_FOR_ADMINISTRATORS,
    Work.ADD_FOR_ADMINISTRATORS,
    Work.ADMINISTER,
    Work.MANAGE,
}
"""The works of /api/manage, whose refusals are problem documents."""


class Route(NamedTuple):
    """The class of a route: what it does, and to which kind of item ("" for none)."""

    work: Work
    kind: str = ""


Endpoint = tuple[str, str]
"""Method and path of a route, as the server's route table has them."""

ROUTES: dict[Endpoint, Route] = {
    ("POST", "/api/oauth2/token"): Route(Work.ISSUE_TOKEN),
    ("GET", "/api/oauth2/token"): Route(Work.ISSUE_TOKEN),
    ("GET", "/api/mysafe/password"): Route(Work.LIST, "password"),
    ("POST", "/api/mysafe/password"): Route(Work.CREATE, "password"),
    ("GET", "/api/mysafe/password/{identifier}"): Route(Work.READ, "password"),
    ("PUT", "/api/mysafe/password/update/{identifier}"): Route(Work.UPDATE, "password"),
    ("POST", "/api/mysafe/password/update/{identifier}"): Route(Work.UPDATE, "password"),
    ("POST", "/api/mysafe/password/inactive/{identifier}"): Route(Work.DEACTIVATE, "password"),
    ("POST", "/api/mysafe/password/active/{identifier}"): Route(Work.ACTIVATE, "password"),
    ("GET", "/api/mysafe/note"): Route(Work.LIST, "note"),
    ("POST", "/api/mysafe/note"): Route(Work.CREATE, "note"),
    ("GET", "/api/mysafe/note/{identifier}"): Route(Work.READ, "note"),
    ("PUT", "/api/mysafe/note/update/{identifier}"): Route(Work.UPDATE, "note"),
    ("POST", "/api/mysafe/note/update/{identifier}"): Route(Work.UPDATE, "note"),
    ("POST", "/api/mysafe/note/inactive/{identifier}"): Route(Work.DEACTIVATE, "note"),
    ("POST", "/api/mysafe/note/active/{identifier}"): Route(Work.ACTIVATE, "note"),
    ("GET", "/api/mysafe/secretapi"): Route(Work.LIST, "secretapi"),
    ("POST", "/api/mysafe/secretapi"): Route(Work.CREATE, "secretapi"),
    ("GET", "/api/mysafe/secretapi/{identifier}"): Route(Work.READ, "secretapi"),
    ("PUT", "/api/mysafe/secretapi/update/{identifier}"): Route(Work.UPDATE, "secretapi"),
    ("POST", "/api/mysafe/secretapi/update/{identifier}"): Route(Work.UPDATE, "secretapi"),
    ("POST", "/api/mysafe/secretapi/inactive/{identifier}"): Route(Work.DEACTIVATE, "secretapi"),
    ("POST", "/api/mysafe/secretapi/active/{identifier}"): Route(Work.ACTIVATE, "secretapi"),
    ("GET", "/api/manage/me"): Route(Work.SHOW_ACCOUNT),
    ("POST", "/api/manage/me/password"): Route(Work.CHANGE_PASSWORD),
    ("GET", "/api/manage/principals"): Route(Work.LIST_FOR_ALL),
    ("GET", "/api/manage/private-groups"): Route(Work.LIST_FOR_ALL),
    ("POST", "/api/manage/private-groups"): Route(Work.ADD_FOR_ALL),
    ("GET", "/api/manage/private-groups/{identifier}"): Route(Work.MANAGE_OWN),
    ("PATCH", "/api/manage/private-groups/{identifier}"): Route(Work.MANAGE_OWN),
    ("POST", "/api/manage/private-groups/{identifier}/disable"): Route(Work.MANAGE_OWN),
    ("POST", "/api/manage/private-groups/{identifier}/enable"): Route(Work.MANAGE_OWN),
    ("POST", "/api/manage/private-groups/{identifier}/members/add"): Route(Work.MANAGE_OWN),
    ("POST", "/api/manage/private-groups/{identifier}/members/remove"): Route(Work.MANAGE_OWN),
    ("GET", "/api/manage/groups"): Route(Work.LIST_FOR_ADMINISTRATORS),
    ("POST", "/api/manage/groups"): Route(Work.ADD_FOR_ADMINISTRATORS),
    ("GET", "/api/manage/groups/{identifier}"): Route(Work.ADMINISTER),
    ("PATCH", "/api/manage/groups/{identifier}"): Route(Work.ADMINISTER),
    ("POST", "/api/manage/groups/{identifier}/disable"): Route(Work.ADMINISTER),
    ("POST", "/api/manage/groups/{identifier}/enable"): Route(Work.ADMINISTER),
    ("POST", "/api/manage/groups/{identifier}/members/add"): Route(Work.ADMINISTER),
    ("POST", "/api/manage/groups/{identifier}/members/remove"): Route(Work.ADMINISTER),
    ("GET", "/api/manage/users"): Route(Work.LIST_FOR_ADMINISTRATORS),
    ("POST", "/api/manage/users"): Route(Work.ADD_FOR_ADMINISTRATORS),
    ("GET", "/api/manage/users/{identifier}"): Route(Work.ADMINISTER),
    ("PATCH", "/api/manage/users/{identifier}"): Route(Work.ADMINISTER),
    ("POST", "/api/manage/users/{identifier}/disable"): Route(Work.ADMINISTER),
    ("POST", "/api/manage/users/{identifier}/enable"): Route(Work.ADMINISTER),
    **{
        (method, f"/api/manage/{path}"): Route(Work.MANAGE)
        for method, path in (
            # test_access_keys.py
            ("GET", "access-keys"),
            ("POST", "access-keys"),
            ("GET", "access-keys/{identifier}"),
            ("PATCH", "access-keys/{identifier}"),
            ("POST", "access-keys/{identifier}/clone"),
            ("POST", "access-keys/{identifier}/revoke"),
            ("POST", "access-keys/{identifier}/secret"),
            ("POST", "access-keys/{identifier}/decryption-key"),
        )
    },
    ("GET", "/api/openapi.json"): Route(Work.DESCRIBE),
    ("GET", "/api/docs"): Route(Work.DESCRIBE),
}
"""Every route there may be, inside and outside /api/mysafe. One that is neither here nor below fails the build."""


class State(Enum):
    """What the identifier in the path stands for."""

    ACTIVE = "an active item"
    INACTIVE = "an inactive item"
    MISSING = "no item"
    TOO_LARGE = "no item, and no number that could be stored"
    OTHER_KIND = "an item of another kind"
    NO_NUMBER = "nothing that could be an identifier"
    NONE = "no identifier in the path"
    FILTERED = "no identifier in the path, and in the query what only the item has"


class Standing(Enum):
    """What a caller with a good token may do with the items of a scene. It picks the column of ANSWERS."""

    NOTHING = 0
    VIEW = 1
    EDIT = 2
    ADMINISTER = 3


class Door(Enum):
    """What happens to a caller before the item is looked at (contract 2.4 to 2.6)."""

    OPEN = "goes on"
    NO_CREDENTIALS = "nothing was sent"
    BAD_CREDENTIALS = "what was sent is good for nothing, or not any more"
    FORBIDDEN = "the token is good, and the key forbids the call"


class Answer(NamedTuple):
    """What comes back. `text` is a key of TEXTS or the text itself; `code` is that of `exception`, 0 for a success.

    In a problem document, `text` is the code.
    `is_shown` says that the item's values are in it, `is_changed` that the item has one version more.
    `lines` is what a list says of the item, as (can_view, can_write), None where it is not in the list.
    """

    status: int
    text: str
    code: int = 0
    is_shown: bool = False
    is_changed: bool = False
    lines: tuple[bool, bool] | None = None


NO_TOKEN = Answer(401, "No route matched with those values.")
BAD_TOKEN = Answer(401, "No route matched with those values.")
FORBIDDEN = Answer(403, "You are not authorized to access this resource.", 403)
NO_ACCESS = Answer(400, "1006: User does not have access", 1006)
NOT_FOUND = Answer(400, "not found", 1005)
IS_INACTIVE = Answer(400, "inactive", 1009)
BAD_IDENTIFIER = Answer(400, "1010: Unexpected identifier type", 1010)
SHOWN = Answer(200, "Success", is_shown=True)
UPDATED = Answer(200, "updated", is_shown=True, is_changed=True)
DEACTIVATED = Answer(200, "deactivated", is_changed=True)
WAS_INACTIVE = Answer(200, "was inactive")
ACTIVATED = Answer(200, "activated", is_changed=True)
WAS_ACTIVE = Answer(200, "was active")
CREATED = Answer(201, "created")
EMPTY_LIST = Answer(200, "")
IN_LIST = Answer(200, "", is_shown=True, lines=(True, False))
IN_LIST_TO_EDIT = Answer(200, "", is_shown=True, lines=(True, True))
TOKEN = Answer(200, "")
NO_CLIENT = Answer(400, "invalid_request")
BAD_CLIENT = Answer(401, "invalid_client")
OWN_ACCOUNT = Answer(200, "")
DONE = Answer(200, "")
ADDED = Answer(201, "")
DENIED = Answer(403, "access_denied")
NO_RECORD = Answer(404, "not_found")
NO_NUMBER = Answer(400, "bad_identifier")
WRONG_PASSWORD = Answer(403, "wrong_password")
NOTHING_OF_OTHERS = Answer(0, "")
"""Any answer that is no fault of the server, shows no item and changes none."""
DESCRIPTION = Answer(200, "")

ANSWERS: dict[tuple[Work, State], tuple[Answer, Answer, Answer, Answer]] = {
    # to whom it is:                 not shared    shared to view  to edit, or the owner's  an administrator's affair
    (Work.LIST, State.NONE):         (EMPTY_LIST, IN_LIST, IN_LIST_TO_EDIT, EMPTY_LIST),
    (Work.LIST, State.FILTERED):     (EMPTY_LIST, IN_LIST, IN_LIST_TO_EDIT, EMPTY_LIST),
    (Work.CREATE, State.NONE):       (CREATED, CREATED, CREATED, CREATED),
    (Work.READ, State.ACTIVE):       (NO_ACCESS, SHOWN, SHOWN, NO_ACCESS),
    (Work.READ, State.INACTIVE):     (NO_ACCESS, IS_INACTIVE, IS_INACTIVE, NO_ACCESS),
    (Work.UPDATE, State.ACTIVE):     (NO_ACCESS, NO_ACCESS, UPDATED, NO_ACCESS),
    (Work.UPDATE, State.INACTIVE):   (NO_ACCESS, NO_ACCESS, UPDATED, NO_ACCESS),
    (Work.DEACTIVATE, State.ACTIVE): (NO_ACCESS, NO_ACCESS, DEACTIVATED, NO_ACCESS),
    (Work.DEACTIVATE, State.INACTIVE): (NO_ACCESS, NO_ACCESS, WAS_INACTIVE, NO_ACCESS),
    (Work.ACTIVATE, State.ACTIVE):   (NO_ACCESS, NO_ACCESS, WAS_ACTIVE, NO_ACCESS),
    (Work.ACTIVATE, State.INACTIVE): (NO_ACCESS, NO_ACCESS, ACTIVATED, NO_ACCESS),
    (Work.SHOW_ACCOUNT, State.NONE): (OWN_ACCOUNT, OWN_ACCOUNT, OWN_ACCOUNT, OWN_ACCOUNT),
    (Work.CHANGE_PASSWORD, State.NONE): (WRONG_PASSWORD, WRONG_PASSWORD, WRONG_PASSWORD, WRONG_PASSWORD),
    (Work.LIST_FOR_ALL, State.NONE): (DONE, DONE, DONE, DONE),
    (Work.ADD_FOR_ALL, State.NONE):  (ADDED, ADDED, ADDED, ADDED),
    (Work.LIST_FOR_ADMINISTRATORS, State.NONE): (DENIED, DENIED, DENIED, DONE),
    (Work.ADD_FOR_ADMINISTRATORS, State.NONE): (DENIED, DENIED, DENIED, ADDED),
    (Work.MANAGE_OWN, State.MISSING): (NO_RECORD, NO_RECORD, NO_RECORD, NO_RECORD),
    (Work.MANAGE_OWN, State.TOO_LARGE): (NO_RECORD, NO_RECORD, NO_RECORD, NO_RECORD),
    (Work.MANAGE_OWN, State.NO_NUMBER): (NO_NUMBER, NO_NUMBER, NO_NUMBER, NO_NUMBER),
    (Work.ADMINISTER, State.MISSING): (DENIED, DENIED, DENIED, NO_RECORD),
    (Work.ADMINISTER, State.TOO_LARGE): (DENIED, DENIED, DENIED, NO_RECORD),
    (Work.ADMINISTER, State.NO_NUMBER): (NO_NUMBER, NO_NUMBER, NO_NUMBER, NO_NUMBER),
    (Work.MANAGE, State.MISSING):    (NOTHING_OF_OTHERS,) * 4,
    (Work.MANAGE, State.NO_NUMBER):  (NOTHING_OF_OTHERS,) * 4,
    (Work.DESCRIBE, State.NONE): (DESCRIPTION, DESCRIPTION, DESCRIPTION, DESCRIPTION),
    **{
        (work, state): (answer, answer, answer, answer)
        for work in (Work.READ, Work.UPDATE, Work.DEACTIVATE, Work.ACTIVATE)
        for state, answer in (
            (State.MISSING, NOT_FOUND),
            (State.TOO_LARGE, NOT_FOUND),
            (State.OTHER_KIND, NOT_FOUND),
            (State.NO_NUMBER, BAD_IDENTIFIER),
        )
    },
}  # fmt: skip
"""What a caller with a good token gets, by Standing (contract 1.6, 1.7, 7; contract 9, rules 17 and 18)."""

AT_THE_DOOR = {Door.NO_CREDENTIALS: NO_TOKEN, Door.BAD_CREDENTIALS: BAD_TOKEN, Door.FORBIDDEN: FORBIDDEN}
"""What the others get, whatever they ask for: token and key come before the item (contract 7)."""

AT_THE_MANAGEMENT_DOOR = {
    Door.NO_CREDENTIALS: Answer(401, "not_authenticated"),
    Door.BAD_CREDENTIALS: Answer(401, "not_authenticated"),
    Door.FORBIDDEN: Answer(403, "call_forbidden"),
}
"""The same in /api/manage."""

AT_THE_TOKEN_DOOR = {Door.OPEN: TOKEN, Door.NO_CREDENTIALS: NO_CLIENT, Door.BAD_CREDENTIALS: BAD_CLIENT}
"""What the token endpoint answers (contract 2.4, 2.6)."""

CHALLENGES = {Door.NO_CREDENTIALS: "Bearer", Door.BAD_CREDENTIALS: 'Bearer error="invalid_token"'}
"""The WWW-Authenticate header of contract 2.5."""

TEXTS: dict[str, dict[str, str]] = {
    "password": {
        "not found": "1005: Password not found",
        "inactive": "1009: Inactive password",
        "created": "Password successfully registered",
        "updated": "Password successfully updated",
        "deactivated": "Password successfully deactivated",
        "was inactive": "Password has already been deactivated",
        "activated": "Password successfully activated",
        "was active": "Password has already been activated",
    },
    "note": {
        "not found": "1005: Note not found",
        "inactive": "1009: Inactive note",
        "created": "Note successfully registered",
        "updated": "Note successfully update",
        "deactivated": "Note successfully deactivated",
        "was inactive": "Note has already been deactivated",
        "activated": "Note successfully activated",
        "was active": "Note has already been activated",
    },
    "secretapi": {
        "not found": "1005: Api secret not found",
        "inactive": "1009: Inactive Api secret",
        "created": "Api secret successfully registered",
        "updated": "Api secret updated successfully",
        "deactivated": "Api secret successfully deactivated",
        "was inactive": "Api secret has already been deactivated",
        "activated": "Api secret activated successfully",
        "was active": "Api secret has already been activated",
    },
}

FIELDS = {
    "password": {"name", "username", "password", "url", "secret_key", "notes", "tags"},
    "note": {"name", "note", "tags"},
    "secretapi": {"name", "url", "client_id", "client_secret", "identifier_code", "method", "tags", "notes"},
}
"""The texts of an item, each of which carries a canary."""

FILTERS = {
    "password": {"tag": "tags", "name": "name", "username": "username", "url": "url"},
    "note": {"tag": "tags", "name": "name"},
    "secretapi": {"tag": "tags", "identifier_code": "identifier_code"},
}
"""The filters of the lists, and the field each compares."""

SHOWN_FIELDS = {
    (Work.LIST, "password"): {"name", "url", "username", "tags"},
    (Work.LIST, "note"): {"name", "tags"},
    (Work.LIST, "secretapi"): {"name"},
    (Work.UPDATE, "password"): {"name", "url", "username", "notes", "tags"},
    (Work.UPDATE, "note"): {"name", "tags"},
    **{(Work.READ, kind): fields for kind, fields in FIELDS.items()},
    (Work.UPDATE, "secretapi"): FIELDS["secretapi"],
}
"""What an answer shows of an item to those who may see it; no other answer shows anything (contract 4 to 6)."""

ENTITY_KEYS = {
    (Work.LIST, "password"): "password_on_list",
    (Work.LIST, "note"): "note_on_list",
    (Work.LIST, "secretapi"): "api_secret_on_list",
    **{(work, "password"): "password_entity" for work in (Work.READ, Work.CREATE, Work.UPDATE)},
    **{(work, "note"): "note_entity" for work in (Work.READ, Work.CREATE, Work.UPDATE)},
    (Work.READ, "secretapi"): "api_secret_entity",
    (Work.CREATE, "secretapi"): "api_entity",
    (Work.UPDATE, "secretapi"): "api_entity",
}


def management_body(endpoint: Endpoint, name: str) -> dict[str, Any] | None:
    """Return what is sent to a route of /api/manage that is right in itself. `name` is one nobody has."""
    method, path = endpoint
    if method == "PATCH":
        return {"name": name}
    if path.endswith(("/add", "/remove")):
        return {"usernames": []}
    if path.endswith("/password"):
        return {"current_password": "not the one of anybody", "new_password": "nor this, as it happens"}
    return {("username" if path.endswith("users") else "name"): name} if method == "POST" else None


def states_of(route: Route) -> list[State]:
    """Return the states ANSWERS has for a route."""
    if route.work is Work.ISSUE_TOKEN:
        return [State.NONE]
    return [state for work, state in ANSWERS if work is route.work]


def envelope(answer: Answer, kind: str) -> dict[str, Any]:
    """Return the body of an answer without its entity (contract 1.3 to 1.5)."""
    if answer.status == 401:
        return {"message": answer.text}
    text = TEXTS.get(kind, {}).get(answer.text, answer.text)
    is_error, number = bool(answer.code), int(bool(answer.code))
    response = {
        "status": answer.status,
        "message": text,
        "error": is_error,
        "error_code": number,
        "detail": "",
        "Message": text,
        "erro": is_error,
        "cod_erro": number,
    }
    body: dict[str, Any] = {"code": answer.status, "response": response}
    if answer.code:
        body["exception"] = {"code": answer.code, "message": text, "detail": None}
    return body
