# SPDX-License-Identifier: Apache-2.0
"""Each file in deploy/ is accepted by the tool that knows its format; and each tool is seen to refuse a fault."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.deploy.files import CHECKOUT, COMPOSE, DOCKERFILE, MANIFESTS, PROXY, tool

pytestmark = pytest.mark.deploy

Command = Callable[[Path], list[str]]

OLDEST_KUBERNETES, NEWEST_KUBERNETES = "1.30.0", "1.34.0"


class Check(NamedTuple):
    """A tool that judges a file; `good` becomes `bad` for the control."""

    file: Path
    command: Command
    good: str
    bad: str


def _kubernetes(version: str) -> Command:
    return lambda file: [tool("kubernetes-validate"), "--strict", "--kubernetes-version", version, str(file)]


CHECKS = [
    Check(DOCKERFILE, lambda file: [tool("hadolint"), str(file)], "COPY src ./src", "RUN cd src"),
    Check(
        COMPOSE,
        lambda file: [tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(file)],
        "cap_drop: [ALL]",
        "cap_dropped: [ALL]",
    ),
    Check(PROXY, lambda file: ["haproxy", "-c", "-f", str(file)], "timeout connect 2s", "timeout connection 2s"),
    *(
        Check(path, _kubernetes(version), "metadata:", "metadatas:")
        for path in MANIFESTS
        if path.name not in {"kustomization.yaml", "deployment.yaml"}
        for version in (OLDEST_KUBERNETES, NEWEST_KUBERNETES)
    ),
    Check(
        next(path for path in MANIFESTS if path.name == "deployment.yaml"),
        _kubernetes(OLDEST_KUBERNETES),
        "readOnlyRootFilesystem",
        "readOnlyRoot",
    ),
]

BY_FILE = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.file.name)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """What HAProxy wants to read before it says that its file is good."""
    key, both = tmp_path / "key.pem", tmp_path / "both.pem"
    what = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost"]
    command = ["openssl", "req", "-x509", *what, "-keyout", str(key), "-out", str(both)]
    subprocess.run(command, check=True, capture_output=True)
    both.write_text(both.read_text() + key.read_text())
    return both


def judge(check: Check, text: str, directory: Path, certificate: Path) -> str:
    """Return what a tool finds wrong with a text; nothing if it finds nothing. A warning is wrong, too."""
    file = directory / check.file.name
    file.write_text(text, encoding="utf-8")
    nodes = {"NODE_1": "127.0.0.1:1", "NODE_2": "127.0.0.1:2"}
    environ = {**os.environ, **nodes, "TLS_FILE": str(certificate)}
    done = subprocess.run(check.command(file), env=environ, capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    return (said or "nothing was said") if done.returncode or "WARN" in said else ""


@BY_FILE
def test_the_tool_of_its_format_accepts_the_file(check: Check, tmp_path: Path, certificate: Path) -> None:
    assert judge(check, check.file.read_text(encoding="utf-8"), tmp_path, certificate) == ""


@BY_FILE
def test_control_the_tool_refuses_a_fault(check: Check, tmp_path: Path, certificate: Path) -> None:
    text = check.file.read_text(encoding="utf-8")
    assert check.good in text
    assert judge(check, text.replace(check.good, check.bad, 1), tmp_path, certificate)


def test_control_a_kind_that_the_schemas_do_not_know_is_not_taken_for_good(tmp_path: Path, certificate: Path) -> None:
    check = next(check for check in CHECKS if check.file.name == "service.yaml")
    text = check.file.read_text(encoding="utf-8").replace("kind: Service", "kind: Servant")
    assert "WARN" in judge(check, text, tmp_path, certificate)


def test_what_the_documentation_adds_for_client_certificates_is_understood(tmp_path: Path, certificate: Path) -> None:
    page = (CHECKOUT / "docs/operate/deploy.md").read_text(encoding="utf-8")
    added = [line for line in page.splitlines() if line.startswith("http-request ")]
    assert len(added) == 2
    check = next(check for check in CHECKS if check.file == PROXY)
    text = PROXY.read_text(encoding="utf-8")
    assert text.count(added[0]) == 1
    text = text.replace(added[0], "\n".join(added))
    assert judge(check, text, tmp_path, certificate) == ""
    assert judge(check, text.replace("ssl_c_der", "ssl_c_dir"), tmp_path, certificate)
