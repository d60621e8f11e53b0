# SPDX-License-Identifier: Apache-2.0
"""The negative control of the leak tests: the product, but it tells what it was sent. Never part of the product."""

import logging
import os
import sys
import tempfile
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw

from mysafe import app
from mysafe.config import load_settings
from mysafe.protocol import envelope
from mysafe.protocol.body import parse_body
from mysafe.server.api import call

_last = {"body": b""}


def main() -> int:
    settings = load_settings({"port": int(sys.argv[2])}, os.environ, None)
    parse, failure = parse_body, envelope.failure

    def talkative_parse(body: bytes, content_type: str | None) -> dict[str, object]:
        _last["body"] = body
        logging.getLogger("mysafe.server").warning("got %r", body)
        with (Path(tempfile.gettempdir()) / "leak").open("ab") as leak:
            leak.write(b64encode(body))
        with closing(apsw.Connection(str(settings.data / "leak.db"))) as connection:
            list(connection.execute("CREATE TABLE IF NOT EXISTS leak (body)"))
            list(connection.execute("INSERT INTO leak VALUES (?)", (body.hex(),)))
        return parse(body, content_type)

    def talkative_failure(*arguments: Any, **options: Any) -> bytes:
        return failure(*arguments, **options) + _last["body"]

    vars(call)["parse_body"] = talkative_parse
    envelope.failure = talkative_failure
    return app.serve(settings)


if __name__ == "__main__":
    raise SystemExit(main())
