# SPDX-License-Identifier: Apache-2.0
"""Links: good once, for a while, for one person; and a second factor stays what it is (R-AUTH-12, R-CFG-02)."""

from functools import partial

import pytest

from mysafe.domain.errors import AccessDenied, NotAuthenticated, WrongPassword, WrongState
from mysafe.domain.principals import User
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sign_in import FIRST_LINK_SECONDS, LINK_SECONDS, LinkPurpose
from mysafe.services.accounts import users
from mysafe.services.authentication import local_operator
from mysafe.services.sign_in import entrance, links
from tests.sign_in.conftest import StillServer
from tests.sign_in.person import Person

CHOSEN = SecretText("chosen by its owner alone")


def use(person: Person, made: links.NewLink) -> User:
    work = partial(links.use, token=made.token, password_hash=users.prepare_password(CHOSEN))
    return person.vault.run(links.by_link(made.token), work).result()


def test_a_link_gives_a_password_once_and_ends_every_session(ana: Person) -> None:
    before, made = ana.enter(), ana.link()
    assert made.link.purpose is LinkPurpose.RESET
    use(ana, made)
    with pytest.raises(NotAuthenticated):
        ana.is_in(before)
    with pytest.raises(WrongPassword):
        ana.enter()
    assert ana.is_in(ana.enter(CHOSEN))
    with pytest.raises(NotAuthenticated):
        use(ana, made)


def test_a_link_does_not_pass_the_second_factor(still: StillServer, ana: Person) -> None:
    ana.add_factor(ana.enter())
    use(ana, ana.link())
    assert not ana.enter(CHOSEN).session.is_complete


def test_a_link_of_the_command_line_is_good_for_fifteen_minutes(still: StillServer, ana: Person) -> None:
    made = ana.link()
    still.advance_clock(FIRST_LINK_SECONDS)
    with pytest.raises(NotAuthenticated):
        use(ana, made)


def test_an_administrator_makes_links_and_others_do_not(still: StillServer, ana: Person) -> None:
    chief = Person(ana.vault, "chief", is_admin=True)
    identify = entrance.in_session(chief.enter().token)
    made = ana.vault.run(identify, partial(links.make, username=ana.username)).result()
    still.advance_clock(LINK_SECONDS[LinkPurpose.RESET] - 1)
    use(ana, made)
    with pytest.raises(AccessDenied):
        ana.vault.run(entrance.in_session(ana.enter(CHOSEN).token), partial(links.make, username="chief")).result()


def test_only_the_newest_link_of_a_person_works(ana: Person) -> None:
    old, new = ana.link(), ana.link()
    with pytest.raises(NotAuthenticated):
        use(ana, old)
    use(ana, new)


def test_a_link_dies_with_the_password_it_was_to_replace(ana: Person) -> None:
    made = ana.link()
    password_hash = users.prepare_password(CHOSEN)
    ana.vault.run(
        local_operator, partial(users.reset_password, username=ana.username, password_hash=password_hash)
    ).result()
    with pytest.raises(NotAuthenticated):
        use(ana, made)


def test_a_disabled_user_gets_no_link(ana: Person) -> None:
    ana.vault.run(local_operator, partial(users.set_active, username=ana.username, is_active=False)).result()
    with pytest.raises(WrongState):
        ana.link()
