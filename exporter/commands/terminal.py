"""Text for people at a terminal: colours where they are wanted, and no character that it cannot show.

Owns colours (none for pipes, files and NO_COLOR) and what stands in for
characters that the terminal's encoding lacks.
"""

from __future__ import annotations

import codecs
import io
import os
from typing import TextIO

_PLAINER = str.maketrans({"“": '"', "”": '"', "’": "'", "·": "-", "—": "-", "–": "-", "─": "-", "…": "...", "×": "x"})
_ERRORS = "falco_report_exporter.plainer"


def fit_encoding(*streams: TextIO) -> None:
    """Let the streams write characters that their encoding lacks: a plainer one, else a backslash escape."""
    codecs.register_error(_ERRORS, _plainer)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _plainer(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    shown = error.object[error.start : error.end].translate(_PLAINER)
    return shown.encode("ascii", "backslashreplace").decode("ascii"), error.end


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
