# SPDX-License-Identifier: Apache-2.0
"""The commands `mysafe access-key …`: the local operator manages the access keys of everybody."""

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from mysafe.cli.local_vault import operate, printable
from mysafe.config import Loaded
from mysafe.domain.access_keys import AccessKeyChange, AccessKeyDraft, AccessKeyView, RsaPair
from mysafe.domain.actions import Action
from mysafe.domain.errors import InvalidField
from mysafe.domain.ids import ItemId, ItemRef, Kind
from mysafe.services.accounts import access_keys
from mysafe.services.accounts.access_keys import EVERYBODY, NewAccessKey
from mysafe.services.accounts.key_rules import KeyRules

Options = argparse.Namespace


def _add(options: Options, loaded: Loaded) -> int:
    draft = AccessKeyDraft(
        options.owner,
        options.name,
        tuple(options.ip),
        tuple(options.referer),
        expires_at=options.expires,
        is_encrypting=options.encrypt,
        description=options.description,
        tags=options.tags,
        fingerprint=options.fingerprint,
        items=_items(options.item) if options.item else None,
    )
    if draft.is_encrypting:
        operate(
            loaded, partial(access_keys.may_add, draft=draft, rules=_rules(loaded))
        )  # a refusal is worth knowing before keys are made
    pair = _pair(loaded, is_needed=draft.is_encrypting)
    work = partial(access_keys.add, draft=draft, pair=pair, rules=_rules(loaded))
    return _print_new(options, loaded, operate(loaded, work))


def _list(options: Options, loaded: Loaded) -> int:
    views, _ = operate(loaded, partial(access_keys.list_keys, owner=options.owner or EVERYBODY))
    for view in views:
        print(json.dumps(_fields(view)) if options.json else _line(view))
    return 0


def _show(options: Options, loaded: Loaded) -> int:
    fields = _fields(operate(loaded, partial(access_keys.read, which=options.client_id)))
    if options.json:
        print(json.dumps(fields))
        return 0
    for name, value in fields.items():
        print(printable(f"{name:14}  {_words(value)}").rstrip())
    return 0


def _change(options: Options, loaded: Loaded) -> int:
    wanted = _wanted(options)
    is_needed = wanted.is_encrypting is True and operate(
        loaded,
        partial(access_keys.needs_pair, which=options.client_id, action=Action.ACCESS_KEY_UPDATE),
    )
    pair = _pair(loaded, is_needed=is_needed)
    work = partial(access_keys.change, which=options.client_id, wanted=wanted, pair=pair)
    print(f"changed the access key {operate(loaded, work).key.client_id}")
    return 0


def _wanted(options: Options) -> AccessKeyChange:
    """Return the change that the options name; those that were not given are None."""
    named = {
        "name": options.name,
        "description": options.description,
        "tags": options.tags,
        "addresses": None if options.ip is None else tuple(options.ip),
        "referers": None if options.referer is None else tuple(options.referer),
        "fingerprint": options.fingerprint,
        "expires_at": options.expires,
        "items": None if options.item is None else _items(options.item),
    }
    fields = {name: value for name, value in named.items() if value is not None}
    fields |= dict.fromkeys(options.unlimited, None)
    return AccessKeyChange(fields, options.encrypt)


def _clone(options: Options, loaded: Loaded) -> int:
    is_needed = operate(
        loaded, partial(access_keys.needs_pair, which=options.client_id, action=Action.ACCESS_KEY_CLONE)
    )
    pair = _pair(loaded, is_needed=is_needed)
    work = partial(access_keys.clone, which=options.client_id, pair=pair, rules=_rules(loaded))
    return _print_new(options, loaded, operate(loaded, work))


def _revoke(options: Options, loaded: Loaded) -> int:
    view = operate(loaded, partial(access_keys.revoke, which=options.client_id))
    print(f"revoked the access key {view.key.client_id}")
    return 0


def _secret(options: Options, loaded: Loaded) -> int:
    print(operate(loaded, partial(access_keys.client_secret, which=options.client_id)).secret.reveal())
    return 0


def _decryption_key(options: Options, loaded: Loaded) -> int:
    print(operate(loaded, partial(access_keys.decryption_key, which=options.client_id)).secret.reveal(), end="")
    return 0


def _pair(loaded: Loaded, *, is_needed: bool) -> RsaPair | None:
    return access_keys.prepare(loaded.settings.access_keys_rsa_bits, is_encrypting=is_needed)


def _rules(loaded: Loaded) -> KeyRules:
    settings = loaded.settings
    is_kept = settings.access_keys_reveal == "reauth"
    return KeyRules(settings.access_keys_rsa_bits, is_secret_kept=is_kept, most_keys=settings.access_keys_per_user)


def _print_new(options: Options, loaded: Loaded, made: NewAccessKey) -> int:
    client_id, client_secret = made.key.client_id, made.client_secret.reveal()
    if options.json:
        print(json.dumps({"client_id": client_id, "client_secret": client_secret}))
        return 0
    print(f"client_id      {client_id}")
    print(f"client_secret  {client_secret}")
    if not _rules(loaded).is_secret_kept:
        print("The secret is not kept and cannot be shown again.")
    return 0


def _items(texts: list[str]) -> frozenset[ItemRef]:
    """Return the items named as KIND:ID. Raises InvalidField."""
    return frozenset(map(_item, texts))


def _item(text: str) -> ItemRef:
    kind, _, number = text.partition(":")
    if kind not in set(Kind) or not (number.isascii() and number.isdigit() and len(number) < 20):
        raise InvalidField("item")
    return ItemRef(Kind(kind), ItemId(int(number)))


def _fields(view: AccessKeyView) -> dict[str, object]:
    key = view.key
    return {
        "id": str(key.id),
        "client_id": key.client_id,
        "owner": view.owner,
        "name": key.name,
        "description": key.description,
        "tags": key.tags,
        "addresses": list(key.addresses),
        "referers": list(key.referers),
        "fingerprint": key.fingerprint,
        "items": None if key.items is None else [f"{ref.kind}:{ref.id}" for ref in sorted(key.items)],
        "expires_at": None if key.expires_at is None else _iso(key.expires_at),
        "is_encrypting": key.encryption_key is not None,
        "is_revoked": key.is_revoked,
        "created_at": _iso(key.created_at),
    }


def _line(view: AccessKeyView) -> str:
    key = view.key
    words = (
        key.client_id,
        view.owner,
        f'"{key.name}"',
        "all items" if key.items is None else f"{len(key.items)} items",
        "encrypts" if key.encryption_key is not None else "",
        f"until {_iso(key.expires_at)}" if key.expires_at is not None else "",
    )
    return "  ".join(printable(word) for word in words if word)


def _words(value: object) -> str:
    match value:
        case None:
            return "no limit"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value)) or "none"
        case _:
            return str(value)


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


COMMANDS: dict[str, Callable[[Options, Loaded], int]] = {
    "access-key add": _add,
    "access-key list": _list,
    "access-key show": _show,
    "access-key change": _change,
    "access-key clone": _clone,
    "access-key revoke": _revoke,
    "access-key secret": _secret,
    "access-key decryption-key": _decryption_key,
}
"""What each command does: options and settings in, exit status out."""
