# SPDX-License-Identifier: Apache-2.0
"""Updates of one item by many clients at once, and the checker that judges their history."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple


class Writing(NamedTuple):
    """One update: nanoseconds around it, the version it named or None, the answer, and the mark it wrote."""

    invoked_at: int
    answered_at: int
    expected: int | None
    status: int
    version: int | None
    mark: str


def complaints(history: Iterable[Writing], first: int, last: int, mark: str) -> list[str]:
    """Return what is wrong with a history.

    Args:
        history: every update of the item between two moments of rest.
        first: its version at the first of them.
        last: its version at the second.
        mark: what it held then.
    """
    writings = list(history)
    done = sorted((one for one in writings if one.status == 200), key=lambda one: one.version or 0)
    wrong = [f"answered {one.status}: {one}" for one in writings if one.status not in {200, 412}]
    if [one.version for one in done] != list(range(first + 1, last + 1)):
        wrong.append(f"versions {[one.version for one in done]} from {first} to {last}")
    if done and done[-1].mark != mark:
        wrong.append(f"the last version holds {mark}, but {done[-1].mark} was written")
    wrong += [f"named another version: {one}" for one in done if one.expected not in {None, (one.version or 0) - 1}]
    wrong += [
        f"out of order: {earlier} and {later}"
        for earlier, later in pairwise(done)
        if later.answered_at < earlier.invoked_at
    ]
    return wrong + [f"refused for no reason: {one}" for one in writings if _is_refused_for_nothing(one, done)]


def _is_refused_for_nothing(one: Writing, done: list[Writing]) -> bool:
    """Return whether a refused update named the version that was the current one all the while."""
    if one.status != 412:
        return False
    nexts = [other for other in done if other.version == (one.expected or 0) + 1]
    return one.expected is None or all(other.invoked_at > one.answered_at for other in nexts)
