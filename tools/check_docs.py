# SPDX-License-Identifier: Apache-2.0
"""Check the documentation against the checkout: relative links lead somewhere, `make` targets exist.

python tools/check_docs.py [FOLDER]
"""

import re
import sys
from pathlib import Path

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
MAKE = re.compile(r"(?:^\$? *|`)make ([a-z][a-z-]*)", re.MULTILINE)
TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)


def faults(root: Path) -> tuple[int, list[str]]:
    """Return how many links and targets were looked at, and one sentence for each that is wrong."""
    makefile = root / "Makefile"
    targets = set(TARGET.findall(makefile.read_text(encoding="utf-8"))) if makefile.exists() else set()
    seen, wrong = 0, []
    for page in _pages(root):
        text, name = page.read_text(encoding="utf-8"), page.relative_to(root)
        links = [link for link in LINK.findall(FENCE.sub("", text)) if "://" not in link and "mailto:" not in link]
        commands = MAKE.findall(text)
        seen += len(links) + len(commands)
        wrong += [f"{name}: nothing is at {link}" for link in links if not _leads_somewhere(page, link)]
        wrong += [f"{name}: there is no target: make {command}" for command in commands if command not in targets]
    return seen, wrong


def _pages(root: Path) -> list[Path]:
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "deploy").rglob("*.md")])


def _leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = page.parent / path if path else page
    if not target.exists():
        return False
    return not anchor or target.suffix != ".md" or anchor in _anchors(target)


def _anchors(page: Path) -> set[str]:
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def main() -> int:
    """Print what is wrong; the exit status says whether anything is."""
    seen, wrong = faults(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
    print("\n".join([*wrong, f"{seen} links and commands in the documentation, {len(wrong)} wrong"]))
    return 1 if wrong or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
