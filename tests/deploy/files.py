# SPDX-License-Identifier: Apache-2.0
"""Read what is in deploy/, so that tests are about those files and not about copies of them."""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from mysafe.config import Settings
from mysafe.config.settings import variable

CHECKOUT = Path(__file__).parents[2]
DEPLOY = CHECKOUT / "deploy"
DOCKERFILE = DEPLOY / "docker/Dockerfile"
COMPOSE = DEPLOY / "compose/compose.yaml"
PROXY = DEPLOY / "haproxy/haproxy.cfg"
MANIFESTS = tuple(sorted((DEPLOY / "kubernetes").rglob("*.yaml")))
UNITS = tuple(sorted((DEPLOY / "systemd").iterdir()))

VARIABLES = frozenset(variable(field.name) for field in fields(Settings))
"""The variables of all settings."""

NAMED = re.compile(r"\bMYSAFE_[A-Z0-9_]+\b")


def tool(name: str) -> str:
    """Return the path of a program that was installed beside this Python."""
    return str(Path(sys.executable).parent / name)


def compose() -> dict[str, Any]:
    """Return the compose file, anchors and merges resolved."""
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return found


def manifests() -> list[dict[str, Any]]:
    """Return every object of the Kubernetes manifests."""
    found = [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    return [one for one in found if one["kind"] != "Kustomization"]


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield each instruction of a Dockerfile and what follows it, lines that go on joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.partition(" ")
        yield word, " ".join(rest.split())


def unit(path: Path) -> dict[str, list[str]]:
    """Return the values of each key of a unit of systemd, in their order, sections put together."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def unknown_settings(text: str) -> set[str]:
    """Return the variables of ours that a text names and that are no settings."""
    return set(NAMED.findall(text)) - VARIABLES - {"MYSAFE_CONFIG"}


def seconds_to_end(settings: Mapping[str, str]) -> int:
    """Return how long a server with these variables may take to end, after the signal."""
    return int(settings["MYSAFE_DRAIN_SECONDS"]) + int(settings["MYSAFE_SHUTDOWN_SECONDS"]) + 5
