# SPDX-License-Identifier: Apache-2.0
"""The words of the table: what a route does, how a caller stands to an item, what an item is, what is answered.

This module imports nothing of the product.
"""

from enum import Enum
from typing import NamedTuple

KINDS = ("password", "note", "secretapi", "file")


class Work(Enum):
    """What a route does. Of a route that manages something, it is also whose affair that is."""

    ISSUE_TOKEN = "issue a token"
    LIST = "list"
    CREATE = "create"
    READ = "read"
    DOWNLOAD = "fetch the content of a file"
    UPDATE = "update"
    DEACTIVATE = "deactivate"
    ACTIVATE = "activate"
    LIST_VERSIONS = "list the versions of an item"
    READ_VERSION = "read the first version of an item"
    RESTORE = "restore the first version of an item"
    ERASE = "erase an item"
    BATCH = "share or activate one of several items"
    SHOW_ACCOUNT = "show the caller's account"
    CHANGE_PASSWORD = "change the caller's password"
    LIST_FOR_ALL = "list what everybody may ask for"
    ADD_FOR_ALL = "add what everybody may have"
    MANAGE_OWN = "look at or change a record of the caller's own"
    LIST_FOR_ADMINISTRATORS = "list accounts"
    ADD_FOR_ADMINISTRATORS = "add an account"
    ADMINISTER = "look at or change an account"
    MOVE_ITEMS = "approve that the items of a leaver move"
    ADD_KEY = "make an access key"
    SEE_KEY = "show or revoke an access key"
    CHANGE_KEY = "change an access key"
    CLONE_KEY = "copy an access key"
    REVEAL_KEY = "show a secret of an access key"
    DESCRIBE = "describe the API"


PAST = {Work.LIST_VERSIONS, Work.READ_VERSION, Work.RESTORE}
"""The works that need an item with a past."""

ACCOUNTS = {
    Work.SHOW_ACCOUNT,
    Work.CHANGE_PASSWORD,
    Work.LIST_FOR_ALL,
    Work.ADD_FOR_ALL,
    Work.MANAGE_OWN,
    Work.LIST_FOR_ADMINISTRATORS,
    Work.ADD_FOR_ADMINISTRATORS,
    Work.ADMINISTER,
    Work.MOVE_ITEMS,
    Work.ADD_KEY,
    Work.SEE_KEY,
    Work.CHANGE_KEY,
    Work.CLONE_KEY,
    Work.REVEAL_KEY,
}
"""The works that are about no item, and by which nobody sees or changes any, but where it says so."""

MANAGEMENT = ACCOUNTS | PAST | {Work.ERASE, Work.BATCH}
"""The works of /api/manage, whose refusals are problem documents."""


class Route(NamedTuple):
    """The class of a route: what it does, to which kind of item ("" for none), and to which record beside items."""

    work: Work
    kind: str = ""
    record: str = ""


Endpoint = tuple[str, str]
"""Method and path of a route, as the server's route table has them, with a kind in place of `{kind}`."""


class State(Enum):
    """What the identifier in the path, or in the body, stands for."""

    ACTIVE = "an active item"
    INACTIVE = "an inactive item"
    MISSING = "no item"
    TOO_LARGE = "no item, and no number that could be stored"
    OTHER_KIND = "an item of another kind"
    NO_NUMBER = "nothing that could be an identifier"
    OTHERS = "a record that is not the caller's"
    OWN = "a record of the caller's own"
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

    In a problem document, `text` is the code; of a batch, it is what became of the item.
    `is_shown` says that the item's values are in it, `is_changed` that the item has one version more, `is_erased`
    that there is none any more. `lines` is what a list says of the item, as (can_view, can_write), None where it is
    not in the list.
    """

    status: int
    text: str
    code: int = 0
    is_shown: bool = False
    is_changed: bool = False
    is_erased: bool = False
    lines: tuple[bool, bool] | None = None


Answers = tuple[Answer, Answer, Answer, Answer]
