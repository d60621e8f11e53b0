# SPDX-License-Identifier: Apache-2.0
"""Sessions, second factors and links to and from the bytes that are sealed; see `envelope` for the form."""

from typing import NamedTuple

import msgspec

from mysafe.domain.ids import FactorId, LinkId, SessionId, UserId
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sign_in import Factor, FactorKind, Link, LinkPurpose, WebSession
from mysafe.services.payloads.envelope import SCHEMA, PayloadUnknown, decode_payload, encode


class _Session(NamedTuple):
    user_id: int
    verifier: bytes
    auth_epoch: int
    is_complete: bool
    seen_at: int
    proved_at: int
    address: str
    agent: str


class _Factor(NamedTuple):
    user_id: int
    kind: int
    is_confirmed: bool
    last_step: int
    left: int


class _Link(NamedTuple):
    user_id: int
    purpose: int
    verifier: bytes
    auth_epoch: int
    expires_at: int


_sessions = msgspec.msgpack.Decoder(_Session)
_factors = msgspec.msgpack.Decoder(_Factor)
_links = msgspec.msgpack.Decoder(_Link)
_seeds = msgspec.msgpack.Decoder(str)
_codes = msgspec.msgpack.Decoder(list[bytes])


def encode_session(session: WebSession) -> bytes:
    """Return the meta of a session."""
    return encode(
        (
            SCHEMA,
            _Session(
                session.user_id,
                session.verifier,
                session.auth_epoch,
                session.is_complete,
                session.seen_at,
                session.proved_at,
                session.address,
                session.agent,
            ),
        )
    )


def decode_session(payload: bytes, session_id: int, version: int, created_at: int) -> WebSession:
    """Return the session of a meta. Raises PayloadUnknown."""
    stored = decode_payload(payload, _sessions)
    return WebSession(
        SessionId(session_id),
        version,
        UserId(stored.user_id),
        stored.verifier,
        stored.auth_epoch,
        stored.is_complete,
        created_at,
        stored.seen_at,
        stored.proved_at,
        stored.address,
        stored.agent,
    )


def encode_factor(factor: Factor) -> bytes:
    """Return the meta of a second factor."""
    return encode((SCHEMA, _Factor(factor.user_id, factor.kind, factor.is_confirmed, factor.last_step, factor.left)))


def decode_factor(payload: bytes, factor_id: int, version: int, created_at: int) -> Factor:
    """Return the second factor of a meta. Raises PayloadUnknown."""
    stored = decode_payload(payload, _factors)
    try:
        kind = FactorKind(stored.kind)
    except ValueError:
        raise PayloadUnknown("factor") from None
    return Factor(
        FactorId(factor_id),
        version,
        UserId(stored.user_id),
        kind,
        stored.is_confirmed,
        created_at,
        stored.last_step,
        stored.left,
    )


def encode_seed(seed: SecretText) -> bytes:
    """Return the secret of a TOTP factor."""
    return encode((SCHEMA, seed.reveal()))


def decode_seed(payload: bytes) -> SecretText:
    """Return the seed of a TOTP factor. Raises PayloadUnknown."""
    return SecretText(decode_payload(payload, _seeds))


def encode_codes(verifiers: list[bytes]) -> bytes:
    """Return the secret of the recovery codes: the verifiers of those that are left."""
    return encode((SCHEMA, verifiers))


def decode_codes(payload: bytes) -> list[bytes]:
    """Return the verifiers of the recovery codes that are left. Raises PayloadUnknown."""
    return decode_payload(payload, _codes)


def encode_link(link: Link) -> bytes:
    """Return the meta of a link."""
    return encode((SCHEMA, _Link(link.user_id, link.purpose, link.verifier, link.auth_epoch, link.expires_at)))


def decode_link(payload: bytes, link_id: int, version: int, created_at: int) -> Link:
    """Return the link of a meta. Raises PayloadUnknown."""
    stored = decode_payload(payload, _links)
    try:
        purpose = LinkPurpose(stored.purpose)
    except ValueError:
        raise PayloadUnknown("link") from None
    return Link(
        LinkId(link_id),
        version,
        UserId(stored.user_id),
        purpose,
        stored.verifier,
        stored.auth_epoch,
        created_at,
        stored.expires_at,
    )
