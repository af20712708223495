"""The whole application, started and closed, and asked for a page."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from exporter.app import App
from exporter.config.model import Config


@contextmanager
def running_app(config: Config) -> Iterator[App]:
    """An application that runs; closed twice, which has to be safe."""
    app = App(config)
    app.start()
    try:
        yield app
    finally:
        app.close()
        app.close()


def fetch(app: App, path: str) -> tuple[int, str]:
    """Return the status and the text of a page, whatever the status."""
    try:
        with urllib.request.urlopen(f"{app.web.url}{path}", timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.read().decode()
