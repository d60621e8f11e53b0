# SPDX-License-Identifier: Apache-2.0
"""The tree drawn at the top of domain/errors.py is the tree of the classes."""

import inspect
import re
from types import ModuleType

from mysafe.domain import errors

BRANCH = re.compile(r"^(?P<lead>[ │]*)[├└] (?P<name>\w+)$")


def test_the_drawn_tree_of_errors_is_the_tree_of_the_classes() -> None:
    drawn = _drawn(errors.__doc__ or "")
    assert len(drawn) > 10
    assert drawn == _real(errors)


def test_a_class_left_out_of_the_drawing_is_noticed() -> None:
    lines = (errors.__doc__ or "").splitlines(keepends=True)
    assert _drawn("".join(line for line in lines if "TooLong" not in line)) != _real(errors)


def test_a_class_drawn_under_the_wrong_parent_is_noticed() -> None:
    assert _drawn((errors.__doc__ or "").replace("├ NotFound", "│ └ NotFound")) != _real(errors)


def test_every_error_class_says_when_it_is_raised() -> None:
    assert [name for name in _real(errors) if not getattr(errors, name).__doc__] == []


def _drawn(text: str) -> dict[str, str]:
    """Return child → parent of a drawing with two columns per level below the root `VaultError`."""
    above = {-1: "VaultError"}
    parents: dict[str, str] = {}
    for line in inspect.cleandoc(text).splitlines():
        if branch := BRANCH.match(line.removeprefix("    ")):
            level = len(branch["lead"]) // 2
            above[level] = branch["name"]
            parents[branch["name"]] = above[level - 1]
    return parents


def _real(module: ModuleType) -> dict[str, str]:
    """Return child → nearest public ancestor of the public classes of `module`."""
    return {
        name: next(parent.__name__ for parent in found.__mro__[1:] if not parent.__name__.startswith("_"))
        for name, found in inspect.getmembers(module, inspect.isclass)
        if found.__module__ == module.__name__ and not name.startswith("_") and name != "VaultError"
    }


def test_the_drawing_is_read_level_by_level() -> None:
    drawing = "First.\n\n    VaultError\n    ├ A\n    │ └ B\n    └ C\n      └ D\n"
    assert _drawn(drawing) == {"A": "VaultError", "B": "A", "C": "VaultError", "D": "C"}
