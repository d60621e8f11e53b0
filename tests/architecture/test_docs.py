# SPDX-License-Identifier: Apache-2.0
"""The check of the documentation (`make docs`) accepts what exists and names what does not."""

from pathlib import Path

import pytest

from check_docs import faults

PAGE = """# First page

[a page](docs/other.md#the-second-part), [outside](https://example.com/nothing), [here](#first-page), `make run`

```
[not](a-link.md)
make run
```
"""


def test_what_exists_is_accepted(tmp_path: Path) -> None:
    _checkout(tmp_path, PAGE)
    assert faults(tmp_path) == (4, [])


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("docs/other.md#", "docs/gone.md#"),
        ("#the-second-part", "#no-such-part"),
        ("(#first-page)", "(#last-page)"),
        ("`make run`", "`make haste`"),
        ("\nmake run", "\n$ make haste"),
    ],
)
def test_what_does_not_exist_is_named(good: str, bad: str, tmp_path: Path) -> None:
    _checkout(tmp_path, PAGE.replace(good, bad))
    seen, wrong = faults(tmp_path)
    assert seen == 4
    assert len(wrong) == 1


def _checkout(root: Path, page: str) -> None:
    (root / "docs").mkdir()
    (root / "Makefile").write_text("run: ## serve\n\ttrue\n", encoding="utf-8")
    (root / "README.md").write_text(page, encoding="utf-8")
    (root / "docs/other.md").write_text("# Other\n\n## The second part\n", encoding="utf-8")
