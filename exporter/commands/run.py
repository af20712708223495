"""``run``: the exporter until SIGTERM, SIGHUP or Ctrl-C.

SIGHUP ends it as SIGTERM does, in order and with what waits delivered or kept: certificates, passwords and the web
configuration are read again by themselves when they change, and every other setting needs a start.
"""

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

    def stop(number: int, _frame: FrameType | None) -> None:
        app.request_stop(at_once=number == signal.SIGINT)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup wants no end with the terminal
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
