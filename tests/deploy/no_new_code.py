# SPDX-License-Identifier: Apache-2.0
"""Run Python with these arguments in a process whose memory cannot become code, as MemoryDenyWriteExecute does it."""

import ctypes
import os
import sys

PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
"""Of prctl(2), since Linux 6.3. It is inherited by what is executed."""

if __name__ == "__main__":
    if ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        raise SystemExit("this kernel cannot do it: Linux 6.3 is needed")
    # S606 asks for a shell, which nobody needs here.
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606
