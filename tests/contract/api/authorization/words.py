# SPDX-License-Identifier: Apache-2.0
"""What the answers of the documented API say, and which fields of an item they show (contract 1.3 to 1.5, 4 to 6).

Files are not documented there: docs/api/files.md. This module imports nothing of the product.
"""

from typing import Any

from tests.contract.api.authorization.classes import Answer, Work

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
    "file": {
        "not found": "1005: File not found",
        "inactive": "1009: Inactive file",
        "created": "File successfully registered",
        "updated": "File successfully updated",
        "deactivated": "File successfully deactivated",
        "was inactive": "File has already been deactivated",
        "activated": "File successfully activated",
        "was active": "File has already been activated",
    },
}

FIELDS = {
    "password": {"name", "username", "password", "url", "secret_key", "notes", "tags"},
    "note": {"name", "note", "tags"},
    "secretapi": {"name", "url", "client_id", "client_secret", "identifier_code", "method", "tags", "notes"},
    "file": {"name", "file_name", "media_type", "tags", "notes"},
}
"""The texts of an item, each of which carries a canary."""

FILTERS = {
    "password": {"tag": "tags", "name": "name", "username": "username", "url": "url"},
    "note": {"tag": "tags", "name": "name"},
    "secretapi": {"tag": "tags", "identifier_code": "identifier_code"},
    "file": {"tag": "tags", "name": "name", "file_name": "file_name"},
}
"""The filters of the lists, and the field each compares."""

SHOWN_FIELDS = {
    (Work.LIST, "password"): {"name", "url", "username", "tags"},
    (Work.LIST, "note"): {"name", "tags"},
    (Work.LIST, "secretapi"): {"name"},
    (Work.LIST, "file"): {"name", "file_name", "tags"},
    (Work.DOWNLOAD, "file"): {"content", "file_name"},
    (Work.UPDATE, "password"): {"name", "url", "username", "notes", "tags"},
    (Work.UPDATE, "note"): {"name", "tags"},
    **{(Work.READ, kind): fields for kind, fields in FIELDS.items()},
    (Work.UPDATE, "secretapi"): FIELDS["secretapi"],
    (Work.UPDATE, "file"): FIELDS["file"],
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
    (Work.LIST, "file"): "file_on_list",
    **{(work, "file"): "file_entity" for work in (Work.READ, Work.CREATE, Work.UPDATE)},
}


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
