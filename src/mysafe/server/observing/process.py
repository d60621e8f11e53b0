# SPDX-License-Identifier: Apache-2.0
"""What the system says about this process. Where it says nothing (other than Linux), a figure is None."""

import os
import resource
import time
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc/self")
_START_FIELD = 19
"""Where /proc/self/stat has the start, counted from the field after the name."""


class ProcessFigures(NamedTuple):
    """CPU seconds, bytes of memory, open and possible file descriptors, and the Unix time of the start."""

    cpu_seconds: float
    resident_bytes: int | None
    open_files: int | None
    most_files: int
    started_at: int | None


def process_figures() -> ProcessFigures:
    """Return how much of the machine this process uses now."""
    return ProcessFigures(
        time.process_time(),
        _resident_bytes(),
        _open_files(),
        resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        _started_at(),
    )


def _resident_bytes() -> int | None:
    try:
        pages = int((_PROC / "statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _open_files() -> int | None:
    try:
        return len(os.listdir(_PROC / "fd")) - 1  # one is that of the directory
    except OSError:
        return None


def _started_at() -> int | None:
    try:
        after_name = (_PROC / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        since_boot = int(after_name[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
        return round(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot)
    except (OSError, ValueError, IndexError, AttributeError):
        return None
