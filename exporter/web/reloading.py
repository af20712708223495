"""The web configuration file as it is now.

Owns noticing that the file, a certificate or a key has changed: looked at
once a connection and once a request. A change that cannot be used is logged
once and leaves what was there before in force.
"""

from __future__ import annotations

import logging
import os
import ssl
from pathlib import Path

from exporter.errors import ConfigError
from exporter.web.web_config import WebConfig, read_web_config

logger = logging.getLogger(__name__)

State = tuple[tuple[int, int, int] | None, ...]


class WebConfigFile:
    """The file, read again whenever it changes. Without a path: no TLS and no authentication.

    Raises ConfigError where the file cannot be used at the start.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._config = WebConfig()
        self._context: ssl.SSLContext | None = None
        self._state: State = ()
        self.is_current = True
        """False while the newest form of the file cannot be used."""
        if path is not None:
            self._state = self._look()
            self._read()
            self._state = self._look()

    def current(self) -> WebConfig:
        """Return what is in force, after a look at the files."""
        if self._path is not None and (state := self._look()) != self._state:
            self._state = state
            self._reload(self._path)
        return self._config

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS context for a new connection; None for plain text."""
        self.current()
        return self._context

    def _look(self) -> State:
        assert self._path is not None
        files = (self._path, *(self._config.tls.files if self._config.tls else ()))
        return tuple(_stamp(file) for file in files)

    def _read(self) -> None:
        assert self._path is not None
        config = read_web_config(self._path)
        context = config.tls.context() if config.tls else None
        self._config, self._context = config, context

    def _reload(self, path: Path) -> None:
        try:
            self._read()
        except ConfigError as exc:
            self.is_current = False
            logger.error("The changed web configuration is not used; the former one stays in force: %s", exc)  # noqa: TRY400
            return
        self._state = self._look()
        self.is_current = True
        logger.info("Read the web configuration %s again", path)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(file)  # noqa: PTH116 - Path.stat costs twice as much, and this runs once a request
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ino, status.st_size)
