# SPDX-License-Identifier: Apache-2.0
"""Make a demo vault once, say how to call it, and serve it (`make run`). It uses the commands an operator uses.

The vault is made beside its place and moved there when it is complete, so an interrupted run leaves nothing behind
that the next one would take for a vault. All keys and secrets are random and lie in the demo directory only.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

CHECKOUT = Path(__file__).resolve().parents[1]
MYSAFE = [sys.executable, "-m", "mysafe.cli.main"]
REQUEST = CHECKOUT / "docs/api/examples/create-password.json"
USERS = ("demo", "pduarte", "alices")
GROUP = ("group", "add", "Test group", "--member", "pduarte", "--member", "alices")
KEY = ("access-key", "add", "--owner", "demo", "--name", "Demo", "--json")

INSTRUCTIONS = """\

The demo vault is served on {url} until Ctrl-C. In another terminal, in this directory:

  TOKEN=$(curl -s -H 'Content-Type: application/json' -d @{key} {url}/api/oauth2/token \\
    | sed 's/.*"access_token": *"\\([^"]*\\)".*/\\1/')

  curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
    -d @{request} {url}/api/mysafe/password

  curl -s -H "Authorization: Bearer $TOKEN" {url}/api/mysafe/password

Users: {users}. Group: Test group. The access key acts for demo. To begin anew: rm -r {directory}
"""


def environment(directory: Path) -> dict[str, str]:
    """Return an environment in which every command means this vault, whatever is set on this machine."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MYSAFE_")}
    return {
        **kept,
        "MYSAFE_CONFIG": str(directory / "mysafe.toml"),
        "MYSAFE_DATA": str(directory / "data"),
        "MYSAFE_KEY_FILE": str(directory / "data.key"),
    }


def command(directory: Path, *arguments: str) -> str:
    """Run a command to its end and return what it printed; its own sentence says what went wrong."""
    done = subprocess.run(
        [*MYSAFE, *arguments], env=environment(directory), stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"mysafe {' '.join(arguments[:2])} failed; the next make run begins anew")
    return done.stdout


def make_vault(directory: Path) -> None:
    """Make the demo vault, or nothing."""
    print(f"making the demo vault in {shown(directory)} …", flush=True)
    unfinished = directory.with_name(f"{directory.name}.unfinished")
    if unfinished.exists():
        shutil.rmtree(unfinished)
    unfinished.mkdir(mode=0o700, parents=True)
    write_private(unfinished / "mysafe.toml", "# The demo vault uses no settings of this machine.\n")
    command(unfinished, "init")
    for user in USERS:
        command(unfinished, "user", "add", user)
    command(unfinished, *GROUP)
    key = json.loads(command(unfinished, *KEY))
    write_private(unfinished / "access-key.json", json.dumps({"grant_type": "client_credentials", **key}) + "\n")
    unfinished.rename(directory)


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def shown(path: Path) -> str:
    """Return a path as one would type it here."""
    return os.path.relpath(path)


def serve(directory: Path, port: str) -> NoReturn:
    """Say how to call the vault, and become its server."""
    text = INSTRUCTIONS.format(
        url=f"http://127.0.0.1:{port}",
        key=shown(directory / "access-key.json"),
        request=shown(REQUEST),
        users=", ".join(USERS),
        directory=shown(directory),
    )
    print(text, flush=True)
    arguments = [*MYSAFE, "serve", "--host", "127.0.0.1", "--port", port]
    os.execve(arguments[0], arguments, environment(directory))  # noqa: S606  # no shell is wanted


def main() -> NoReturn:
    """Make the vault in the directory named by the only argument, var/demo without one, and serve it."""
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else CHECKOUT / "var/demo").absolute()
    os.umask(0o077)
    try:
        if not directory.exists():
            make_vault(directory)
        serve(directory, os.environ.get("PORT", "8080"))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
