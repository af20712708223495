"""The exporter's exceptions: what went wrong, said so that an operator can act.

Owns the exception types that cross module boundaries; refuses foreign
exceptions, which are translated where they arise (``raise X from exc``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `` (did you mean X?)`` for the known word that is most like this one; empty where none is like it."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {found[0]}?)" if found else ""


def reason_of(error: Exception) -> str:
    """Return what an error says without its number and the file that the sentence around it names already."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


class ExporterError(Exception):
    """Anything this program raises on purpose; its text is fit for an operator."""


class ConfigError(ExporterError):
    """A setting is wrong: says where it was set, what was found and what was expected."""


class CatalogError(ExporterError):
    """A catalog file is wrong: says file, line, key, what was found and what was expected."""


class DecodeError(ExporterError):
    """One message could not be read as an alert.

    ``reason`` is a short word of a closed set, fit for a metric label.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class RetryableError(ExporterError):
    """A peer could not be reached; the same call may go through later."""
