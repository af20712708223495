"""The whole application, started and closed."""

from __future__ import annotations

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
