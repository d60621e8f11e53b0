# SPDX-License-Identifier: Apache-2.0
"""The Dockerfile: what it promises, and its steps done in a scratch directory, since not every machine can build it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.files import CHECKOUT, DOCKERFILE, instructions, unknown_settings
from tests.support.process import free_port

STEPS = list(instructions(DOCKERFILE.read_text(encoding="utf-8")))
IGNORED = (CHECKOUT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def only(word: str) -> str:
    (found,) = [rest for name, rest in STEPS if name == word]
    return found


def health_check() -> list[str]:
    """Return the command of HEALTHCHECK."""
    command: list[str] = json.loads(only("HEALTHCHECK").partition("CMD ")[2])
    return command


def test_the_image_is_not_root_and_ends_by_the_signal_that_the_server_takes() -> None:
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", only("USER"))
    assert only("STOPSIGNAL") == "SIGTERM"
    assert (json.loads(only("ENTRYPOINT")), json.loads(only("CMD"))) == (["/opt/mysafe/bin/mysafe"], ["serve"])


def test_every_package_of_the_image_is_checked_by_its_hash_or_is_ours() -> None:
    installs = [part for word, rest in STEPS if word == "RUN" for part in rest.split("&&") if "pip install" in part]
    assert len(installs) == 2
    for part in installs:
        assert "--no-deps" in part
        assert "--require-hashes" in part or "--no-index" in part


def test_both_stages_begin_with_an_image_of_a_version() -> None:
    assert [rest.split()[0] for word, rest in STEPS if word == "FROM"] == ["${PYTHON_IMAGE}"] * 2
    assert re.fullmatch(r"PYTHON_IMAGE=python:\d\.\d+-slim-\w+", only("ARG"))


def test_no_setting_of_the_image_is_unknown_or_a_secret() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert unknown_settings(text) == set()
    assert set(re.findall(r"MYSAFE_\w+", only_environment())) == {"MYSAFE_DATA"}


def only_environment() -> str:
    return " ".join(rest for word, rest in STEPS if word == "ENV")


def test_the_builder_sees_nothing_but_what_is_copied() -> None:
    assert "*" in IGNORED
    copied = {name for sources in _copied() for name in sources}
    assert copied == {line[1:] for line in IGNORED if line.startswith("!")}


def _copied() -> Iterator[list[str]]:
    for word, rest in STEPS:
        if word == "COPY" and not rest.startswith("--from"):
            yield [name.removeprefix("./") for name in rest.split()[:-1]]


# -- its steps --------------------------------------------------------------------------------------------------------


class Image:
    """What the first stage makes, below another root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "build"
        self.work.mkdir()
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MYSAFE"))}
        self.environ["PATH"] = f"{Path(sys.executable).parent}:{self.environ['PATH']}"
        for word, rest in STEPS[: [index for index, (word, _) in enumerate(STEPS) if word == "FROM"][1]]:
            if word == "RUN":
                self.run(self.moved(rest))
            elif word == "COPY":
                self._copy(rest.split()[:-1])

    def moved(self, command: str) -> str:
        """Return a command with this root before its directories, and this user as the owner."""
        owner = command.replace("-o 10001 -g 10001", f"-o {os.getuid()} -g {os.getgid()}")
        return re.sub(r"(?<![\w.])/(opt/mysafe|build)\b", rf"{self.root}/\1", owner)

    def run(self, command: str) -> None:
        shell = ["/bin/sh", "-ec", command]
        done = subprocess.run(shell, cwd=self.work, env=self.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def _copy(self, names: list[str]) -> None:
        left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for name in names:
            if (CHECKOUT / name).is_dir():
                shutil.copytree(CHECKOUT / name, self.work / name, ignore=left_out)
            else:
                shutil.copy(CHECKOUT / name, self.work / name)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return Image(tmp_path_factory.mktemp("image"))


@pytest.mark.deploy
@pytest.mark.timeout(400)
def test_the_image_has_what_a_node_needs_and_no_tool_to_install_more(image: Image) -> None:
    python = f"{image.root}/opt/mysafe/bin/python"
    image.run(f"{python} -c 'import psycopg, botocore, mysafe.app'")
    image.run(f"! {python} -c 'import pip' && ! {python} -c 'import setuptools'")
    made = {path.relative_to(image.work / "state").as_posix() for path in (image.work / "state").rglob("*")}
    assert made == {"data", "node", "node/blobs"}


@pytest.mark.deploy
@pytest.mark.timeout(400)
def test_the_health_check_says_whether_the_image_serves(image: Image, tmp_path: Path) -> None:
    check = [image.moved(word) for word in health_check()]
    program = image.moved(json.loads(only("ENTRYPOINT"))[0])
    environ = {**image.environ, "MYSAFE_DATA": str(tmp_path / "data"), "MYSAFE_PORT": str(free_port())}

    def is_healthy() -> bool:
        return subprocess.run(check, env=environ, capture_output=True, timeout=30, check=False).returncode == 0

    subprocess.run([program, "init"], env=environ, check=True, capture_output=True, timeout=60)
    assert not is_healthy(), "control: nothing serves yet"
    with subprocess.Popen([program, *json.loads(only("CMD"))], env=environ, stderr=subprocess.DEVNULL) as served:
        until = time.monotonic() + 60
        while not is_healthy():
            assert time.monotonic() < until, "it does not serve"
        subprocess.run([program, "seal"], env=environ, check=True, capture_output=True, timeout=60)
        assert not is_healthy(), "control: a sealed vault is not ready"
        served.send_signal(signal.SIGTERM)
        assert served.wait(timeout=60) == 0
