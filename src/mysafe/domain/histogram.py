# SPDX-License-Identifier: Apache-2.0
"""How often values fell between fixed bounds: what is counted while a server works, for those who watch it."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence


class Histogram:
    """Count values. One thread adds; any other may read meanwhile, and may see a count before its sum.

    `counts` has one number more than `bounds`, which ascend: values up to the first bound, up to the next, …, above
    the last.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    @classmethod
    def sum_of(cls, bounds: Sequence[float], parts: "Iterable[Histogram]") -> "Histogram":
        """Return what several histograms with the same bounds counted together."""
        whole = cls(bounds)
        for part in parts:
            whole.counts = [one + other for one, other in zip(whole.counts, part.counts, strict=True)]
            whole.total += part.total
        return whole
