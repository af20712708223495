"""``run``: the exporter until SIGTERM or Ctrl-C, with its settings read again at SIGHUP.

Owns the change from one set of settings to the next: the new ones are read and checked first, and where they cannot
be, the exporter goes on with those of before. Certificates, passwords and the web configuration are read again by
themselves.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from exporter.app import App
from exporter.commands.service_manager import ServiceManager
from exporter.config.model import Config
from exporter.errors import ExporterError
from exporter.logs import configure_logging

logger = logging.getLogger(__name__)


def run(read_config: Callable[[], Config]) -> int:
    """Run until a signal, or until the input has ended. Returns 0; raises ConfigError before anything starts.

    SIGHUP lets settings be read again. At a terminal it says that the terminal is gone, and with alerts on standard
    input nothing could be read twice: there it ends the exporter as SIGTERM does.
    """
    config = read_config()
    _log_as(config)
    at_terminal = sys.stdin is not None and sys.stdin.isatty()
    return run_app(App(config), read_config=None if at_terminal or config.json_lines.stdin else read_config)


def _log_as(config: Config) -> None:
    redaction = config.redaction
    conceals = bool(redaction.fields or redaction.patterns)
    configure_logging(config.log.level, config.log.format, conceals=conceals)


class _Signals:
    """What signals ask of the application that runs."""

    def __init__(self, app: App, *, reloads: bool) -> None:
        self.app = app
        self.reload_asked = threading.Event()
        self.is_changing = False
        """Whether one application takes another's place just now."""
        self._stops: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup wants no end with the terminal
                signal.signal(number, self._reload if reloads and number == signal.SIGHUP else self._stop)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self._stops.append(number)
        self.app.request_stop(at_once=number == signal.SIGINT)

    def _reload(self, _number: int, _frame: FrameType | None) -> None:
        self.reload_asked.set()
        self.app.wake()

    def responds(self) -> bool:
        """Whether the application does its work, or is about to."""
        return self.is_changing or self.app.responds()

    def go_on_with(self, app: App) -> None:
        """Mean this application from now on, by signals that came while it started, too."""
        self.app, self.is_changing = app, False
        for number in self._stops:
            app.request_stop(at_once=number == signal.SIGINT)
        if self.reload_asked.is_set():
            app.wake()


def run_app(
    app: App, started: Callable[[], None] = lambda: None, read_config: Callable[[], Config] | None = None
) -> int:
    """Run the application in the foreground; ``started`` is called once it runs.

    With ``read_config`` SIGHUP puts an application with the settings of then in its place; without, it ends it.
    """
    signals = _Signals(app, reloads=read_config is not None)
    manager = ServiceManager(signals.responds)
    app.start()
    try:
        manager.ready()
        started()
        app.prepare()
        while not signals.app.wait():
            if read_config is not None and signals.reload_asked.is_set():
                signals.reload_asked.clear()
                _reload(signals, read_config)
    finally:
        manager.stopping()
        signals.app.close()
        manager.close()
    return 0


def _reload(signals: _Signals, read_config: Callable[[], Config]) -> None:
    """Put an application with the settings of now in the place of the one that runs.

    What comes meanwhile waits at the receiver's port, which stays open. Raises ConfigError where neither can start.
    """
    before = signals.app
    try:
        config = read_config()
        following = App(config)
    except ExporterError as exc:
        logger.error("SIGHUP: %s; the exporter keeps its previous settings", exc)  # noqa: TRY400 - says itself what to do
        return
    logger.info("SIGHUP: the exporter applies its new settings; what it holds is delivered or stored first")
    signals.is_changing = True
    listeners = before.listeners()
    before.close()
    _log_as(config)
    said = "SIGHUP: the settings were read again"
    try:
        following.adopt(listeners)
        following.start()
    except ExporterError as exc:
        _log_as(before.config)
        logger.error("SIGHUP: %s", exc)  # noqa: TRY400 - says itself what to do
        said = "SIGHUP: the exporter went back to its previous settings"
        following = App(before.config)
        following.adopt(listeners)
        following.start()
    finally:
        for sockets in listeners.values():
            for listening in sockets:
                listening.close()
    signals.go_on_with(following)
    logger.info(said)
    following.prepare()
