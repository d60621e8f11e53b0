# SPDX-License-Identifier: Apache-2.0
"""Run a command beside a PostgreSQL cluster of its own, in a temporary directory that is removed afterwards.

python tools/private_postgres.py COMMAND …    the command finds the cluster's address in TEST_DATABASE

It lies in memory where there is enough: whether the server waits for its disk is a setting, which is as the product
wants it, but the wait itself tests nothing. `python tools/private_postgres.py --on-disk COMMAND …` lets it wait.

The server is the newest of Debian's packages; as root they are installed if they are missing. PostgreSQL refuses to
run as root: then it runs as the user `postgres`.
"""

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "TEST_DATABASE"
GOES = "TEST_DATABASE_GOES"
"""Set where the cluster is removed afterwards, so that nobody needs to tidy it up."""

MEMORY = Path("/dev/shm")  # noqa: S108  # names and modes are those of a temporary directory
ENOUGH_BYTES = 8 << 30
ROOTS = (Path("/usr/lib/postgresql"), Path("/usr/local/lib/postgresql"))
UNPRIVILEGED = "postgres"
READY_SECONDS = 60.0

# Durable as the product asks for, otherwise small: it lives for some minutes, beside the tests, on two cores.
SETTINGS = {
    "max_connections": "120",
    "shared_buffers": "64MB",
    "autovacuum_naptime": "10s",
    "max_wal_size": "4GB",
    "max_pred_locks_per_transaction": "256",
    "log_min_messages": "fatal",
    "log_destination": "stderr",
}


class Cluster:
    """A PostgreSQL server that belongs to this program: a new cluster, or with `of` a standby of a running one."""

    def __init__(
        self, directory: Path, *, of: "Cluster | None" = None, port: int = 0, settings: Mapping[str, str] | None = None
    ) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.port = port or _free_port()
        self._settings = settings or {}
        self._bin = find_binaries()
        self._process: subprocess.Popen[bytes] | None = None
        self._prefix: list[str] = []
        if os.geteuid() == 0:
            user = pwd.getpwnam(UNPRIVILEGED)
            os.chown(directory, user.pw_uid, user.pw_gid)
            ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
            self._prefix = ["setpriv", *ids, "--"]
        if of is None:
            kind = ["--username=mysafe", "--auth=trust", "--encoding=UTF8", "--no-sync"]
            self._run("initdb", "--pgdata", str(self.data), *kind)
        else:
            copy = ["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", of.address]
            self._run("pg_basebackup", "--pgdata", str(self.data), *copy)

    @property
    def address(self) -> str:
        """The database `postgres`, through the socket."""
        return f"postgresql://mysafe@/postgres?host={self.directory}&port={self.port}"

    @property
    def loopback_address(self) -> str:
        """The same through loopback."""
        return f"postgresql://mysafe@127.0.0.1:{self.port}/postgres"

    @property
    def version(self) -> str:
        """The major version of the server."""
        return self._bin.parent.name

    def start(self) -> None:
        """Start the server, and return when it answers."""
        options = {"port": str(self.port), "listen_addresses": "127.0.0.1", **SETTINGS, **self._settings}
        options["unix_socket_directories"] = str(self.directory)
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        command = [*self._prefix, str(self._bin / "postgres"), "-D", str(self.data), *flags]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=self.directory)
        until = time.monotonic() + READY_SECONDS
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise SystemExit("the PostgreSQL server does not start")
            time.sleep(0.02)

    def stop(self, mode: str = "fast") -> None:
        """Stop the server: `fast` breaks off what runs, `immediate` as if the power failed."""
        if self._process is not None:
            self._run("pg_ctl", "--pgdata", str(self.data), "--mode", mode, "--silent", "stop")
            self._process.wait(READY_SECONDS)
            self._process = None

    def kill(self) -> None:
        """End the server at once, and what it was doing with it: nothing is written any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(READY_SECONDS)
            self._process = None

    def promote(self) -> None:
        """Make a standby the primary, and return when it is."""
        self._run("pg_ctl", "--pgdata", str(self.data), "--wait", "--silent", "promote")

    def restart(self, mode: str) -> None:
        """Stop as said, and start again."""
        self.stop(mode)
        self.start()

    def _is_ready(self) -> bool:
        """Return what the server says in its own file: to ask it would leave complaints in its log until it is."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self._process and self._process.pid) and lines[7].strip() == "ready"

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._prefix, str(self._bin / program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.directory)


def find_binaries() -> Path:
    """Return the directory of the newest server's programs, after an installation if need be. Raises SystemExit."""
    found = _newest()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        command = ["apt-get", "install", "--yes", "--no-install-recommends", "postgresql"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environ)
        found = _newest()
    if found is None:
        raise SystemExit("a PostgreSQL server is needed; on Debian: apt install postgresql")
    return found


def _newest() -> Path | None:
    found = [path.parent for root in ROOTS for path in root.glob("*/bin/postgres")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _has_room(place: Path) -> bool:
    try:
        seen = os.statvfs(place)
    except OSError:
        return False
    return os.access(place, os.W_OK) and seen.f_bavail * seen.f_frsize >= ENOUGH_BYTES


@contextmanager
def private_cluster(settings: Mapping[str, str] | None = None, *, is_on_disk: bool = False) -> Iterator[Cluster]:
    """A running cluster. Its directory is short, because the path of a socket may not be long."""
    place = "/tmp" if is_on_disk or not _has_room(MEMORY) else str(MEMORY)  # noqa: S108
    with tempfile.TemporaryDirectory(prefix="pg.", dir=place) as directory:  # of this name and mode 0700
        cluster = Cluster(Path(directory), settings=settings)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop("immediate")


def main(command: list[str]) -> int:
    is_on_disk = command[:1] == ["--on-disk"]
    with private_cluster(is_on_disk=is_on_disk) as cluster:
        environ = {**os.environ, VARIABLE: cluster.address, GOES: "yes"}
        return subprocess.run(command[is_on_disk:], check=False, env=environ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
