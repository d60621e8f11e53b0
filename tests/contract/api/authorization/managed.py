# SPDX-License-Identifier: Apache-2.0
"""Who gets which answer in /api/manage, written by hand from docs/api/management*.md, not from the server.

This module imports nothing of the product. A new route is a line of ROUTES; a new kind of work needs its lines in
ANSWERS as well.
"""

from typing import Any

from tests.contract.api.authorization.classes import KINDS, Answer, Answers, Endpoint, Route, State, Work

ROUTES: dict[Endpoint, Route] = {
    ("GET", "/api/manage/me"): Route(Work.SHOW_ACCOUNT),
    ("POST", "/api/manage/me/password"): Route(Work.CHANGE_PASSWORD),
    ("GET", "/api/manage/principals"): Route(Work.LIST_FOR_ALL),
    ("GET", "/api/manage/private-groups"): Route(Work.LIST_FOR_ALL, record="private-groups"),
    ("POST", "/api/manage/private-groups"): Route(Work.ADD_FOR_ALL),
    ("GET", "/api/manage/groups"): Route(Work.LIST_FOR_ADMINISTRATORS, record="groups"),
    ("POST", "/api/manage/groups"): Route(Work.ADD_FOR_ADMINISTRATORS),
    ("GET", "/api/manage/users"): Route(Work.LIST_FOR_ADMINISTRATORS, record="users"),
    ("POST", "/api/manage/users"): Route(Work.ADD_FOR_ADMINISTRATORS),
    ("GET", "/api/manage/transfers"): Route(Work.LIST_FOR_ADMINISTRATORS, record="transfers"),
    ("POST", "/api/manage/transfers"): Route(Work.ADD_FOR_ADMINISTRATORS, record="leavers"),
    **{
        (method, f"/api/manage/{record}/{{identifier}}{end}"): Route(work, record=record)
        for record, work in (
            ("private-groups", Work.MANAGE_OWN),
            ("groups", Work.ADMINISTER),
            ("users", Work.ADMINISTER),
        )
        for method, end in (
            ("GET", ""),
            ("PATCH", ""),
            ("POST", "/disable"),
            ("POST", "/enable"),
            *(("POST", f"/members/{word}") for word in ("add", "remove") if record != "users"),
        )
    },
    ("POST", "/api/manage/transfers/{identifier}/approve"): Route(Work.MOVE_ITEMS, record="transfers"),
    ("POST", "/api/manage/transfers/{identifier}/cancel"): Route(Work.ADMINISTER, record="transfers"),
    ("GET", "/api/manage/access-keys"): Route(Work.LIST_FOR_ALL, record="access-keys"),
    ("POST", "/api/manage/access-keys"): Route(Work.ADD_KEY),
    **{
        (method, f"/api/manage/access-keys/{{identifier}}{end}"): Route(work, record="access-keys")
        for method, end, work in (
            ("GET", "", Work.SEE_KEY),
            ("PATCH", "", Work.CHANGE_KEY),
            ("POST", "/clone", Work.CLONE_KEY),
            ("POST", "/revoke", Work.SEE_KEY),
            ("POST", "/secret", Work.REVEAL_KEY),
            ("POST", "/decryption-key", Work.REVEAL_KEY),
        )
    },
    **{
        (method, f"/api/manage/items/{kind}/{{identifier}}{end}"): Route(work, kind)
        for kind in KINDS
        for method, end, work in (
            ("GET", "/versions", Work.LIST_VERSIONS),
            ("GET", "/versions/{version}", Work.READ_VERSION),
            ("POST", "/versions/{version}/restore", Work.RESTORE),
            ("POST", "/erase", Work.ERASE),
        )
    },
    ("POST", "/api/manage/items/batch"): Route(Work.BATCH, "note"),
}

DONE = Answer(200, "")
ADDED = Answer(201, "")
DENIED = Answer(403, "access_denied")
NO_RECORD = Answer(404, "not_found")
NO_NUMBER = Answer(400, "bad_identifier")
WRONG_PASSWORD = Answer(403, "wrong_password")
WRONG_STATE = Answer(409, "wrong_state")
IS_INACTIVE = Answer(409, "inactive")
TOLD = Answer(200, "", is_shown=True)
RESTORED = Answer(200, "", is_changed=True)
ERASED = Answer(200, "", is_erased=True)
MOVED = Answer(200, "", is_changed=True)
IN_BATCH = Answer(200, "done", is_changed=True)
NOT_IN_BATCH = Answer(200, "refused access_denied")
MISSING_IN_BATCH = Answer(200, "refused not_found")

_KEYS = (Work.SEE_KEY, Work.CHANGE_KEY, Work.CLONE_KEY, Work.REVEAL_KEY)

ANSWERS: dict[tuple[Work, State], Answers] = {
    # to whom an item is:             not shared    shared to view  to edit, or the owner's  an administrator's affair
    (Work.LIST_VERSIONS, State.ACTIVE):   (DENIED, TOLD, TOLD, DENIED),
    (Work.LIST_VERSIONS, State.INACTIVE): (DENIED, IS_INACTIVE, IS_INACTIVE, DENIED),
    (Work.READ_VERSION, State.ACTIVE):    (DENIED, TOLD, TOLD, DENIED),
    (Work.READ_VERSION, State.INACTIVE):  (DENIED, IS_INACTIVE, IS_INACTIVE, DENIED),
    (Work.RESTORE, State.ACTIVE):         (DENIED, DENIED, RESTORED, DENIED),
    (Work.RESTORE, State.INACTIVE):       (DENIED, DENIED, RESTORED, DENIED),
    (Work.ERASE, State.ACTIVE):           (DENIED, DENIED, DENIED, DENIED),
    (Work.ERASE, State.INACTIVE):         (DENIED, DENIED, DENIED, DENIED),
    (Work.BATCH, State.ACTIVE):           (NOT_IN_BATCH, NOT_IN_BATCH, IN_BATCH, NOT_IN_BATCH),
    (Work.BATCH, State.INACTIVE):         (NOT_IN_BATCH, NOT_IN_BATCH, IN_BATCH, NOT_IN_BATCH),
    **{
        (work, state): (answer, answer, answer, answer)
        for work in (Work.LIST_VERSIONS, Work.READ_VERSION, Work.RESTORE, Work.ERASE)
        for state, answer in (
            (State.MISSING, NO_RECORD),
            (State.TOO_LARGE, NO_RECORD),
            (State.OTHER_KIND, NO_RECORD),
            (State.NO_NUMBER, NO_NUMBER),
        )
    },
    (Work.BATCH, State.MISSING): (MISSING_IN_BATCH,) * 4,
    (Work.BATCH, State.TOO_LARGE): (MISSING_IN_BATCH,) * 4,
    (Work.BATCH, State.OTHER_KIND): (MISSING_IN_BATCH,) * 4,
    (Work.BATCH, State.NO_NUMBER): (NO_NUMBER,) * 4,
    # The others are nobody's by a share: the first three columns are the same.
    (Work.SHOW_ACCOUNT, State.NONE): (DONE, DONE, DONE, DONE),
    (Work.CHANGE_PASSWORD, State.NONE): (WRONG_PASSWORD, WRONG_PASSWORD, WRONG_PASSWORD, WRONG_PASSWORD),
    (Work.LIST_FOR_ALL, State.NONE): (DONE, DONE, DONE, DONE),
    (Work.ADD_FOR_ALL, State.NONE):  (ADDED, ADDED, ADDED, ADDED),
    (Work.LIST_FOR_ADMINISTRATORS, State.NONE): (DENIED, DENIED, DENIED, DONE),
    (Work.ADD_FOR_ADMINISTRATORS, State.NONE): (DENIED, DENIED, DENIED, ADDED),
    (Work.MANAGE_OWN, State.OWN): (DONE, DONE, DONE, DONE),
    (Work.MANAGE_OWN, State.OTHERS): (NO_RECORD, NO_RECORD, NO_RECORD, NO_RECORD),
    (Work.ADMINISTER, State.OTHERS): (DENIED, DENIED, DENIED, DONE),
    (Work.MOVE_ITEMS, State.OTHERS): (DENIED, DENIED, DENIED, MOVED),
    (Work.ADD_KEY, State.NONE): (ADDED, ADDED, ADDED, ADDED),
    (Work.SEE_KEY, State.OWN): (DONE, DONE, DONE, DONE),
    (Work.SEE_KEY, State.OTHERS): (NO_RECORD, NO_RECORD, NO_RECORD, DONE),
    (Work.CHANGE_KEY, State.OWN): (DONE, DONE, DONE, DONE),
    (Work.CHANGE_KEY, State.OTHERS): (NO_RECORD, NO_RECORD, NO_RECORD, DENIED),
    (Work.CLONE_KEY, State.OWN): (ADDED, ADDED, ADDED, ADDED),
    (Work.CLONE_KEY, State.OTHERS): (NO_RECORD, NO_RECORD, NO_RECORD, DENIED),
    (Work.REVEAL_KEY, State.OWN): (DENIED, DENIED, DENIED, DENIED),  # users without a password are shown no secret
    (Work.REVEAL_KEY, State.OTHERS): (NO_RECORD, NO_RECORD, NO_RECORD, DENIED),
    **{
        (work, state): (NO_RECORD, NO_RECORD, NO_RECORD, NO_RECORD)
        for work in (Work.MANAGE_OWN, *_KEYS)
        for state in (State.MISSING, State.TOO_LARGE)
    },
    **{
        (work, state): (DENIED, DENIED, DENIED, NO_RECORD)
        for work in (Work.ADMINISTER, Work.MOVE_ITEMS)
        for state in (State.MISSING, State.TOO_LARGE)
    },
    **{
        (work, State.NO_NUMBER): (NO_NUMBER, NO_NUMBER, NO_NUMBER, NO_NUMBER)
        for work in (Work.MANAGE_OWN, Work.ADMINISTER, Work.MOVE_ITEMS, *_KEYS)
    },
}  # fmt: skip
"""What a caller with a good token gets, by Standing."""

TO_THE_OWNER: dict[tuple[Work, State], Answer] = {
    (Work.ERASE, State.ACTIVE): WRONG_STATE,
    (Work.ERASE, State.INACTIVE): ERASED,
}
"""What the owner of an item gets instead: more than whom it is shared with to edit."""

TO_A_LIMITED_KEY: dict[tuple[Work, State], Answer] = {
    (Work.ADD_KEY, State.NONE): DENIED,
    **{
        (work, state): DENIED
        for work in (Work.CHANGE_KEY, Work.CLONE_KEY)
        for state in (State.OWN, State.OTHERS, State.MISSING, State.TOO_LARGE)
    },
}
"""What a call gets instead whose own access key has a limit, such as a referer: whichever key it is about."""


def body_of(endpoint: Endpoint, name: str) -> dict[str, Any] | None:
    """Return what is sent to a route about accounts that is right in itself. `name` is one nobody has."""
    method, path = endpoint
    if method == "PATCH":
        return {"name": name}
    if path.endswith(("/add", "/remove")):
        return {"usernames": []}
    if path.endswith("/me/password"):
        return {"current_password": "not the one of anybody", "new_password": "nor this, as it happens"}
    if path.endswith(("/secret", "/decryption-key")):
        return {"password": "not the one of anybody"}
    has_name = method == "POST" and "{" not in path
    return {("username" if path.endswith("users") else "name"): name} if has_name else None
