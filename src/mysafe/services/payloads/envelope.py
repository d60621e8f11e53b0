# SPDX-License-Identifier: Apache-2.0
"""The form that all payloads have.

A payload is a msgpack array of two: the schema number and the value. Values are arrays too, in the order of
their class; a later schema appends fields. An unknown schema is an error, never a guess.

    payload = [1, [field, field, …]]
"""

from typing import TypeVar

import msgspec

SCHEMA = 1

T = TypeVar("T")


class PayloadUnknown(Exception):
    """A sealed payload opened, but has a schema or a shape this version does not know."""


encode = msgspec.msgpack.Encoder().encode
_envelope = msgspec.msgpack.Decoder(tuple[int, msgspec.Raw]).decode


def decode_payload(payload: bytes, decoder: msgspec.msgpack.Decoder[T]) -> T:
    """Return the value of a payload. Raises PayloadUnknown, which quotes nothing of it."""
    try:
        schema, value = _envelope(payload)
        if schema == SCHEMA:
            return decoder.decode(value)
    except msgspec.MsgspecError:
        pass  # the message may quote a value: it must not travel on, not even as a cause
    raise PayloadUnknown
