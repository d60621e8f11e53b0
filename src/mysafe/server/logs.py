# SPDX-License-Identifier: Apache-2.0
"""The server's own log: one JSON object a line on standard error (R-LOG-03). It never gets a secret to print."""

import json
import logging
import sys
from datetime import UTC, datetime

_ABOUT_A_REQUEST = ("Invalid HTTP request", "Unsupported upgrade request", "No supported WebSocket library")

EXTRAS = ("request_id", "frames")

FACTS = "facts"
"""The extra of a record whose names and values become fields of the line."""


class JsonLines(logging.Formatter):
    """Format a record as one line of JSON. Control characters come out escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in EXTRAS if hasattr(record, name)}
        line |= getattr(record, FACTS, {})
        return json.dumps(line)


def is_worth_a_line(record: logging.LogRecord) -> bool:
    """Return False for what any stranger could fill the log with: uvicorn's complaints about single requests."""
    return not (record.name == "uvicorn.error" and str(record.msg).startswith(_ABOUT_A_REQUEST))


def log_to_stderr() -> None:
    """Send everything from INFO up to standard error. Traceback texts are left out on purpose."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(is_worth_a_line)
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
