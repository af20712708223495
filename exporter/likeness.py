"""What alerts have in common that differ in nothing but their time: one object for all of them.

Alerts come in bursts of the same. Whoever works something out of an alert that its time has no part in keeps it by the
alert's likeness, which is found by itself and not by its value: comparing every field is done once for each alert.
Refuses to know what an alert is.
"""

from __future__ import annotations

from operator import attrgetter

from exporter.kept import Recent

LIKENESS_BYTES = 8_192
"""Largest alert, by its message, that is compared with others."""
LIKENESSES, LIKENESSES_BYTES = 1_024, 1024 * 1024
"""How many are kept, and how much text their alerts hold; the same for who works something out of them."""


class Likeness:
    """All alerts that are like one, as long as it is kept."""

    __slots__ = ("comes_again", "size_bytes")

    def __init__(self, size_bytes: int) -> None:
        self.comes_again = False
        """Whether more than one alert was like it: only then is anything kept by it, so that a flood of alerts of
        which no two are alike takes nothing."""
        self.size_bytes = size_bytes


UNLIKE = Likeness(0)
"""Of alerts that are not compared."""
_KNOWN: Recent[tuple[object, ...], Likeness] = Recent(LIKENESSES, LIKENESSES_BYTES, size=attrgetter("size_bytes"))


def likeness_of(members: tuple[object, ...], size_bytes: int) -> Likeness:
    """Return the likeness of alerts with these members; ``size_bytes`` is about how much text they hold."""
    known = _KNOWN.get(members)
    if known is None:
        return _KNOWN.keep(members, Likeness(size_bytes))
    known.comes_again = True
    return known
