# SPDX-License-Identifier: Apache-2.0
"""From the name of a provider to the provider. What it needs comes from the settings, never from the database.

A slot names its provider and nothing else: who writes in the database must not be able to choose the library that is
loaded, or the host a token is sent to (R-CFG-08).
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import NamedTuple

from mysafe.crypto.aead import SealBroken
from mysafe.crypto.root_key.devices.azure_kv import AzureKey
from mysafe.crypto.root_key.devices.gcp_kms import GcpKmsKey
from mysafe.crypto.root_key.devices.transit import TransitKey
from mysafe.crypto.root_key.envelope import Device, EnvelopeProvider
from mysafe.crypto.root_key.key_file import KeyFileProvider
from mysafe.crypto.root_key.passphrase import (
    AskSecret,
    PassphraseProvider,
    RecoveryProvider,
    cost_of,
    new_recovery_code,
)
from mysafe.crypto.root_key.private_file import read_private
from mysafe.crypto.root_key.provider import RootKeyProvider, RootKeyRefused
from mysafe.crypto.root_key.shares import ShareCollector, SharesProvider, SharesWanted, is_of_shares
from mysafe.domain.secret_text import SecretText

ENTRY_POINT_GROUP = "mysafe.root_provider"

LARGEST_FILE_BYTES = 65_536

PEOPLES = frozenset({"passphrase", "recovery", "shamir"})
"""The providers whose key is in nobody's machine: it must be typed."""

RECOVERING = frozenset({"recovery", "shamir"})
"""The providers that open the vault when this machine and what it knows are lost."""


class Means(NamedTuple):
    """What the providers are made of.

    Args:
        key_file: where the key file is.
        file: TOML file with a table for each provider that needs one, None without.
        ask: asks a person for a passphrase, a code or a share.
        shares: how many shares are made, where a slot of shares is made.
    """

    key_file: Path
    file: Path | None
    ask: AskSecret
    shares: SharesWanted | None = None


def make_provider(name: str, means: Means) -> RootKeyProvider:
    """Return the provider of a name.

    Raises:
        RootKeyRefused: there is not exactly one, or what the file says of it does not fit.
    """
    of_people: dict[str, Callable[[], RootKeyProvider]] = {
        "keyfile": partial(KeyFileProvider, means.key_file),
        "passphrase": partial(PassphraseProvider, means.ask),
        "recovery": partial(RecoveryProvider, means.ask),
        "shamir": partial(SharesProvider, means.ask, means.shares),
    }
    if name in of_people:
        return of_people[name]()
    return load_provider(name, _parameters(name, means.file))


class NewProvider(NamedTuple):
    """What a new slot is made with. `printed` returns what people must keep, after the slot was wrapped."""

    provider: RootKeyProvider
    printed: Callable[[], Sequence[SecretText]]


def new_provider(name: str, means: Means) -> NewProvider:
    """Return the provider of a new slot; a key file that is not there yet is made, a recovery code is drawn.

    Raises:
        RootKeyRefused: as for `make_provider`, or the key file cannot be made.
    """
    if name == RecoveryProvider.name:
        code = new_recovery_code()
        return NewProvider(RecoveryProvider(lambda what: code), lambda: [code])
    if name == KeyFileProvider.name and not means.key_file.exists():
        return NewProvider(KeyFileProvider.create(means.key_file), list)
    provider = make_provider(name, means)
    return NewProvider(provider, (lambda: provider.made) if isinstance(provider, SharesProvider) else list)


def describe(slot: bytes) -> str:
    """Return the parameters of a slot in words, for people. It is not known whether they are authentic."""
    try:
        if is_of_shares(slot):
            collector = ShareCollector(slot)
            return f"{collector.needed} of {collector.total} shares"
        cost = cost_of(slot)
    except SealBroken:
        return "damaged"
    return "" if cost is None else f"Argon2id m={cost.memory_kib // 1024} MiB t={cost.passes} p={cost.lanes}"


def load_provider(name: str, parameters: Mapping[str, str]) -> RootKeyProvider:
    """Return the provider of a name, made with its parameters; `keyfile` takes `path`.

    Raises:
        RootKeyRefused: there is not exactly one such provider, or it takes other parameters.
    """
    maker = _DEVICES.get(name)
    try:
        if maker is not None:
            return EnvelopeProvider(maker()(**parameters))
        provider: RootKeyProvider = _installed(name)(**parameters)
    except TypeError:
        raise RootKeyRefused(f"the root key provider {name} does not take these parameters") from None
    except ImportError:
        raise RootKeyRefused(f"{name} needs a library that is not there: install mysafe[{name}]") from None
    return provider


def _parameters(name: str, file: Path | None) -> Mapping[str, str]:
    if file is None:
        return {}
    try:
        tables = tomllib.loads(read_private(file, LARGEST_FILE_BYTES, "file of the root providers").decode("utf-8"))
    except ValueError:
        raise RootKeyRefused(f"{file} is not valid TOML") from None
    table = tables.get(name, {})
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise RootKeyRefused(f"{file}: the table [{name}] must hold texts only")
    return table


def _installed(name: str) -> Callable[..., RootKeyProvider]:
    if name == KeyFileProvider.name:
        return KeyFileProvider  # first: an installed package must not be able to take this name
    if name in PEOPLES:
        raise RootKeyRefused(f"the root key provider {name} is not made from parameters")
    points = tuple(entry_points(group=ENTRY_POINT_GROUP, name=name))
    if len(points) != 1:
        raise RootKeyRefused(f"{len(points) or 'no'} installed packages have a root key provider {name}")
    maker: Callable[..., RootKeyProvider] = points[0].load()
    return maker


def _pkcs11() -> Callable[..., Device]:
    from mysafe.crypto.root_key.devices.pkcs11_token import Pkcs11Token  # noqa: PLC0415  # not everybody has what it needs

    return Pkcs11Token


def _aws_kms() -> Callable[..., Device]:
    from mysafe.crypto.root_key.devices.aws_kms import AwsKmsKey  # noqa: PLC0415  # as above

    return AwsKmsKey


_DEVICES: dict[str, Callable[[], Callable[..., Device]]] = {
    "pkcs11": _pkcs11,
    "aws-kms": _aws_kms,
    "gcp-kms": lambda: GcpKmsKey,
    "azure-kv": lambda: AzureKey,
    "vault-transit": lambda: TransitKey,
}
