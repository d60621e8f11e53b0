# SPDX-License-Identifier: Apache-2.0
"""A process that leads until it is ended. Its first line of input says how the database is reached.

python -m tests.support.leader --for-ever        its session never ends by itself: the fault a test must find
"""

import sys
import threading

from mysafe.storage.postgres import leadership
from mysafe.storage.postgres.leadership import LeadershipByLock
from mysafe.storage.statements import Statement


def main() -> None:
    if "--for-ever" in sys.argv:
        leadership._PREPARE = Statement("SELECT 1")
    mine = LeadershipByLock(sys.stdin.readline().strip())
    while not mine.is_held():
        threading.Event().wait(0.01)
    print("leads", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
