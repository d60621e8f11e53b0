# SPDX-License-Identifier: Apache-2.0
"""What an access key says and is confined to, checked and in the form it is stored in (contract 2.6)."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from mysafe.authz.restrictions import canonical_blocks, canonical_fingerprint
from mysafe.domain.access_keys import MOST_ITEMS_OF_A_KEY, AccessKeyDraft
from mysafe.domain.errors import InvalidField, TooLong
from mysafe.domain.ids import LARGEST_ID, ItemRef
from mysafe.services.accounts.users import check_name

LONGEST_DESCRIPTION = 1000
LONGEST_TAGS = 1000
LONGEST_REFERER = 2048
"""Most characters of the description, the tags and one referer of an access key."""

MOST_ENTRIES = 100
"""Most addresses, and most referers, of an access key."""

ANY = "*"
"""Among addresses or referers: all of them."""

LAST_MOMENT = 253_402_300_799
"""The last second of the year 9999, after which no calendar of ours goes."""

T = TypeVar("T")
R = TypeVar("R")


class Terms(NamedTuple):
    """What an access key says and is confined to; the fields of AccessKey with these names."""

    name: str
    addresses: tuple[str, ...]
    referers: tuple[str, ...]
    expires_at: int | None
    description: str
    tags: str
    fingerprint: str
    items: frozenset[ItemRef] | None


def checked_terms(draft: AccessKeyDraft) -> Terms:
    """Return the terms of a draft. Raises InvalidInput, naming the field at fault."""
    check_name("name", draft.name)
    _check_text("description", draft.description, LONGEST_DESCRIPTION)
    _check_text("tags", draft.tags, LONGEST_TAGS)
    _check_count("addresses", draft.addresses)
    return Terms(
        draft.name,
        _in_form("addresses", canonical_blocks, draft.addresses),
        _referers(draft.referers),
        _seconds(draft.expires_at),
        draft.description,
        draft.tags,
        _in_form("fingerprint", canonical_fingerprint, draft.fingerprint),
        _items(draft.items),
    )


def check_expiry(expires_at: datetime | None, now: int) -> None:
    """Return if an access key that expires then is of use after `now` (Unix seconds). Raises InvalidField."""
    if expires_at is not None and _with_zone(expires_at).timestamp() <= now:
        raise InvalidField("expires_at")


def _seconds(moment: datetime | None) -> int | None:
    seconds = None if moment is None else int(_with_zone(moment).timestamp())
    if seconds is not None and seconds > LAST_MOMENT:
        raise InvalidField("expires_at")
    return seconds


def _with_zone(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_text(field: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise TooLong(field, limit)
    if not all(character.isprintable() or character in "\n\t" for character in text):
        raise InvalidField(field)


def _check_count(field: str, entries: Sequence[str]) -> None:
    if len(entries) > MOST_ENTRIES:
        raise InvalidField(field)


def _in_form(field: str, canonical: Callable[[T], R], value: T) -> R:
    try:
        return canonical(value)
    except ValueError:
        raise InvalidField(field) from None


def _referers(referers: Sequence[str]) -> tuple[str, ...]:
    """Return referers as they come in a header, () for any. Raises TooLong, InvalidField."""
    _check_count("referers", referers)
    for referer in referers:
        if len(referer) > LONGEST_REFERER:
            raise TooLong("referers", LONGEST_REFERER)
        if not referer or not referer.isascii() or not referer.isprintable() or " " in referer:
            raise InvalidField("referers")
    return () if ANY in referers else tuple(dict.fromkeys(referers))


def _items(items: frozenset[ItemRef] | None) -> frozenset[ItemRef] | None:
    if items is not None and len(items) > MOST_ITEMS_OF_A_KEY:
        raise InvalidField("items")
    if items is not None and not all(0 < ref.id <= LARGEST_ID for ref in items):
        raise InvalidField("items")
    return items
