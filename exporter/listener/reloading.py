"""A value made from files, made again when one of them changes.

Owns noticing the change (a look at each file's times, inode and size) and
what happens when the new content cannot be used: it is logged once, and the
former value stays in force. Secrets never appear in the log: only paths do.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

from exporter.errors import ConfigError

logger = logging.getLogger(__name__)

T = TypeVar("T")
Stamp = tuple[tuple[int, int, int] | None, ...]
_TRIES = 3
"""Readings until the files that a value names stay the same."""


class Reloaded(Generic[T]):
    """The value of the moment.

    ``make`` makes it from ``files`` and from those that ``named_by`` finds in
    it, such as the certificates that a configuration names; it raises
    ConfigError for what cannot be used. Raises that at the start.
    """

    def __init__(
        self, files: Iterable[Path], make: Callable[[], T], *, named_by: Callable[[T], Iterable[Path]] = lambda _: ()
    ) -> None:
        self._files = tuple(files)
        self._make = make
        self._named_by = named_by
        self._watched = self._files
        self._stamp: Stamp = ()
        self.is_current = True
        """False while the newest content cannot be used."""
        self._value = self._read()

    def current(self) -> T:
        """Return the value in force, after a look at the files (some 2 µs each)."""
        if self._look() != self._stamp:
            self._reload()
        return self._value

    def _read(self) -> T:
        """Make the value. What changes meanwhile is seen by the next look, since the stamp is the older one."""
        for _ in range(_TRIES):
            self._stamp = self._look()
            value = self._make()
            watched = (*self._files, *self._named_by(value))
            if watched == self._watched:
                break
            self._watched = watched
        return value

    def _reload(self) -> None:
        names = ", ".join(map(str, self._files))
        try:
            self._value = self._read()
        except ConfigError as exc:
            self.is_current = False
            logger.error("%s has changed but cannot be used; its previous content stays in force: %s", names, exc)  # noqa: TRY400
            return
        self.is_current = True
        logger.info("read again: %s", names)

    def _look(self) -> Stamp:
        return tuple(_stamp(file) for file in self._watched)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(file)  # noqa: PTH116 - Path.stat costs twice as much, and this runs once a request
    except (OSError, ValueError):  # ValueError: a path with a NUL
        return None
    return (status.st_mtime_ns, status.st_ino, status.st_size)
