# SPDX-License-Identifier: Apache-2.0
"""Signing in with a password: who enters, who does not, and how often one may try (R-AUTH-04, -05, -09; R-SES-02)."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from mysafe.domain.errors import NotAuthenticated, TooMany, VaultError, WrongPassword
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sign_in import IDLE_SECONDS, LIFETIME_SECONDS, MOST_SESSIONS
from mysafe.services.accounts import users
from mysafe.services.authentication import local_operator, nobody
from mysafe.services.sign_in import entrance, sessions
from mysafe.services.writes.sign_in import FREE_TRIES, MOST_TRIES
from tests.sign_in.conftest import StillServer
from tests.sign_in.person import Person

WRONG = SecretText("a wrong password, long enough")


def test_the_right_password_makes_a_session_that_works(ana: Person) -> None:
    entered = ana.enter()
    assert entered.session.is_complete
    assert ana.is_in(entered)


def test_case_and_width_of_the_name_do_not_count(ana: Person) -> None:
    wide = ana.username.replace("p", "ｐ")
    for name in (ana.username.upper(), wide):
        assert ana.is_in(ana.enter(username=name))


def test_nobody_enters_with_a_wrong_password_an_unknown_name_or_when_disabled(ana: Person, bob: Person) -> None:
    ana.vault.run(local_operator, partial(users.set_active, username=bob.username, is_active=False)).result()
    for attempt in (partial(ana.enter, WRONG), partial(ana.enter, username="nobody"), bob.enter):
        with pytest.raises(WrongPassword) as refused:
            attempt()
        assert str(refused.value) == ""


def test_a_password_that_was_changed_while_it_was_compared_opens_nothing(ana: Person) -> None:
    attempt = ana.vault.run(nobody, partial(entrance.begin, username=ana.username)).result()
    ana.vault.run(
        local_operator,
        partial(users.reset_password, username=ana.username, password_hash=users.prepare_password(WRONG)),
    ).result()
    old = entrance.Entrance(attempt, True, "127.0.0.1", "browser")  # a result, not a switch
    with pytest.raises(WrongPassword):
        ana.vault.run(entrance.entering(old), partial(entrance.enter, entrance=old)).result()


@pytest.mark.parametrize("is_there", [True, False])
def test_after_some_failures_the_next_try_waits_ever_longer(still: StillServer, ana: Person, *, is_there: bool) -> None:
    name = ana.username if is_there else "nobody at all"
    waits = []
    for _ in range(FREE_TRIES):
        with pytest.raises(WrongPassword):
            ana.enter(WRONG, name)
    for _ in range(3):
        with pytest.raises(TooMany) as refused:
            ana.enter(username=name)
        waits.append(refused.value.retry_after_seconds)
        still.advance_clock(refused.value.retry_after_seconds)
        with pytest.raises(WrongPassword):
            ana.enter(WRONG, name)
    assert waits == [1, 2, 4]


def test_the_right_password_lets_failures_be_forgotten(still: StillServer, ana: Person) -> None:
    for _ in range(3 * FREE_TRIES):
        for _ in range(FREE_TRIES - 1):
            with pytest.raises(WrongPassword):
                ana.enter(WRONG)
        assert ana.is_in(ana.enter())
        still.advance_clock(1)


def test_many_who_try_at_once_are_not_let_through(ana: Person) -> None:
    def outcome(_: int) -> type[VaultError] | None:
        try:
            ana.vault.run(nobody, partial(entrance.begin, username=ana.username)).result()
        except VaultError as error:
            return type(error)
        return None

    with ThreadPoolExecutor(50) as pool:
        outcomes = list(pool.map(outcome, range(50)))
    assert outcomes.count(None) == FREE_TRIES
    assert outcomes.count(TooMany) == 50 - FREE_TRIES


def test_after_a_hundred_failures_only_a_link_helps(still: StillServer, ana: Person) -> None:
    for _ in range(MOST_TRIES):
        ana.vault.run(nobody, partial(entrance.begin, username=ana.username)).result()
        still.advance_clock(1000)
    for _ in range(3):
        with pytest.raises(TooMany):
            ana.enter()
        still.advance_clock(40 * 24 * 3600)


def test_a_session_ends_when_it_is_not_used(still: StillServer, ana: Person) -> None:
    used, unused = ana.enter(), ana.enter()
    for _ in range(3):
        still.advance_clock(IDLE_SECONDS - 10)
        assert ana.is_in(used)
    with pytest.raises(NotAuthenticated):
        ana.is_in(unused)


def test_a_session_ends_after_twelve_hours_however_it_is_used(still: StillServer, ana: Person) -> None:
    entered = ana.enter()
    for _ in range(LIFETIME_SECONDS // 600 - 1):
        still.advance_clock(600)
        assert ana.is_in(entered)
    still.advance_clock(600)
    with pytest.raises(NotAuthenticated):
        ana.is_in(entered)


def test_disabling_a_user_and_a_new_password_end_all_sessions(ana: Person, bob: Person) -> None:
    of_ana, of_bob = ana.enter(), bob.enter()
    ana.vault.run(local_operator, partial(users.set_active, username=ana.username, is_active=False)).result()
    password_hash = users.prepare_password(WRONG)
    ana.vault.run(
        local_operator, partial(users.reset_password, username=bob.username, password_hash=password_hash)
    ).result()
    for person, entered in ((ana, of_ana), (bob, of_bob)):
        with pytest.raises(NotAuthenticated):
            person.is_in(entered)


def test_sessions_are_listed_and_ended(ana: Person) -> None:
    first, second, third = ana.enter(), ana.enter(), ana.enter()
    identify = entrance.in_session(third.token)
    listed = ana.vault.run(identify, sessions.list_own).result()
    assert [one.id for one in listed] == [third.session.id, second.session.id, first.session.id]
    ana.vault.run(identify, partial(sessions.end_one, session_id=first.session.id)).result()
    assert ana.vault.run(identify, partial(sessions.end_others, token=third.token)).result() == 1
    assert ana.is_in(third)
    ana.vault.run(identify, partial(sessions.sign_out, token=third.token)).result()
    for ended in (first, second, third):
        with pytest.raises(NotAuthenticated):
            ana.is_in(ended)


def test_nobody_ends_the_session_of_somebody_else(ana: Person, bob: Person) -> None:
    mine, his = ana.enter(), bob.enter()
    with pytest.raises(VaultError):
        ana.vault.run(entrance.in_session(mine.token), partial(sessions.end_one, session_id=his.session.id)).result()
    assert bob.is_in(his)


def test_the_oldest_session_ends_where_there_would_be_too_many(still: StillServer, ana: Person) -> None:
    first, second = ana.enter(), ana.enter()
    attempt = ana.vault.run(nobody, partial(entrance.begin, username=ana.username)).result()
    again = entrance.Entrance(attempt, True, "127.0.0.1", "browser")  # as above
    for _ in range(MOST_SESSIONS - 1):
        ana.vault.run(entrance.entering(again), partial(entrance.enter, entrance=again)).result()
    assert ana.is_in(second)
    with pytest.raises(NotAuthenticated):
        ana.is_in(first)


def test_a_session_token_opens_nothing_of_the_api(still: StillServer, ana: Person) -> None:
    token = ana.enter().token.reveal()
    with still.client() as client:
        answer = client.get("/api/mysafe/password", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
