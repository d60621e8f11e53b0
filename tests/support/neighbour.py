# SPDX-License-Identifier: Apache-2.0
"""A second server on the vault of a running one: an engine, caches and a port of its own, the same database file."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mysafe import app, opening
from tests.support.server import RunningServer


@contextmanager
def neighbour(server: RunningServer) -> Iterator[str]:
    """Serve the same vault once more and yield the address."""
    vault = opening.open_vault(server.settings)
    web = app.web_server(app.asgi_app(vault, server.settings), server.settings)
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    try:
        while not web.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}"
    finally:
        web.should_exit = True
        thread.join(timeout=20)
        vault.close()
