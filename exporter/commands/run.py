"""``run``: the exporter until SIGTERM or Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

from exporter.app import App
from exporter.commands.service_manager import ServiceManager
from exporter.config.model import Config
from exporter.logs import configure_logging


def run(config: Config) -> int:
    """Run until a signal, or until the input has ended. Returns 0; raises ConfigError before anything starts."""
    redaction = config.redaction
    conceals = bool(redaction.fields or redaction.patterns)
    configure_logging(config.log.level, config.log.format, conceals=conceals)
    return run_app(App(config))


def run_app(app: App, started: Callable[[], None] = lambda: None) -> int:
    """Run the application in the foreground; ``started`` is called once it runs."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        app.request_stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    manager = ServiceManager(app.responds)
    app.start()
    try:
        manager.ready()
        started()
        app.wait()
    finally:
        manager.stopping()
        app.close()
        manager.close()
    return 0
