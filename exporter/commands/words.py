"""Words on the command line that are more than text: read, or refused with what was expected."""

from __future__ import annotations

import argparse

from exporter.alert import Priority


def to_priority(word: str) -> Priority:
    """Return the priority of this name. Raises ArgumentTypeError."""
    found = Priority.from_label(word)
    if found is Priority.UNKNOWN:
        raise argparse.ArgumentTypeError(
            f"{word!r} is not a priority; expected one of {', '.join([each.label for each in Priority][:-1])}"
        )
    return found


def to_seconds(text: str) -> float:
    """Return whole seconds, 1 or more. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; expected whole seconds, 1 or more")
    return float(text)


def to_count(text: str) -> int:
    """Return a number of alerts, 1 or more. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of alerts; expected 1 or more")
    return int(text)
