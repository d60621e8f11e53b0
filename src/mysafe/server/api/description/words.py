# SPDX-License-Identifier: Apache-2.0
"""What the description says in words: about each name on the wire, and examples in the shape of the documented ones."""

from collections.abc import Mapping
from types import MappingProxyType

from mysafe.domain.ids import Kind

Values = Mapping[str, object]

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "identifier": "The item's number, made by the server. Each kind counts for itself.",
        "name": "Name of the item, the user or the group.",
        "username": "User name.",
        "password": "The password itself. Never trimmed.",
        "url": "Address the item is for.",
        "secret_key": "Seed of time-based codes (TOTP), base32 of at least ten characters. Spaces are removed.",
        "token": "The time-based code of this moment, six digits; null without a seed.",
        "notes": "Remarks.",
        "note": "Text of the note.",
        "tags": "Words separated by commas.",
        "file_name": "Name of the file, as it is when it is downloaded.",
        "media_type": "Media type of the file, as its sender says.",
        "size": "Length of the content. Unit: bytes.",
        "client_id": "Client ID of the API the secret is for.",
        "client_secret": "Client secret of that API. Never trimmed.",
        "identifier_code": "A code of your own, unique among your API secrets. Empty codes never collide.",
        "method": "HTTP method, as free text.",
        "users_allowed": "Users the item is shared with. In an update it replaces the list; `[]` ends the sharing.",
        "groups_allowed": "Groups the item is shared with. In an update it replaces the list; `[]` ends the sharing.",
        "can_edit": "Whether they may change the item too.",
        "shared_error": "Whom the item could not be shared with. The rest of the request was done.",
        "need_justify": '"1" when reading asks for a justification, else "0".',
        "need_approval": '"1" when reading asks for an approval, else "0".',
        "can_view": "Whether the caller may read the item.",
        "can_write": "Whether the caller may change the item.",
        "code": "HTTP status; in `exception`, the number of the error.",
        "status": "HTTP status.",
        "message": "What happened, in words. Errors start with their number.",
        "error": "Whether the call failed; for tokens, the word of RFC 6749 for why.",
        "error_code": "0, or 1 for every error.",
        "detail": "Empty.",
        "Message": "Same as `message`.",
        "mensagem": "Same as `message`. Sent only with the setting `compat_mensagem`.",
        "erro": "Same as `error`.",
        "cod_erro": "Same as `error_code`.",
        "token_type": "How to send the token.",
        "expires_in": "For how long the token is good. Unit: seconds.",
        "access_token": "The token, a text without structure. Send it as `Authorization: Bearer`.",
        "hint": "Which parameter to look at.",
        "tag": "One whole tag.",
    }
)
"""Name on the wire → what it means. Source: contract 1.6, 4 to 6."""

OF_TYPES: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("ChangedPassword", "note"): "What the request calls `notes`.",
        ("SharedUser", "name"): "Same as `username`. Sent only with the setting `compat_both_user_keys`.",
        ("NamedUser", "name"): "User name.",
        ("NamedUser", "username"): "Same as `name`. Sent only with the setting `compat_both_user_keys`.",
        ("SharedGroup", "name"): "Name of the group.",
        ("Unshared", "username"): "The user as the request named it.",
        ("Unshared", "name"): "The group as the request named it.",
        ("Unshared", "message"): "Why. Unknown, disabled and invisible ones are told alike.",
    }
)
"""Type and name → what the name means there, where it is not what it means elsewhere."""

OF_REQUESTS: Mapping[str, str] = MappingProxyType(
    {
        "name": "Name of the item.",
        "tags": "Words separated by commas. An array of texts is taken too.",
        "can_edit": 'Whether they may change the item too: true, "true", 1 and "1" say yes, all else says no.',
    }
)
"""The same for requests about items."""

PATTERNS: Mapping[str, str] = MappingProxyType(
    {
        "identifier": "^[1-9][0-9]*$",
        "token": "^[0-9]{6}$",
        "need_justify": "^[01]$",
        "need_approval": "^[01]$",
    }
)
"""Forms of texts in answers (contract 1.6)."""

SEED_PATTERN = "^(?:(?: *[A-Za-z2-7]){10,} *(?:= *){0,6})?$"
"""A TOTP seed as it may be sent (contract 9, rule 13)."""

_SHARED: Values = {
    "users_allowed": {"username": "pduarte", "name": "pduarte", "can_edit": True},
    "groups_allowed": {"name": "Test group", "can_edit": False},
    "shared_error": [],
    "need_justify": "0",
    "need_approval": "0",
    "can_view": True,
    "can_write": True,
}

EXAMPLES: Mapping[Kind, Values] = MappingProxyType(
    {
        Kind.PASSWORD: {
            "identifier": "312",
            "name": "senseg account",
            "username": "npass",
            "password": "8jhfy@3789",
            "url": "www.Segura.com",
            "secret_key": "JBSWY3DPEHPK3PXP",
            "token": "452180",
            "notes": "Access details",
            "note": "Access details",
            "tags": "tag1, tag2",
            **_SHARED,
        },
        Kind.NOTE: {
            "identifier": "177",
            "name": "Staff meeting",
            "note": "Weekly sync of the team",
            "tags": "meeting",
            **_SHARED,
        },
        Kind.API_SECRET: {
            "identifier": "43",
            "name": "GCP",
            "url": "https://gcp.com",
            "client_id": "gf455f7g8fb5dfg8fd545bffbv",
            "client_secret": "gf5464g5v7ffsd857xc4fds57g8fds",
            "identifier_code": "hyga125",
            "method": "get",
            "tags": "Cloud",
            "notes": "Access details",
            **_SHARED,
        },
        Kind.FILE: {
            "identifier": "12",
            "name": "Server certificate",
            "file_name": "server.pem",
            "media_type": "application/x-pem-file",
            "size": 1834,
            "tags": "tls",
            "notes": "Renewed in May",
            **_SHARED,
        },
    }
)
"""Values by name for the examples of a kind, those of the documentation."""

NOUNS: Mapping[Kind, str] = MappingProxyType(
    {Kind.PASSWORD: "password", Kind.NOTE: "note", Kind.API_SECRET: "API secret", Kind.FILE: "file"}
)
"""What a kind is called in a sentence."""

INTRODUCTION = """\
The HTTP API of a mysafe vault.

**Authentication.** Programs get an access token at `/api/oauth2/token` with the client id and client secret of an
access key, and send it as `Authorization: Bearer`. A token is good for an hour; ask again afterwards.

**Aliases.** Each path is also answered with `/iso/` or `/api/iso/` in the place of `/api/`, and with a slash at its
end.

**Bodies.** JSON, or the same fields as a form. A number is taken as its text, unknown fields are ignored, null counts
as left out; the management API refuses unknown fields. Answers are JSON and are never to be cached.

**Errors.** The documented API answers 400 also for what does not exist (1005) or may not be read (1006); the number
stands before the colon of the text. Under `/api/manage`, errors are problem documents (RFC 9457) with a `code` for
programs. An unknown path, or a wrong method, is answered 404 before anything else is looked at.
"""

TAGS: Mapping[str, str] = MappingProxyType(
    {
        "Tokens": "Access tokens for programs: OAuth 2.0 client credentials.",
        "Passwords": "Passwords, with time-based codes.",
        "Notes": "Notes: texts that are kept secret as a whole.",
        "API secrets": "Client ids and client secrets of other APIs.",
        "Files": "Files, with contents of up to 500 MiB.",
    }
)
"""Parts of the API that come first, in reading order."""

LAST_TAGS: Mapping[str, str] = MappingProxyType({"Description": "What you are reading, for programs and for people."})
"""Parts that come after all others."""
