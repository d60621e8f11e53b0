# SPDX-License-Identifier: Apache-2.0
"""Read the golden cases and compare answers with them. Knows nothing of how a case is played.

The cases are in tests/contract/golden; its README says what their fields mean and how answers are compared.
"""

import hashlib
import hmac
import json
import re
import struct
from base64 import b32decode
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

GOLDEN = Path(__file__).parents[1] / "contract" / "golden"

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_DIGITS = re.compile(r"[1-9][0-9]*")
_CODE = re.compile(r"[0-9]{6}")


@dataclass(frozen=True)
class Need:
    """An item that exists before the call: its name among the fixtures, whose it is, whether it is active."""

    item: str
    owner: str = "acting"
    active: bool = True


@dataclass(frozen=True)
class Case:
    """One call and the answer it must get. The fields are the manifest's; those only for readers are left out."""

    id: str
    method: str
    path: str
    query: Mapping[str, str]
    auth: str
    key: str
    headers: Mapping[str, str]
    request: str | None
    request_encoding: str | None
    needs: tuple[Need, ...]
    fault: str | None
    status: int
    response_headers: Mapping[str, str]
    response: str
    replace: Mapping[str, str] = field(default_factory=dict)

    def expectation(self) -> Json:
        """Return the body that must come back."""
        return read(self.response)

    def fields(self) -> dict[str, Json]:
        """Return the request body's fields."""
        body = read(self.request) if self.request else {}
        assert isinstance(body, dict)
        return body


def read(name: str) -> Json:
    """Return the parsed golden file `name`."""
    return parse((GOLDEN / name).read_bytes())


def parse(body: bytes) -> Json:
    """Return parsed JSON; objects keep the order of their keys. Raises ValueError for a key given twice."""
    parsed: Json = json.loads(body, object_pairs_hook=_without_duplicates)
    return parsed


def _without_duplicates(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError(f"a key is given twice among {[name for name, _ in pairs]}")
    return members


def manifest() -> dict[str, Any]:
    """Return the parsed manifest."""
    parsed: dict[str, Any] = json.loads((GOLDEN / "manifest.json").read_bytes())
    return parsed


def cases(prefixes: tuple[str, ...]) -> list[Case]:
    """Return the cases whose id starts with one of `prefixes`, in the order of the manifest."""
    names = Case.__dataclass_fields__
    return [
        Case(**{name: _value(name, value) for name, value in entry.items() if name in names})
        for entry in manifest()["cases"]
        if entry["id"].startswith(prefixes)
    ]


def _value(name: str, value: Any) -> Any:
    return tuple(Need(**need) for need in value) if name == "needs" else value


@dataclass(frozen=True)
class Facts:
    """What only the runner knows: the identifier in the path, and when the call was made (Unix seconds)."""

    identifier: str | None = None
    began_at: float = 0
    ended_at: float = 0


def differences(wanted: Json, got: Json, facts: Facts = Facts(), where: str = "$") -> list[str]:
    """Return what is different, one sentence each; [] when the answer is the golden one.

    Keys must be the same in the same order, types and values equal, but for the keys in `by_key` of the manifest.
    """
    if type(wanted) is not type(got):
        return [f"{where}: {got!r} instead of {wanted!r}"]
    if isinstance(wanted, dict) and isinstance(got, dict):
        return _object_differences(wanted, got, facts, where)
    if isinstance(wanted, list) and isinstance(got, list):
        return _list_differences(wanted, got, facts, where)
    return [] if wanted == got else [f"{where}: {got!r} instead of {wanted!r}"]


def _object_differences(wanted: dict[str, Json], got: dict[str, Json], facts: Facts, where: str) -> list[str]:
    if list(wanted) != list(got):
        return [f"{where}: keys {list(got)} instead of {list(wanted)}"]
    found = []
    for name, value in wanted.items():
        if name in _BY_KEY and value is not None:
            right = _BY_KEY[name](got, facts)
            found += [] if right else [f"{where}.{name}: {got[name]!r} is not acceptable"]
        else:
            found += differences(value, got[name], facts, f"{where}.{name}")
    return found


def _list_differences(wanted: list[Json], got: list[Json], facts: Facts, where: str) -> list[str]:
    if len(wanted) != len(got):
        return [f"{where}: {len(got)} elements instead of {len(wanted)}"]
    found = []
    for index, (left, right) in enumerate(zip(wanted, got, strict=True)):
        found += differences(left, right, facts, f"{where}[{index}]")
    identifiers = [element.get("identifier") for element in got if isinstance(element, dict)]
    numbers = [int(text) for text in identifiers if isinstance(text, str) and _is_digits(text)]
    if numbers != sorted(set(numbers)):
        found.append(f"{where}: identifiers {identifiers} do not ascend")
    return found


def _is_digits(value: Json) -> bool:
    return isinstance(value, str) and _DIGITS.fullmatch(value) is not None


def _is_identifier(entity: dict[str, Json], facts: Facts) -> bool:
    identifier = entity["identifier"]
    return _is_digits(identifier) and facts.identifier in {None, identifier}


def _is_current_code(entity: dict[str, Json], facts: Facts) -> bool:
    code, seed = entity["token"], entity["secret_key"]
    assert isinstance(seed, str)
    steps = range(int(facts.began_at) // 30, int(facts.ended_at) // 30 + 1)
    return isinstance(code, str) and _CODE.fullmatch(code) is not None and code in codes(seed, steps)


def _is_text(entity: dict[str, Json], facts: Facts) -> bool:
    return isinstance(entity["access_token"], str) and entity["access_token"] != ""


_BY_KEY: dict[str, Callable[[dict[str, Json], Facts], bool]] = {
    "identifier": _is_identifier,
    "token": _is_current_code,
    "access_token": _is_text,
    # This server has no item policies.
    "need_justify": lambda entity, _: entity["need_justify"] == "0",
    "need_approval": lambda entity, _: entity["need_approval"] == "0",
}


def codes(seed: str, steps: Collection[int]) -> set[str]:
    """Return the TOTP codes of a base32 seed at some 30-second steps (RFC 6238, RFC 4226 section 5.3)."""
    key = b32decode(seed + "=" * (-len(seed) % 8))
    return {_code(key, step) for step in steps}


def _code(key: bytes, step: int) -> str:
    digest = hmac.digest(key, struct.pack(">Q", step), hashlib.sha1)
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"
