# SPDX-License-Identifier: Apache-2.0
"""The readable page of a document: one file that loads nothing, runs no script, and may be saved and read anywhere."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files

from mysafe.server.api.description.reading import Field, Reader
from mysafe.server.api.description.schemas import Schema

STYLE = files(__package__).joinpath("page.css").read_text(encoding="utf-8")

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode("utf-8")).digest()).decode("ascii")

SECURITY_POLICY = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'sha256-%s'; img-src data:; base-uri 'none'; form-action 'none';"
    b" frame-ancestors 'none'" % _STYLE_HASH.encode("ascii"),
)
"""What the browser is allowed: the style within the page and its empty icon, and nothing else (R-CFG-03)."""


def page(document: Schema) -> bytes:
    """Return the page of a document, UTF-8."""
    info, reader = document["info"], Reader(document)
    sections = [_section(tag, reader) for tag in document["tags"]]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(info["title"])} API</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the text</a>
<header><h1>{escape(info["title"])} API</h1><p>{escape(info["summary"])}</p></header>
<div class="columns">
<nav aria-label="Operations">{"".join(_contents(tag, reader) for tag in document["tags"])}</nav>
<main id="main">
<section>{_paragraphs(info["description"])}</section>
{"".join(sections)}
</main>
</div>
</body>
</html>
""".encode()


def _contents(tag: Schema, reader: Reader) -> str:
    lines = [
        f'<li><a href="#{escape(one.id)}">{_method(one.method)}<span>{escape(one.part["summary"])}</span></a></li>'
        for one in reader.operations(tag["name"])
    ]
    return f"<strong>{escape(tag['name'])}</strong><ul>{''.join(lines)}</ul>"


def _section(tag: Schema, reader: Reader) -> str:
    articles = [
        f'<article id="{escape(one.id)}"><h3>{_method(one.method)}<code>{escape(one.path)}</code></h3>'
        f"{_operation(one.part, reader)}</article>"
        for one in reader.operations(tag["name"])
    ]
    about = f"<p>{_words(tag['description'])}</p>" if "description" in tag else ""
    return f"<section><h2>{escape(tag['name'])}</h2>{about}{''.join(articles)}</section>\n"


def _operation(operation: Schema, reader: Reader) -> str:
    blocks = [f"<p>{_words(operation['summary'])}.</p>"]
    if "description" in operation:
        blocks.append(f"<p>{_words(operation['description'])}</p>")
    if operation.get("security") == []:
        blocks.append('<p class="soft">Needs no token.</p>')
    blocks.append(_table("Parameters", reader.parameters(operation)))
    blocks.append(_request(operation, reader))
    answers = [(status, reader.resolved(answer)) for status, answer in operation["responses"].items()]
    blocks += [_answer(status, answer, reader) for status, answer in answers if status < "400"]
    blocks.append(_errors([pair for pair in answers if pair[0] >= "400"], reader))
    return "".join(blocks)


def _request(operation: Schema, reader: Reader) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    if not content:
        return ""
    first = next(iter(content.values()))
    kinds = " or ".join(f"<code>{escape(media)}</code>" for media in content)
    example = f"<details><summary>Example</summary>{_json(first['example'])}</details>" if "example" in first else ""
    return f'<h4>Request body</h4><p class="soft">{kinds}</p>{_table("", reader.fields(first["schema"]))}{example}'


def _answer(status: str, answer: Schema, reader: Reader) -> str:
    blocks = [f"<h4>Answer {escape(status)}</h4><p>{_words(answer['description'])}</p>"]
    for media, content in answer.get("content", {}).items():
        if media != "application/json":
            blocks.append(f'<p class="soft"><code>{escape(media)}</code></p>')
        blocks.append(_table("", reader.fields(content["schema"])))
        for name, value in reader.examples(content):
            blocks.append(f"<details><summary>Example: {escape(name)}</summary>{_json(value)}</details>")
    return "".join(blocks)


def _errors(answers: Iterable[tuple[str, Schema]], reader: Reader) -> str:
    rows = []
    for status, answer in answers:
        texts = [name for content in answer["content"].values() for name, _ in reader.examples(content)]
        said = "".join(f"<li><code>{escape(text)}</code></li>" for text in dict.fromkeys(texts))
        rows.append(
            f"<tr><th scope=row>{escape(status)}</th><td>{_words(answer['description'])}<ul>{said}</ul></td></tr>"
        )
    table = f'<div class="wide"><table class="errors"><tbody>{"".join(rows)}</tbody></table></div>'
    return f"<details><summary>Errors</summary>{table}</details>"


def _table(title: str, fields: list[Field]) -> str:
    if not fields:
        return ""
    rows = [
        f"<tr><th scope=row><code>{escape(one.name)}</code></th><td>{escape(one.type)}</td>"
        f"<td>{_words(' '.join(filter(None, [one.need, one.text])))}</td></tr>"
        for one in fields
    ]
    head = f"<h4>{escape(title)}</h4>" if title else ""
    return f'{head}<div class="wide" tabindex="0"><table><tbody>{"".join(rows)}</tbody></table></div>'


def _method(method: str) -> str:
    return f'<span class="method {escape(method)}">{escape(method.upper())}</span>'


def _json(value: object) -> str:
    return f'<pre tabindex="0">{escape(json.dumps(value, indent=2, ensure_ascii=False))}</pre>'


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_words(part)}</p>" for part in text.strip().split("\n\n"))


def _words(text: str) -> str:
    """Return a text as HTML; of Markdown it knows `code` and **strong** words."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", marked)
