# SPDX-License-Identifier: Apache-2.0
"""The golden files here are whole, and the same as those they were copied from where those lie beside the checkout."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.golden import GOLDEN

ORIGINAL = Path(__file__).parents[3] / "shared" / "contract" / "golden"


def test_the_copy_is_complete_and_agrees_with_its_original() -> None:
    assert _gaps(GOLDEN) == []
    if ORIGINAL.is_dir():
        assert _drift(GOLDEN, ORIGINAL) == []


@pytest.mark.parametrize("name", ["password.create.response.json", "password.create.request.json"])
def test_a_missing_file_is_noticed(name: str, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(GOLDEN, tmp_path / "golden"))
    (copy / name).unlink()
    assert _gaps(copy) == [f"{name} is named in the manifest and missing"]
    assert _drift(copy, GOLDEN) == [f"{name} is missing here"]


def test_a_changed_byte_and_a_file_too_many_are_noticed(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(GOLDEN, tmp_path / "golden"))
    changed = copy / "password.list.response.json"
    changed.write_bytes(changed.read_bytes() + b" ")
    (copy / "password.extra.json").write_bytes(b"{}")
    assert _gaps(copy) == ["password.extra.json is not named in the manifest"]
    assert _drift(copy, GOLDEN) == ["password.extra.json is only here", "password.list.response.json differs"]


def _gaps(folder: Path) -> list[str]:
    """Compare the files of a folder with its own manifest."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    named = {case[field] for case in manifest["cases"] for field in ("request", "response")}
    named |= {item.get("body_file") for item in manifest["fixtures"]["items"].values()}
    named.discard(None)
    assert len(named) > 50, "the manifest names hardly any file"
    present = {path.name for path in folder.glob("*.json")} - {"manifest.json"}
    missing = [f"{name} is named in the manifest and missing" for name in sorted(named - present)]
    return missing + [f"{name} is not named in the manifest" for name in sorted(present - named)]


def _drift(copy: Path, original: Path) -> list[str]:
    """Compare two folders of golden files byte for byte."""
    here, there = ({path.name: path.read_bytes() for path in folder.glob("*.json")} for folder in (copy, original))
    assert there, "there is nothing to compare with"
    return [
        _word(name, here, there) for name in sorted(here.keys() | there.keys()) if here.get(name) != there.get(name)
    ]


def _word(name: str, here: dict[str, bytes], there: dict[str, bytes]) -> str:
    if name not in there:
        return f"{name} is only here"
    return f"{name} differs" if name in here else f"{name} is missing here"
