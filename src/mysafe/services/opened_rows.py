# SPDX-License-Identifier: Apache-2.0
"""Remember what sealed rows opened to, for as long as the very same rows come back (docs/decisions/0005)."""


class OpenedRows:
    """What rows opened to, by table or kind and by id. Safe to use from several threads at once.

    A row is read from the database every time; only the decryption of identical bytes is spared. So a change by
    another process is seen at once, and altered bytes are opened, and fail. Bounded: it forgets everything when
    `capacity` is reached.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._opened: dict[tuple[str, int], tuple[tuple[object, ...], object]] = {}

    def get(self, kind: str, row_id: int, row: tuple[object, ...]) -> object | None:
        """Return what `row` opened to before, or None if it is new or differs in any column."""
        known = self._opened.get((kind, row_id))
        return known[1] if known is not None and known[0] == row else None

    def put(self, kind: str, row_id: int, row: tuple[object, ...], value: object) -> None:
        """Remember `value` for `row`."""
        if len(self._opened) >= self._capacity:
            self._opened = {}
        self._opened[kind, row_id] = (row, value)
