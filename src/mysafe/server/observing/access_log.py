# SPDX-License-Identifier: Apache-2.0
"""The access log: a line for each request that is over, in the server's own log.

It says which route, never which path, query, header or body: a secret may stand in any of them (R-LOG-02, R-TOK-02).
"""

import logging

from mysafe.server.observing.seen import Seen

_access = logging.getLogger("mysafe.access")


def write(seen: Seen) -> None:
    """Write the line of a request. It is a watcher."""
    actor = seen.actor
    facts = {
        "request_id": seen.request_id,
        "method": seen.method,
        "route": seen.path or "other",
        "status": seen.status,
        "ms": round((seen.ended - seen.began) / 1e6, 3),
        "bytes": seen.body_bytes,
        "user": actor.user_id if actor is not None else 0,
        "key": actor.access_key_id if actor is not None else 0,
        "address": seen.address,
    }
    _access.info("request", extra={"facts": facts})
