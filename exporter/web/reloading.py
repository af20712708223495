"""The web configuration file as it is now, with its TLS context.

Owns which files belong to it; how a change is noticed is ``listener.reloading``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exporter.listener.reloading import Reloaded
from exporter.listener.tls import ServerContext
from exporter.web.web_config import WebConfig, read_web_config


@dataclass(frozen=True, slots=True)
class InForce:
    """A configuration and the context made of its certificates, which change together."""

    config: WebConfig
    context: ServerContext | None


class WebConfigFile:
    """The file, read again whenever it changes. Without a path: no TLS and no authentication.

    Raises ConfigError where the file cannot be used at the start.
    """

    def __init__(self, path: Path | None) -> None:
        self._fixed = InForce(WebConfig(), None)
        self._reloaded: Reloaded[InForce] | None = None
        if path is not None:
            self._reloaded = Reloaded((path,), lambda: _read(path), named_by=_files)

    @property
    def is_current(self) -> bool:
        """False while the newest form of the file cannot be used."""
        return self._reloaded is None or self._reloaded.is_current

    def in_force(self) -> InForce:
        """Return what is in force, after a look at the files."""
        return self._fixed if self._reloaded is None else self._reloaded.current()

    def current(self) -> WebConfig:
        """Return the configuration in force."""
        return self.in_force().config

    def context(self) -> ServerContext | None:
        """Return the TLS context for a new connection; None for plain text."""
        return self.in_force().context


def _read(path: Path) -> InForce:
    config = read_web_config(path)
    return InForce(config, config.tls.context("tls_server_config") if config.tls else None)


def _files(in_force: InForce) -> tuple[Path, ...]:
    tls = in_force.config.tls
    return tls.files if tls else ()
