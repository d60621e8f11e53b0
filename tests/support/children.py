# SPDX-License-Identifier: Apache-2.0
"""The processes that a process made, as Linux tells it."""

import os
from pathlib import Path


def children_of(pid: int) -> set[int]:
    """Return the children of a process; empty if there is none."""
    try:
        return {int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()}
    except FileNotFoundError:
        return set()


def is_alive(pid: int) -> bool:
    """Return whether a process is there and not over."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def end_all(pids: set[int]) -> None:
    """Kill the processes that are still there."""
    for pid in pids:
        if is_alive(pid):
            os.kill(pid, 9)
