# SPDX-License-Identifier: Apache-2.0
"""The settings: what they mean, where they come from, which ones are refused. No secret is ever a setting.

Order: default < settings file < environment < flag. `docs/operate/configure.md` is generated from this package.
Rooms receive values; only `app` and `cli` see `Settings`.
"""

from mysafe.config.loading import (
    SETTINGS_FILE,
    Loaded,
    find_settings_file,
    load_settings,
    load_with_sources,
    parse_database,
)
from mysafe.config.settings import FLAGS, Network, Settings, SettingsRefused, toml_key, variable

__all__ = [
    "FLAGS",
    "SETTINGS_FILE",
    "Loaded",
    "Network",
    "Settings",
    "SettingsRefused",
    "find_settings_file",
    "load_settings",
    "load_with_sources",
    "parse_database",
    "toml_key",
    "variable",
]
