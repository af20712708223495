"""What systemd is told: that the exporter is ready, that it still works, that it stops.

Owns the protocol of ``Type=notify`` and ``WatchdogSec=``; does nothing where
the program was not started by systemd.

Source: https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)


class ServiceManager:
    """Tells systemd how the service is; ``works`` is asked twice per watchdog period whether it still does its job."""

    def __init__(self, works: Callable[[], bool], environment: Mapping[str, str] = os.environ) -> None:
        self._works = works
        self._address = environment.get("NOTIFY_SOCKET", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        is_ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._period_seconds = int(microseconds) / 2_000_000 if microseconds.isdecimal() and is_ours else 0.0
        self._stop = threading.Event()

    def ready(self) -> None:
        """Say that the service is up; from now on the watchdog is fed."""
        self._tell("READY=1")
        if self._address and self._period_seconds:
            threading.Thread(target=self._feed, name="watchdog", daemon=True).start()

    def stopping(self) -> None:
        """Say that the service ends; the watchdog is fed on while it drains."""
        self._tell("STOPPING=1")

    def close(self) -> None:
        """Feed the watchdog no more."""
        self._stop.set()

    def _feed(self) -> None:
        while not self._stop.wait(self._period_seconds):
            if self._works():
                self._tell("WATCHDOG=1")
            else:
                logger.error("the exporter does not respond; systemd restarts it unless it answers soon")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as opened:
                opened.sendto(state.encode(), address)
        except OSError as exc:
            logger.warning("cannot tell systemd %s: %s", state, exc.strerror)
