"""A tie: something that two alerts can have in common, and what it takes to join them by it.

Owns the rule for two alerts that share it. Joining never looks at one alert
or at one value: how telling the value is, how grave both alerts are and how
much time lies between them decide together.
"""

from __future__ import annotations

from typing import NamedTuple

Key = tuple[str, ...]
"""What is shared: a kind, then values, e.g. ``("container", "c3d2a90f1b7e")``."""

ANY, ONE, BOTH = 0, 1, 2
"""How many of two alerts have to be a likely attack, or a test, for the tie to join them."""
WHOLE, HALF, QUARTER, EIGHTH = 8, 4, 2, 1
"""The share of the window, in eighths, that may lie between two alerts."""

_EQUAL = frozenset({"object", "host", "login"})
_CROSS = frozenset({"account", "made", "workload"})


class Tie(NamedTuple):
    """One thing that an alert may share with others."""

    key: Key
    needs: int
    """``ANY``, ``ONE`` or ``BOTH``."""
    eighths: int
    """``WHOLE`` … ``EIGHTH``."""
    variant: tuple[str, ...] = ()
    """What tells two owners of the same name apart (``may_join``)."""


def may_join(one: Tie, other: Tie) -> bool:
    """Whether two ties of one key can be about the same thing.

    A pod's name: not two containers of the same name (the pod was made anew) or on two hosts. An API object's name:
    not two namespaces. A host: not two login sessions; a login: not two terminals. Who made a user or a workload, or
    the pod that holds an account: only with what that user, account or one of the workload's pods did. An installed
    program that a likely attack ran: only with what descends from it.
    """
    kind, mine, others = one.key[0], one.variant, other.variant
    if kind in _CROSS:
        return mine != others
    if not mine or not others:
        return True
    if kind == "ancestor":
        return False
    if kind == "pod":
        return mine[0] == others[0] and (mine[1] != others[1] or mine[2] == others[2])
    return mine == others if kind in _EQUAL else True
