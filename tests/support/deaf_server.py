# SPDX-License-Identifier: Apache-2.0
"""The product, but it hangs up on nobody when it ends: the negative control of the test of ending."""

import os
import sys

from mysafe import app
from mysafe.config import load_settings
from mysafe.server import ending
from mysafe.server.ending import EndingServer


def main() -> int:
    ending.CLEARING_SECONDS = 0
    EndingServer._hang_up = lambda self: None  # type: ignore[method-assign]  # this is the fault
    return app.serve(load_settings({"port": int(sys.argv[2])}, os.environ, None))


if __name__ == "__main__":
    raise SystemExit(main())
