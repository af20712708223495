"""Colours for people at a terminal, and nothing for pipes, files and NO_COLOR."""

from __future__ import annotations

import os
from typing import TextIO


class Style:
    """Wraps text in colours where the stream is a terminal (https://no-color.org)."""

    def __init__(self, stream: TextIO) -> None:
        self.coloured = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.coloured else text

    def bold(self, text: str) -> str:
        """Return the text in bold."""
        return self._wrap("1", text)

    def dim(self, text: str) -> str:
        """Return the text dimmed."""
        return self._wrap("2", text)

    def green(self, text: str) -> str:
        """Return the text in green."""
        return self._wrap("32", text)

    def red(self, text: str) -> str:
        """Return the text in red."""
        return self._wrap("31", text)
