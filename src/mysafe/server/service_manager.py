# SPDX-License-Identifier: Apache-2.0
"""Tell the service manager that started this process how it is doing, as systemd understands it (sd_notify(3))."""

import logging
import os
import socket

READY, STOPPING = "READY=1", "STOPPING=1"

_log = logging.getLogger("mysafe.server")


def tell(state: str) -> None:
    """Send a state to the socket that NOTIFY_SOCKET names; without one, do nothing. A failure is logged."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    path = "\0" + address[1:] if address.startswith("@") else address  # of Linux's abstract names
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end:
            end.connect(path)
            end.sendall(state.encode("ascii"))
    except OSError as error:
        _log.warning("the service manager was not told %s: %s", state, error.strerror)
