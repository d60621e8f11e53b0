# SPDX-License-Identifier: Apache-2.0
"""The product, but its open files may be looked at; for T-FILE. Never part of the product.

With SPOOL=named or SPOOL=nameless it is the negative control: it spools contents to a temporary file with or without
a name, as the form parser of many a framework does. With ONE_AT_A_TIME=yes it is another one: whoever comes while a
request is answered has to wait.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import IO, Any

from mysafe import app, hardening
from mysafe.config import load_settings
from mysafe.server.api.endpoint import Api
from mysafe.services.files.shelf import Filling


def spool_to(file: IO[bytes]) -> None:
    """Write every content to a file on its way."""
    real_seal = Filling.seal

    def spooling_seal(self: Filling, pieces: Sequence[bytes | memoryview]) -> memoryview:
        for piece in pieces:
            file.write(piece)
        return real_seal(self, pieces)

    Filling.seal = spooling_seal  # type: ignore[method-assign]  # this is the fault


def answer_one_at_a_time() -> None:
    """Let every request wait for the end of the one before."""
    real_call, turn = Api.__call__, asyncio.Lock()

    async def call(self: Api, scope: Any, *channels: Any) -> None:
        if scope["type"] == "lifespan":  # it lasts as long as the server
            return await real_call(self, scope, *channels)
        async with turn:
            return await real_call(self, scope, *channels)

    Api.__call__ = call  # type: ignore[method-assign, assignment]  # this is the fault


def main() -> int:
    settings = load_settings({"port": int(sys.argv[2])}, os.environ, None)
    hardening.harden = lambda: None  # or nobody but root could look
    if os.environ.get("ONE_AT_A_TIME"):
        answer_one_at_a_time()
    with tempfile.TemporaryFile(buffering=0) as nameless, tempfile.NamedTemporaryFile(buffering=0) as named:
        spools = {"named": named, "nameless": nameless}
        if spool := spools.get(os.environ.get("SPOOL", "")):
            spool_to(spool)
        return app.serve(settings)


if __name__ == "__main__":
    raise SystemExit(main())
