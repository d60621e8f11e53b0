# SPDX-License-Identifier: Apache-2.0
"""Wrap answers as the contract draws them, keys in its order. Knows neither entities nor errors.

    success   {"code", "response": {…}, "<entity key>"}           contract 1.3
    failure   {"code", "response": {…}, "exception": {…}}         contract 1.4
    gateway   {"message"}                                         contract 1.5

    response  {"status", "message", "error", "error_code", "detail", "Message", ["mensagem",] "erro", "cod_erro"}

Each text stands twice, and so do the flag and the number: once by their English and once by their Portuguese name.
"""

from functools import lru_cache
from typing import NotRequired, TypedDict

import msgspec

_encode = msgspec.json.Encoder().encode


class _Mensagem(TypedDict, total=False):
    mensagem: str


class Outcome(TypedDict):
    """How a call ended. Each fact stands twice: by its English and by its Portuguese name."""

    status: int
    message: str
    error: bool
    error_code: int
    detail: str
    Message: str
    mensagem: NotRequired[str]
    erro: bool
    cod_erro: int


class Fault(TypedDict):
    """What went wrong: the number of the error, or the status where it has none."""

    code: int
    message: str
    detail: None


class Gateway(TypedDict):
    """An answer in the words of a gateway."""

    message: str


def success(
    status: int, message: str, key: str | None = None, entity: object = None, *, mensagem: bool = False
) -> bytes:
    """Return the body of a success; without `key` it has no entity (contract 1.3: enable and disable).

    `mensagem` adds the key of that name after `Message` (contract 1.3, `compat.mensagem`).
    """
    body: dict[str, object] = {"code": status, "response": _response(status, message, 0, mensagem=mensagem)}
    if key is not None:
        body[key] = entity
    return _encode(body)


def failure(status: int, text: str, code: int, *, exception: str | None = None, mensagem: bool = False) -> bytes:
    """Return the body of an error. `code` is the number in its text, or the status where it has none (contract 1.4).

    `exception` is the text there, if it differs. `error_code` is 1 and `exception.detail` null on every error
    (contract 8).
    """
    fault: Fault = {"code": code, "message": text if exception is None else exception, "detail": None}
    return _encode({"code": status, "response": _response(status, text, 1, mensagem=mensagem), "exception": fault})


def gateway(text: str) -> bytes:
    """Return the one-key body of an answer that stands for the gateway's (contract 1.5)."""
    body: Gateway = {"message": text}
    return _encode(body)


@lru_cache(maxsize=256)  # the server has few texts, and says them again and again
def _response(status: int, text: str, error_code: int, *, mensagem: bool) -> msgspec.Raw:
    is_error = error_code != 0
    older: _Mensagem = {"mensagem": text} if mensagem else {}
    response: Outcome = {
        "status": status,
        "message": text,
        "error": is_error,
        "error_code": error_code,
        "detail": "",
        "Message": text,
        **older,
        "erro": is_error,
        "cod_erro": error_code,
    }
    return msgspec.Raw(_encode(response))
