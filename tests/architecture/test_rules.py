# SPDX-License-Identifier: Apache-2.0
"""The house keeps its rules; and each rule is seen to catch a planted violation."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.architecture import rules
from tests.architecture.house import CHECKOUT, Verdict

Rule = Callable[[Path], Verdict]


class Control(NamedTuple):
    """A file that breaks a rule. `at` is what the verdict names: the path, or path:line."""

    rule: Rule
    path: str
    text: str
    at: str = ""

    @property
    def expected(self) -> str:
        """Return the place the rule must point at."""
        return f"{self.path}{self.at}"


_METHODS = "".join(f"    def verb_{number}(self): ...\n" for number in range(11))
_NESTED = "def f(a):\n  if a:\n    for b in a:\n      while b:\n        with b:\n          pass\n"

CONTROLS = (
    Control(rules.async_stays_in_the_server, "src/mysafe/services/slow.py", "async def wait(): ...\n", ":1"),
    Control(rules.secrets_are_revealed_in_listed_files, "src/mysafe/cli/leak.py", "print(token.reveal())\n", ":1"),
    Control(rules.secrets_are_revealed_in_listed_files, "src/mysafe/cli/leak.py", "show = token.reveal\n", ":1"),
    Control(rules.grants_come_from_the_unit_of_work, "src/mysafe/services/forged.py", "grant = Grant(item)\n", ":1"),
    Control(rules.grants_come_from_the_unit_of_work, "src/mysafe/services/forged.py", "x = work.Grant(item)\n", ":1"),
    Control(rules.files_are_short, "src/mysafe/domain/long.py", "#\n" * 401),
    Control(rules.functions_are_short, "src/mysafe/domain/long.py", "def f():\n" + "    pass\n" * 51, ":1"),
    Control(rules.handlers_are_short, "src/mysafe/server/api/x.py", "def f(c: Call):\n" + "    pass\n" * 16, ":1"),
    Control(rules.argument_lists_are_short, "src/mysafe/domain/wide.py", "def f(a, b, c, d, e, *, f, g): ...\n", ":1"),
    Control(rules.nesting_is_shallow, "src/mysafe/domain/deep.py", _NESTED, ":1"),
    Control(rules.names_say_what_is_inside, "src/mysafe/services/utils.py", ""),
    Control(rules.names_say_what_is_inside, "src/mysafe/services/_helpers.py", ""),
    Control(
        rules.a_unit_of_work_offers_little, "src/mysafe/services/x.py", f"class UnitOfWork:\n{_METHODS}", ":12 verb_10"
    ),
    Control(rules.files_name_their_licence, "tools/unlicensed.lua", "-- nothing\n"),
    Control(rules.tests_are_not_skipped, "tests/test_x.py", "def test_x():\n    pytest.skip()\n", ":2"),
)

ALL_RULES = tuple(dict.fromkeys([*(control.rule for control in CONTROLS), rules.rooms_are_small]))


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(rule: Rule) -> None:
    verdict = rule(CHECKOUT)
    assert verdict.found, "the search found nothing at all, so it proves nothing"
    assert verdict.wrong == []


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: f"{control.rule.__name__}-{Path(control.path).stem}")
def test_the_rule_catches_a_planted_violation(control: Control, tmp_path: Path) -> None:
    _plant(tmp_path, control.path, control.text)
    verdict = control.rule(tmp_path)
    assert control.expected in verdict.found or control.rule is rules.tests_are_not_skipped
    assert verdict.wrong == [control.expected]


def test_a_room_with_too_many_modules_is_caught(tmp_path: Path) -> None:
    for number in range(rules.LARGEST_ROOM + 1):
        _plant(tmp_path, f"src/mysafe/domain/module_{number}.py", "")
    assert rules.rooms_are_small(tmp_path).wrong == ["src/mysafe/domain"]


def test_a_branch_of_elif_is_no_deeper_than_its_if(tmp_path: Path) -> None:
    chain = "def f(a):\n  if a == 1:\n    pass\n" + "".join(f"  elif a == {n}:\n    pass\n" for n in range(2, 9))
    _plant(tmp_path, "src/mysafe/domain/chain.py", chain)
    assert rules.nesting_is_shallow(tmp_path) == Verdict(["src/mysafe/domain/chain.py:1"], [])


def test_every_file_allowed_to_reveal_still_does() -> None:
    found = {where.rpartition(":")[0] for where in rules.secrets_are_revealed_in_listed_files(CHECKOUT).found}
    assert found >= rules.REVEALING_FILES, "take the others off the list"


def _plant(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")
