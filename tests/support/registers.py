# SPDX-License-Identifier: Apache-2.0
"""Items as registers: each has one writer, who counts up, and any number of readers. The checker judges the history."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

DONE, REFUSED, UNKNOWN = "done", "refused", "unknown"
"""How a call ended. An unknown write may have happened or not; its writer writes this item no more."""


class Step(NamedTuple):
    """One call: the item, the number it wrote or read, nanoseconds of the monotonic clock around it, and its end."""

    item: str
    value: int
    invoked_at: int
    answered_at: int
    is_write: bool
    end: str = DONE


def complaints(history: Iterable[Step]) -> list[str]:
    """Return what is wrong: a read that shows what was replaced before it began, or what was never written."""
    by_item: dict[str, list[Step]] = {}
    for step in history:
        by_item.setdefault(step.item, []).append(step)
    return [wrong for steps in by_item.values() for wrong in _complaints_about(steps)]


def _complaints_about(steps: list[Step]) -> list[str]:
    writes = [step for step in steps if step.is_write]
    reads = sorted((step for step in steps if not step.is_write and step.end == DONE), key=lambda one: one.answered_at)
    wrong = []
    for read in reads:
        known = [one.value for one in writes if one.end == DONE and one.answered_at < read.invoked_at]
        possible = {one.value for one in writes if one.end != REFUSED and one.invoked_at < read.answered_at}
        if read.value < max(known, default=0):
            wrong.append(f"stale: {read} after {max(known)} was acknowledged")
        if read.value not in possible:
            wrong.append(f"never written: {read}")
    wrong += [
        f"back in time: {earlier} and {later}"
        for earlier, later in pairwise(reads)
        if later.invoked_at > earlier.answered_at and later.value < earlier.value
    ]
    return wrong
