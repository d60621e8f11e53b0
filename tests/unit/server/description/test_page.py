# SPDX-License-Identifier: Apache-2.0
"""The readable page: it is well formed, loads nothing, runs nothing, and shows every operation."""

import copy
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from mysafe.server.api.description import document
from mysafe.server.api.description.page import STYLE, page
from mysafe.server.routes import OPERATIONS

DOCUMENT = document.describe(OPERATIONS)
PAGE = page(DOCUMENT).decode()
VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})


class Look(HTMLParser):
    """Collect what a page would load or run, its ids and inner links, and tags that do not close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []
        self.unclosed: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.unclosed += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += filter(None, [given.get("id")])
        if tag == "a":
            self.links.append(given.get("href") or "")
        elif tag in {"script", "iframe", "object", "embed", "form", "base"}:
            self.loads.append(tag)
        elif tag[0] == "h" and tag[1:].isdigit():
            self.headings.append(tag)
        for name, value in attrs:
            is_address = name in {"src", "href", "srcset", "action", "style"} and tag != "a"
            if name.startswith("on") or (is_address and value != "data:,"):
                self.loads.append(f"{tag} {name}={value}")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.unclosed.append(f"/{tag}")


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    assert Look(PAGE).loads == []
    assert "url(" not in STYLE
    assert "@import" not in STYLE


@pytest.mark.parametrize(
    "planted",
    ["<script>1</script>", '<img src="https://example.com/a.png">', '<p onclick="a()">', '<link href="/style.css">'],
)
def test_what_loads_or_runs_is_noticed(planted: str) -> None:
    assert len(Look(PAGE.replace("</main>", planted + "</main>")).loads) == 1


def test_the_page_is_well_formed_and_its_links_lead_somewhere() -> None:
    look = Look(PAGE)
    assert look.unclosed == []
    assert len(set(look.ids)) == len(look.ids)
    assert {link.removeprefix("#") for link in look.links} <= set(look.ids)
    assert Look(PAGE.replace("</section>", "", 1)).unclosed != []


def test_every_operation_has_its_place_and_its_link() -> None:
    look = Look(PAGE)
    names = [part[one]["operationId"] for part in DOCUMENT["paths"].values() for one in part if one[0] != "x"]
    assert len(names) == len(OPERATIONS)
    assert set(names) <= set(look.ids)
    assert {f"#{name}" for name in names} <= set(look.links)


def test_headings_skip_no_level() -> None:
    levels = [int(heading[1]) for heading in Look(PAGE).headings]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_text_of_the_document_cannot_become_markup() -> None:
    changed = copy.deepcopy(DOCUMENT)
    changed["info"]["description"] = "<script>alert(1)</script> `</code><script>` **<b onclick=x>**"
    changed["paths"]["/api/mysafe/note"]["get"]["summary"] = '"><script>'
    look = Look(page(changed).decode())
    assert look.loads == []
    assert look.unclosed == []
