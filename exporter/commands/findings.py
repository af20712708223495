"""Lines of an answer: what works, what does not, and what to do. For ``check`` and ``test-alert``."""

from __future__ import annotations

from typing import NamedTuple

from exporter.commands.terminal import Style
from exporter.escaping import terminal


class Finding(NamedTuple):
    """One line of the answer."""

    level: str
    """``ok``, ``note``, ``off`` or ``error``."""
    what: str
    text: str


def say(style: Style, finding: Finding) -> None:
    """Print one finding."""
    shown = {
        "ok": style.green("ok  "),
        "note": style.dim("note"),
        "off": style.dim("off "),
        "error": style.red("FAIL"),
    }[finding.level]
    print(f"{shown} {terminal(finding.what)}: {terminal(finding.text)}")
