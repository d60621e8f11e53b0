# SPDX-License-Identifier: Apache-2.0
"""The second factor: asked for once it is confirmed, each code good once, ten codes for the day it is lost."""

from functools import partial

import pytest

from mysafe.domain.errors import NotAuthenticated, NotFound, TooMany, WrongPassword, WrongState
from mysafe.domain.secret_text import SecretText
from mysafe.domain.sign_in import PENDING_SECONDS, RECOVERY_CODES
from mysafe.services.sign_in import entrance, second_factor
from mysafe.services.sign_in.entrance import Entered
from mysafe.services.writes.sign_in import FREE_TRIES
from tests.sign_in.conftest import StillServer
from tests.sign_in.person import Person


def test_a_factor_that_was_not_confirmed_is_not_asked_for(ana: Person) -> None:
    identify = entrance.in_session(ana.enter().token)
    ana.vault.run(identify, second_factor.enrol).result()
    with pytest.raises(WrongPassword):
        ana.vault.run(identify, partial(second_factor.confirm, code="000000")).result()
    assert ana.enter().session.is_complete


def test_a_confirmed_factor_is_asked_for_and_nothing_works_before(still: StillServer, ana: Person) -> None:
    first = ana.enter()
    seed, _ = ana.add_factor(first)
    still.advance_clock(60)
    waiting = ana.enter()
    assert not waiting.session.is_complete
    with pytest.raises(NotAuthenticated):
        ana.is_in(waiting)
    entered = ana.complete(waiting, ana.code(seed))
    assert ana.is_in(entered)
    assert entered.token.reveal() != waiting.token.reveal()
    with pytest.raises(NotAuthenticated):
        ana.complete(waiting, ana.code(seed))


def in_peace(still: StillServer, person: Person, seed: SecretText, steps: int) -> Entered:
    """Enter with the code of a time step, with pauses that no failure before makes too short."""
    still.advance_clock(100)
    waiting = person.enter()
    still.advance_clock(100)
    code = person.code(seed, steps)
    return person.complete(waiting, f" {code[:3]} {code[3:]} ")


def test_a_code_is_good_for_a_minute(still: StillServer, ana: Person) -> None:
    seed, _ = ana.add_factor(ana.enter())
    for steps in (-2, 1):
        with pytest.raises(WrongPassword):
            in_peace(still, ana, seed, steps)
    for steps in (-1, 0):
        assert ana.is_in(in_peace(still, ana, seed, steps))


def test_a_code_is_good_once(still: StillServer, ana: Person) -> None:
    seed, _ = ana.add_factor(ana.enter())
    with pytest.raises(WrongPassword):
        ana.complete(ana.enter(), ana.code(seed))  # it was used to confirm
    assert ana.is_in(in_peace(still, ana, seed, 0))
    waiting = ana.enter()
    for steps in (0, -1):
        with pytest.raises(WrongPassword):
            ana.complete(waiting, ana.code(seed, steps))


def test_recovery_codes_are_good_once_each(ana: Person) -> None:
    _, codes = ana.add_factor(ana.enter())
    assert len(set(codes)) == RECOVERY_CODES
    for code in codes:
        spaced = f"{code[:4]}-{code[4:8]}-{code[8:12]}-{code[12:]}".lower()
        assert ana.is_in(ana.complete(ana.enter(), spaced))
    with pytest.raises(WrongPassword):
        ana.complete(ana.enter(), codes[0])


def test_the_codes_of_somebody_else_are_wrong(still: StillServer, ana: Person, bob: Person) -> None:
    _, of_bob = bob.add_factor(bob.enter())
    ana.add_factor(ana.enter())
    with pytest.raises(WrongPassword):
        ana.complete(ana.enter(), of_bob[0])


def test_guesses_wait_ever_longer_and_the_right_password_does_not_help(ana: Person) -> None:
    ana.add_factor(ana.enter())
    for _ in range(FREE_TRIES // 2):
        waiting = ana.enter()
        with pytest.raises(WrongPassword):
            ana.complete(waiting, "000000")
    waiting = ana.enter()
    with pytest.raises(TooMany):
        ana.complete(waiting, "000000")


def test_a_session_does_not_wait_for_ever(still: StillServer, ana: Person) -> None:
    seed, _ = ana.add_factor(ana.enter())
    waiting = ana.enter()
    still.advance_clock(PENDING_SECONDS)
    with pytest.raises(NotAuthenticated):
        ana.complete(waiting, ana.code(seed))


def test_a_factor_is_replaced_only_after_it_is_removed(ana: Person) -> None:
    entered = ana.enter()
    ana.add_factor(entered)
    identify = entrance.in_session(entered.token)
    with pytest.raises(WrongState):
        ana.vault.run(identify, second_factor.enrol).result()
    ana.vault.run(identify, second_factor.remove).result()
    assert ana.vault.run(identify, second_factor.list_factors).result() == []
    with pytest.raises(NotFound):
        ana.vault.run(identify, second_factor.remove).result()
    assert ana.enter().session.is_complete
