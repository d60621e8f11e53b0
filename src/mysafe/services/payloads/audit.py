# SPDX-License-Identifier: Apache-2.0
"""What is sealed of an entry of the audit log, and what it is bound to."""

import msgspec

from mysafe.audit.events import Details
from mysafe.services.payloads.envelope import SCHEMA, decode_payload, encode

_details = msgspec.msgpack.Decoder(Details)


def encode_details(details: Details) -> bytes:
    """Return the payload of an audit entry's sealed part."""
    return encode((SCHEMA, details))


def decode_details(payload: bytes) -> Details:
    """Return an audit entry's sealed part. Raises PayloadUnknown."""
    return decode_payload(payload, _details)


def encode_facts(facts: tuple[int | str | bytes, ...]) -> bytes:
    """Return the clear columns of an audit entry as bytes that no other columns give (msgpack is prefix-free)."""
    return encode(facts)
