"""The colours of verdicts and priorities, for pages and dashboards alike.

Owns each word's colour and the style sheet's variables made of them. Colour
never stands alone: the word is always beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Tone(NamedTuple):
    """One colour in the three places where it is needed."""

    mark: str
    """For bars, borders and dots on light and dark alike."""
    light: str
    """For text on white: contrast of at least 4.5 : 1, white on it too."""
    dark: str
    """For text on a dark page: contrast of at least 4.5 : 1, black on it too."""


VERDICTS: Mapping[str, Tone] = {
    "attack": Tone("#E02F44", "#b42318", "#ff8a80"),
    "undecided": Tone("#E5B10E", "#8a5a00", "#e8c15a"),
    "benign": Tone("#56A64B", "#17692f", "#62cc7d"),
    "test": Tone("#3F8AE0", "#2b5f94", "#84b9ec"),
}
"""Verdicts, most severe first."""
PRIORITIES: Mapping[str, Tone] = {
    "Emergency": Tone("#B545C8", "#8e2aa1", "#e29bf0"),
    "Alert": Tone("#E0347F", "#b3125c", "#ff8ab8"),
    "Critical": Tone("#E02F44", "#b42318", "#ff8a80"),
    "Error": Tone("#F2762E", "#a84007", "#ffa866"),
    "Warning": Tone("#E5B10E", "#8a5a00", "#e8c15a"),
    "Notice": Tone("#3F8AE0", "#2b5f94", "#84b9ec"),
    "Informational": Tone("#46ABB8", "#1f6570", "#6fc7d3"),
    "Debug": Tone("#8C8F99", "#57626e", "#a3afbb"),
}
"""Falco's priorities, most severe first."""


def to_css() -> str:
    """Return variables and classes: ``.v-VERDICT`` sets ``--verdict``, ``.p-PRIORITY`` sets ``--priority``."""
    named = {f"v-{name}": tone for name, tone in VERDICTS.items()}
    named |= {f"p-{name.lower()}": tone for name, tone in PRIORITIES.items()}
    light = " ".join([f"--{name}: {tone.light};" for name, tone in named.items()])
    dark = " ".join([f"--{name}: {tone.dark};" for name, tone in named.items()])
    classes = [f".{name} {{ --{_VARIABLES[name[0]]}: var(--{name}); }}" for name in named]
    return "\n".join(
        [f":root {{ {light} }}", f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}", *classes]
    )


_VARIABLES = {"v": "verdict", "p": "priority"}
