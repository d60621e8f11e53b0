# SPDX-License-Identifier: Apache-2.0
"""Keep what a process has in its memory there: every one that may hold keys calls this first."""

import ctypes
import resource
import sys

PR_SET_DUMPABLE = 4
"""Option of prctl(2)."""


def harden() -> None:
    """Keep secrets out of core files, and other processes of the same user out of this one's memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
