# SPDX-License-Identifier: Apache-2.0
"""An installation with two users, "owner" and "friend", and tokens that are good before its server has started."""

from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from mysafe import making, opening
from mysafe.domain.access_keys import AccessKeyDraft, ClientCredentials
from mysafe.domain.principals import UserDraft
from mysafe.services.accounts import access_keys, users
from mysafe.services.authentication import Caller, client_credentials, issue_token, local_operator
from mysafe.services.vault import Vault
from tests.support.process import Installation

NAMES = ("owner", "friend")
_PATIENCE_SECONDS = 20


def couple(
    directory: Path,
    serve: list[str] | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    is_on_sqlite: bool = False,
) -> tuple[Installation, dict[str, str]]:
    """Return an installation that does not serve yet, and the tokens by user name. It is made in a moment."""
    installation = Installation(directory, serve, environment, is_on_sqlite=is_on_sqlite, is_made=False)
    making.initialise(installation.settings)
    with closing(opening.open_vault(installation.settings)) as vault:
        return installation, {name: _token(vault, name) for name in NAMES}


def _token(vault: Vault, name: str) -> str:
    vault.run(local_operator, partial(users.add, draft=UserDraft(name))).result(_PATIENCE_SECONDS)
    draft = AccessKeyDraft(name, "test")
    made = vault.run(local_operator, partial(access_keys.add, draft=draft, pair=None)).result(_PATIENCE_SECONDS)
    credentials = ClientCredentials(made.key.client_id, made.client_secret)
    identify = client_credentials(credentials, Caller("127.0.0.1"))
    return vault.run(identify, issue_token).result(_PATIENCE_SECONDS).reveal()
