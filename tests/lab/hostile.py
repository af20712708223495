"""Hostile twins: values that an attacker would choose to make the responder's shell do something."""

from __future__ import annotations

from typing import Any

import pytest

WORDS = {
    "quotes": "x'; touch owned; echo 'y\"z",
    "substitution": "$(touch owned)`touch owned`${HOME}",
    "newline": "x\n touch owned\n#",
    "dash": "-rf",
    "glob": "*[a-z]? {b,c} ~ !! =ls",
}
"""What a value becomes, by the kind of trouble; a file ``owned`` anywhere shows that it was run."""


def file_names(folder: str) -> list[Any]:
    """Return hostile paths in a folder, one a kind, as pytest's parameters."""
    return [pytest.param(f"{folder}/{word.replace('/', '_')}", id=kind) for kind, word in WORDS.items()]


def words(*kinds: str) -> list[Any]:
    """Return hostile words of these kinds, or of all, as pytest's parameters."""
    return [pytest.param(WORDS[kind], id=kind) for kind in kinds or WORDS]
