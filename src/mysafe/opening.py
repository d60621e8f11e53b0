# SPDX-License-Identifier: Apache-2.0
"""From the settings to what opens the vault: the root key provider, and what it is made of."""

import os
from pathlib import Path

from mysafe.config import Settings
from mysafe.crypto.root_key.catalogue import PEOPLES, Means, NewProvider, make_provider, new_provider
from mysafe.crypto.root_key.key_file import find_key_file
from mysafe.crypto.root_key.passphrase import AskSecret
from mysafe.crypto.root_key.private_file import read_secret_line
from mysafe.crypto.root_key.provider import RootKeyProvider, RootKeyRefused
from mysafe.crypto.root_key.shares import ShareCollector, SharesProvider, SharesWanted
from mysafe.domain.secret_text import SecretText


def key_path(settings: Settings) -> Path:
    """Return the key file: as set, else from the systemd credentials directory, else beside the data directory."""
    default = settings.data.with_name(settings.data.name + ".key")
    return find_key_file(settings.key_file, default, os.environ)


def nobody(what: str) -> SecretText:
    """Say that there is nobody to ask. Raises RootKeyRefused."""
    raise RootKeyRefused(f"nobody can be asked for the {what} here")


def root_means(settings: Settings, ask: AskSecret = nobody, shares: tuple[int, int] | None = None) -> Means:
    """Return what root key providers are made of; a passphrase comes from its file, if there is one."""

    def passphrase(what: str) -> SecretText:
        if settings.passphrase_file is not None and what.endswith("passphrase"):
            return read_secret_line(settings.passphrase_file, "file of the passphrase")
        return ask(what)

    return Means(key_path(settings), settings.root_provider_file, passphrase, SharesWanted(*shares) if shares else None)


def root_provider(settings: Settings, ask: AskSecret = nobody) -> RootKeyProvider:
    """Return the provider that opens the vault. Raises RootKeyRefused."""
    return make_provider(settings.root_provider, root_means(settings, ask))


def is_opened_by_people(settings: Settings) -> bool:
    """Return whether the vault opens only after somebody typed something."""
    has_file = settings.root_provider == "passphrase" and settings.passphrase_file is not None
    return settings.root_provider in PEOPLES and not has_file


def root_key_complaint(settings: Settings) -> str | None:
    """Return what is wrong with the provider of the root key, in one sentence, or None."""
    try:
        return root_provider(settings).health()
    except RootKeyRefused as refused:
        return str(refused)


def slot_provider(
    settings: Settings, name: str, ask: AskSecret = nobody, shares: tuple[int, int] | None = None
) -> NewProvider:
    """Return the provider of a new slot, and what its wrapping leaves for people to keep. Raises RootKeyRefused."""
    return new_provider(name, root_means(settings, ask, shares))


def resealing_provider(settings: Settings, name: str, slot: bytes, ask: AskSecret = nobody) -> NewProvider:
    """Return what makes a slot anew: as many shares as it has, a new code, the present key file or service.

    Raises:
        RootKeyRefused, SealBroken: there is no such provider; the slot is damaged.
    """
    if name != SharesProvider.name:
        return slot_provider(settings, name, ask)
    shares = ShareCollector(slot)
    return slot_provider(settings, name, ask, (shares.needed, shares.total))
