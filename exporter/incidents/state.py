"""What was last told of an incident, so that a restart neither forgets it nor tells it again.

Owns the row and which of an incident's identifiers goes on. Refuses to store it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from exporter.verdict.judgement import VERDICTS, Verdict


class State(NamedTuple):
    """One identifier that was given out, and what it stands for."""

    id: str
    leads_to: str
    """The incident that it became a part of; itself where it did not."""
    verdict: Verdict
    """The one that was told last."""
    is_open: bool
    first_ns: int
    """When the incident's first alert happened, nanoseconds since 1970."""


def head_of(states: Iterable[State]) -> State:
    """Return the state whose identifier goes on: one that leads to no other, the most severe of these, then the oldest.

    ``states`` are one incident's, at least one.
    """
    return min(
        states, key=lambda each: (each.leads_to != each.id, VERDICTS.index(each.verdict), each.first_ns, each.id)
    )
