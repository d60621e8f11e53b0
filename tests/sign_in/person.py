# SPDX-License-Identifier: Apache-2.0
"""A person who signs in, by the use cases themselves: what a door does between them stands here."""

from functools import partial

from mysafe.crypto.totp import totp_code
from mysafe.domain.principals import UserDraft
from mysafe.domain.secret_text import SecretText
from mysafe.services.accounts import users
from mysafe.services.authentication import local_operator, nobody
from mysafe.services.sign_in import entrance, links, second_factor
from mysafe.services.sign_in.entrance import Entered, Entrance
from mysafe.services.vault import Vault

PASSWORD = SecretText("correct horse battery")


class Person:
    """A user of a vault, and the browser they sit at."""

    def __init__(self, vault: Vault, username: str, *, is_admin: bool = False) -> None:
        self.vault = vault
        self.username = username
        draft = UserDraft(username, is_admin=is_admin, password=PASSWORD)
        password_hash = users.prepare(draft)
        self.user = vault.run(local_operator, partial(users.add, draft=draft, password_hash=password_hash)).result()

    def enter(self, password: SecretText = PASSWORD, username: str | None = None) -> Entered:
        """Sign in with the password, as far as that goes."""
        name = username or self.username
        attempt = self.vault.run(nobody, partial(entrance.begin, username=name)).result()
        entered = Entrance(attempt, entrance.compare(attempt, password), "127.0.0.1", "browser")
        return self.vault.run(entrance.entering(entered), partial(entrance.enter, entrance=entered)).result()

    def complete(self, waiting: Entered, code: str) -> Entered:
        """Give the second factor."""
        self.vault.run(nobody, partial(entrance.begin, username=self.username)).result()
        identify = entrance.in_session(waiting.token, is_complete=False)
        work = partial(second_factor.complete, token=waiting.token, code=code)
        return self.vault.run(identify, work).result()

    def is_in(self, entered: Entered) -> bool:
        """Return whether a session works; otherwise raise what it is refused with."""
        work = partial(entrance.touch, token=entered.token)
        return self.vault.run(entrance.in_session(entered.token), work).result().user_id == self.user.id

    def add_factor(self, entered: Entered) -> tuple[SecretText, list[str]]:
        """Set up an authenticator app; return its seed and the recovery codes."""
        identify = entrance.in_session(entered.token)
        seed = self.vault.run(identify, second_factor.enrol).result().seed
        codes = self.vault.run(identify, partial(second_factor.confirm, code=self.code(seed))).result()
        return seed, [code.reveal() for code in codes]

    def code(self, seed: SecretText, steps: int = 0) -> str:
        """Return the code of a seed, some time steps from now."""
        return totp_code(seed, int(self.vault.clock()) + 30 * steps).reveal()

    def link(self) -> links.NewLink:
        """Let the operator make a link."""
        return self.vault.run(local_operator, partial(links.make, username=self.username)).result()
