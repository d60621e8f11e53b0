# SPDX-License-Identifier: Apache-2.0
"""A running server that is watched as the settings say, behind its gate, as the product composes it."""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import uvicorn

from mysafe import app
from mysafe.server.observing.watch import Watcher
from mysafe.watching import Watching
from tests.support.server import RunningServer, authorization

TOKEN = "t0ken-of-the-metrics"

_SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def metrics_settings(directory: Path, token: str = TOKEN, *, address: str = "127.0.0.1:0") -> dict[str, object]:
    """Return the settings that turn the metrics on, with a token in a file."""
    file = directory / "metrics.token"
    file.write_text(token + "\n", encoding="utf-8")
    file.chmod(0o600)
    return {"metrics_address": address, "metrics_token_file": file}


class WatchedServer(RunningServer):
    """A server with all that watches it. `backups` are the times it knows of; `heard` hears of requests too."""

    def __init__(self, directory: Path, *heard: Watcher, **overrides: object) -> None:
        self.backups: dict[str, int] = {}
        self._heard = heard
        self._watched = ExitStack()
        super().__init__(directory, **{**metrics_settings(directory), **overrides})
        self.listener = self._watched.enter_context(self.watching.shown(lambda: self.backups))

    def web_server(self) -> uvicorn.Server:
        self.gate = app.sealed_gate(self.settings)
        self.watching = Watching(self.settings, self.gate)
        self.watching.watchers.extend(self._heard)
        self.api = app.asgi_app(self.vault, self.settings, ticks=self.ticks, tally=self.watching.opened(self.vault))
        self.gate.open(self.api)
        return app.web_server(self.watching.application, self.settings, tally=self.watching.connections)

    def close(self) -> None:
        self._watched.close()
        super().close()

    def scrape(self, token: str | None = TOKEN, path: str = "/metrics") -> httpx.Response:
        """Ask for the metrics."""
        assert self.listener is not None
        with httpx.Client(base_url=f"http://127.0.0.1:{self.listener.port}", trust_env=False, timeout=20) as client:
            return client.get(path, headers=authorization(token) if token is not None else {})

    def samples(self) -> Samples:
        """Return the value of each metric, by its name and labels."""
        answer = self.scrape()
        assert answer.status_code == 200, answer.text
        return parse(answer.text)

    def value(self, name: str, **labels: str) -> float:
        """Return one value; 0 if there is none yet."""
        return self.samples().get((name, frozenset(labels.items())), 0)


def parse(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Read Prometheus's text format; whatever is none fails."""
    found = {}
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("# "):
            continue
        sample = _SAMPLE.fullmatch(line)
        assert sample is not None, line
        labels = frozenset(_LABEL.findall(sample[2] or ""))
        assert ",".join(f'{name}="{value}"' for name, value in _LABEL.findall(sample[2] or "")) == (sample[2] or "")
        found[sample[1], labels] = float(sample[3])
    return found


def names_of(text: str) -> set[str]:
    """Return the names of the metrics that a text explains."""
    return set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
