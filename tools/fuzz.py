# SPDX-License-Identifier: Apache-2.0
"""Play generated requests against a server and hold its answers against the description it gives of itself.

python tools/fuzz.py [SECONDS]      a vault of its own, new requests each time, 120 seconds without an argument
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from bench_servers import Installation

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "use_after_free",
    "ensure_resource_availability",
)

OFF = {
    "negative_data_rejection": "a number is taken as its text, null as left out, unknown fields are ignored",
    "positive_data_acceptance": "what does not exist, may not be read or is taken is answered 400, and 412 by If-Match",
    "missing_required_header": "the token endpoint looks for the grant before it looks for credentials: 400, not 401",
    "unsupported_method": "a wrong method is 404, as an unknown path is",
    "allow_header_conformance": "there is no 405, so there is no Allow header",
    "object_level_authorization": "it needs a second account; tests/contract/api/test_access.py has them",
}
"""What the tool could look at and must not: the documented API says otherwise."""


class Run(NamedTuple):
    """How a run ended: whether nothing was found, and what the tool printed."""

    is_clean: bool
    report: str


def fuzz(
    url: str, token: str, *, seconds: int = 60, examples: int = 5, is_repeatable: bool = True, only: str = ""
) -> Run:
    """Run the tool against a server.

    Args:
        url: of the server; it describes itself at /api/openapi.json.
        token: an access token.
        seconds: for how long to go on with new requests; a repeatable run makes its requests once.
        examples: requests for each operation and phase.
        is_repeatable: whether the same requests are made each time.
        only: the one operation to call, by its id; without it, all of them, and one after another by their links.
    """
    with tempfile.TemporaryDirectory() as directory:  # the tool leaves files where it runs
        command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/api/openapi.json"]
        command += ["--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS), "--no-color"]
        command += ["--continue-on-failure", "--warnings", "off", "--max-examples", str(examples)]
        if only:
            command += ["--include-operation-id", only, "--phases", "examples,coverage,fuzzing"]
        command += ["--generation-deterministic"] if is_repeatable else ["--max-time", str(seconds)]
        done = subprocess.run(
            command, cwd=directory, capture_output=True, text=True, check=False, timeout=seconds + 240
        )
    return Run(done.returncode == 0, done.stdout + done.stderr)


def main() -> int:
    """Make a vault, serve it and run the tool; the exit status says whether anything was found."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 120
    os.environ |= {"MYSAFE_TOKEN_FAILURES_PER_MINUTE": "100000", "MYSAFE_TOKEN_FAILURES_PER_ADDRESS": "100000"}
    with tempfile.TemporaryDirectory() as directory:
        vault = Installation(Path(directory))
        for user in ("fuzz", "pduarte"):
            vault.command("user", "add", user)
        vault.command("group", "add", "Test group", "--member", "pduarte")
        vault.server.start()
        try:
            url = f"http://127.0.0.1:{vault.server.port}"
            run = fuzz(url, vault.token("fuzz"), seconds=seconds, examples=100, is_repeatable=False)
        finally:
            vault.server.stop()
    print(run.report)
    return 0 if run.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
