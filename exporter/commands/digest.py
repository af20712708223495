"""``digest``: what happened in a period, from the history."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from exporter.catalog.catalog import load_catalog
from exporter.config.model import Config
from exporter.digest.digest import knowledge_of, make_digest
from exporter.digest.formats import DIGEST_FORMATS
from exporter.errors import ConfigError
from exporter.history.history import History
from exporter.sources.decode import from_received
from exporter.times import time_from_text


@contextlib.contextmanager
def opened_history(config: Config) -> Iterator[History]:
    """Give the history that the settings name. Raises ConfigError where they name none."""
    directory = config.history.directory
    if directory is None:
        raise ConfigError(
            "history.directory: not set; name the directory of the running exporter's history "
            "(--history.directory), or give its settings (--config)"
        )
    if not Path(directory).is_dir():
        raise ConfigError(f"history.directory: {directory}: no such directory")
    with contextlib.closing(History(directory, from_received)) as history:
        yield history


def span_from(since: str, until: str) -> tuple[int, int]:
    """Return the times that the flags name, nanoseconds since 1970. Raises ConfigError."""
    now_ns = time.time_ns()
    try:
        until_ns = time_from_text(until, now_ns) if until else now_ns
    except ValueError as exc:
        raise ConfigError(f"--until: {exc}") from exc
    try:
        since_ns = time_from_text(since, until_ns)
    except ValueError as exc:
        raise ConfigError(f"--since: {exc}") from exc
    if since_ns >= until_ns:
        raise ConfigError(f"--since: found {since!r}, expected a time before --until")
    return since_ns, until_ns


def digest(config: Config, *, since: str, until: str, form: str) -> int:
    """Print the digest; return the exit code. Raises ConfigError, CatalogError, HistoryError."""
    since_ns, until_ns = span_from(since, until)
    with opened_history(config) as history:
        known = knowledge_of(load_catalog(config.catalog.directories), config.incidents.window_seconds)
        _, _, write = DIGEST_FORMATS[form]
        sys.stdout.write(write(make_digest(history, since_ns, until_ns, known)))
    return 0
