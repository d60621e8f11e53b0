# SPDX-License-Identifier: Apache-2.0
"""Read a source tree for the rules of the house. Knows how to look, not what is allowed.

Every search returns what it found as well as what is wrong, so that a search over nothing cannot pass.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).parents[2]


class Verdict(NamedTuple):
    """What a rule looked at, and the part of it that breaks the rule; places are written path:line or path."""

    found: list[str]
    wrong: list[str]


class Module(NamedTuple):
    """One Python file: its path from the checkout with slashes, its text, its syntax tree."""

    path: str
    text: str
    tree: ast.Module


@cache
def modules(root: Path, folder: str = "src/mysafe") -> tuple[Module, ...]:
    """Return the Python files under `folder` of the checkout at `root`, ordered by path, without migrations."""
    return tuple(_module(root, path) for path in sorted((root / folder).rglob("*.py")) if not _is_migration(path))


def _is_migration(path: Path) -> bool:
    return path.parent.name == "versions"


def _module(root: Path, path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    return Module(path.relative_to(root).as_posix(), text, ast.parse(text))


def nodes(root: Path, folder: str = "src/mysafe") -> Iterator[tuple[Module, ast.AST]]:
    """Yield every syntax node under `folder` with its module."""
    for module in modules(root, folder):
        for node in ast.walk(module.tree):
            yield module, node


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(root: Path, folder: str = "src/mysafe") -> Iterator[tuple[Module, Function]]:
    """Yield every function and method under `folder` with its module."""
    for module, node in nodes(root, folder):
        if isinstance(node, Function):
            yield module, node


def place(module: Module, node: ast.AST) -> str:
    """Return where `node` stands, as path:line."""
    return f"{module.path}:{getattr(node, 'lineno', 0)}"


def body_lines(function: Function) -> int:
    """Return the lines from the first statement after the docstring to the last one."""
    statements = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return 0 if not statements else (statements[-1].end_lineno or 0) - statements[0].lineno + 1


def arguments(function: Function) -> list[ast.arg]:
    """Return the parameters of a function without `self` and `cls`."""
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
    return [argument for argument in named if argument.arg not in {"self", "cls"}]


_BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match, ast.AsyncFor, ast.AsyncWith)


def nesting(statements: Iterable[ast.AST]) -> int:
    """Return how many blocks stand within each other at most; `elif` stays at the depth of its `if`."""
    return max((_depth(statement) for statement in statements), default=0)


def _depth(node: ast.AST) -> int:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return 0
    below = max((_depth(child) for child in _children(node)), default=0)
    return below + isinstance(node, _BLOCKS)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.If) and node.orelse == [child] and isinstance(child, ast.If):
            yield from _children(child)
        else:
            yield child
