# SPDX-License-Identifier: Apache-2.0
"""Who gets which answer, written by hand from the contract (1.5 to 1.7, 2.4 to 2.6, 4 to 7, 9), not from the server.

This module imports nothing of the product. A new route is a line of ROUTES; a new kind of work needs its lines in
ANSWERS as well. What is about /api/manage is in `managed`.
"""

from tests.contract.api.authorization import managed
from tests.contract.api.authorization.classes import Answer, Answers, Door, Endpoint, Route, State, Work

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
    ("GET", "/api/mysafe/file"): Route(Work.LIST, "file"),
    ("POST", "/api/mysafe/file"): Route(Work.CREATE, "file"),
    ("GET", "/api/mysafe/file/{identifier}"): Route(Work.READ, "file"),
    ("GET", "/api/mysafe/file/{identifier}/content"): Route(Work.DOWNLOAD, "file"),
    ("PUT", "/api/mysafe/file/update/{identifier}"): Route(Work.UPDATE, "file"),
    ("POST", "/api/mysafe/file/update/{identifier}"): Route(Work.UPDATE, "file"),
    ("POST", "/api/mysafe/file/inactive/{identifier}"): Route(Work.DEACTIVATE, "file"),
    ("POST", "/api/mysafe/file/active/{identifier}"): Route(Work.ACTIVATE, "file"),
    **managed.ROUTES,
    ("GET", "/api/openapi.json"): Route(Work.DESCRIBE),
    ("GET", "/api/docs"): Route(Work.DESCRIBE),
}
"""Every route there may be, inside and outside /api/mysafe. One that is not here fails the build."""

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
DESCRIPTION = Answer(200, "")

ANSWERS: dict[tuple[Work, State], Answers] = {
    # to whom it is:                 not shared    shared to view  to edit, or the owner's  an administrator's affair
    (Work.LIST, State.NONE):         (EMPTY_LIST, IN_LIST, IN_LIST_TO_EDIT, EMPTY_LIST),
    (Work.LIST, State.FILTERED):     (EMPTY_LIST, IN_LIST, IN_LIST_TO_EDIT, EMPTY_LIST),
    (Work.CREATE, State.NONE):       (CREATED, CREATED, CREATED, CREATED),
    (Work.READ, State.ACTIVE):       (NO_ACCESS, SHOWN, SHOWN, NO_ACCESS),
    (Work.READ, State.INACTIVE):     (NO_ACCESS, IS_INACTIVE, IS_INACTIVE, NO_ACCESS),
    (Work.DOWNLOAD, State.ACTIVE):   (NO_ACCESS, SHOWN, SHOWN, NO_ACCESS),
    (Work.DOWNLOAD, State.INACTIVE): (NO_ACCESS, IS_INACTIVE, IS_INACTIVE, NO_ACCESS),
    (Work.UPDATE, State.ACTIVE):     (NO_ACCESS, NO_ACCESS, UPDATED, NO_ACCESS),
    (Work.UPDATE, State.INACTIVE):   (NO_ACCESS, NO_ACCESS, UPDATED, NO_ACCESS),
    (Work.DEACTIVATE, State.ACTIVE): (NO_ACCESS, NO_ACCESS, DEACTIVATED, NO_ACCESS),
    (Work.DEACTIVATE, State.INACTIVE): (NO_ACCESS, NO_ACCESS, WAS_INACTIVE, NO_ACCESS),
    (Work.ACTIVATE, State.ACTIVE):   (NO_ACCESS, NO_ACCESS, WAS_ACTIVE, NO_ACCESS),
    (Work.ACTIVATE, State.INACTIVE): (NO_ACCESS, NO_ACCESS, ACTIVATED, NO_ACCESS),
    (Work.DESCRIBE, State.NONE): (DESCRIPTION, DESCRIPTION, DESCRIPTION, DESCRIPTION),
    **{
        (work, state): (answer, answer, answer, answer)
        for work in (Work.READ, Work.DOWNLOAD, Work.UPDATE, Work.DEACTIVATE, Work.ACTIVATE)
        for state, answer in (
            (State.MISSING, NOT_FOUND),
            (State.TOO_LARGE, NOT_FOUND),
            (State.OTHER_KIND, NOT_FOUND),
            (State.NO_NUMBER, BAD_IDENTIFIER),
        )
    },
    **managed.ANSWERS,
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


def states_of(route: Route) -> list[State]:
    """Return the states ANSWERS has for a route."""
    if route.work is Work.ISSUE_TOKEN:
        return [State.NONE]
    return [state for work, state in ANSWERS if work is route.work]
