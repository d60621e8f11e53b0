# SPDX-License-Identifier: Apache-2.0
"""Imports go where the contracts in pyproject.toml and the table of third parties let them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture import third_parties
from tests.architecture.house import CHECKOUT

CONTRACT_LINE = re.compile(r"^(.+) (KEPT|BROKEN)$", re.MULTILINE)

VIOLATIONS = {
    "mysafe/domain/ids.py": "import mysafe.storage\nimport mysafe.domain.errors\n",
    "mysafe/domain/errors.py": "import mysafe.domain.ids\n",
    "mysafe/server/__init__.py": "import mysafe.storage\n",
    "mysafe/services/items.py": "import mysafe.crypto.keyring\nimport mysafe.protocol\n",
}
"""Lines that together break every contract."""


def test_every_import_contract_is_kept() -> None:
    outcome = _contracts(CHECKOUT / "src")
    assert outcome, "no contract was checked"
    assert set(outcome.values()) == {"KEPT"}, outcome


def test_every_import_contract_can_be_broken(tmp_path: Path) -> None:
    source = _copy_of_the_source(tmp_path)
    for path, lines in VIOLATIONS.items():
        with (source / path).open("a", encoding="utf-8") as file:
            file.write(lines)
    outcome = _contracts(source)
    assert outcome.keys() == _contracts(CHECKOUT / "src").keys()
    assert set(outcome.values()) == {"BROKEN"}, outcome


def test_a_room_that_is_not_listed_breaks_the_layers(tmp_path: Path) -> None:
    (layers,) = (name for name in _contracts(CHECKOUT / "src") if name.startswith("Layers"))
    source = _copy_of_the_source(tmp_path)
    assert _contracts(source)[layers] == "KEPT"
    (source / "mysafe/annexe").mkdir()
    (source / "mysafe/annexe/__init__.py").touch()
    assert _contracts(source)[layers] == "BROKEN"


def test_third_parties_stay_home() -> None:
    verdict = third_parties.third_parties_stay_home(CHECKOUT)
    assert {where.rpartition(" ")[2] for where in verdict.found} >= {"apsw", "cryptography", "msgspec", "uvicorn"}
    assert verdict.wrong == []


@pytest.mark.parametrize("line", ["import sqlalchemy.orm", "from requests import get", "import msgspec"])
def test_a_third_party_away_from_home_is_caught(line: str, tmp_path: Path) -> None:
    _plant(tmp_path, "src/mysafe/services/items.py", line)
    assert len(third_parties.third_parties_stay_home(tmp_path).wrong) == 1


def test_the_pure_rooms_use_python_alone() -> None:
    verdict = third_parties.pure_rooms_are_pure(CHECKOUT)
    for room in third_parties.PURE_ROOMS:
        assert any(path.startswith(f"src/mysafe/{room}/") for path in verdict.found), room
    assert verdict.wrong == []


def test_a_package_in_a_pure_room_is_caught(tmp_path: Path) -> None:
    _plant(tmp_path, "src/mysafe/authz/decide.py", "def decide():\n    import msgspec\n")
    assert third_parties.pure_rooms_are_pure(tmp_path).wrong == ["src/mysafe/authz/decide.py:2 msgspec"]


def _contracts(source: Path) -> dict[str, str]:
    """Run import-linter on the package under `source` and return the state of each contract by its name."""
    program = (
        "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(sys.argv[1], no_cache=True))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program, str(CHECKOUT / "pyproject.toml")],
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(source), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    outcome = dict(CONTRACT_LINE.findall(finished.stdout))
    assert outcome, finished.stdout + finished.stderr
    assert (finished.returncode == 0) == (set(outcome.values()) == {"KEPT"}), finished.stdout
    return outcome


def _copy_of_the_source(folder: Path) -> Path:
    return Path(shutil.copytree(CHECKOUT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__")))


def _plant(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")
