"""Procedures: steps that several entries share, written once, with arguments.

Owns arguments and how a use of a procedure puts them in place. Refuses the
form of a step (see ``step_loader.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.catalog.steps import ChangeStep, Choice, CommandStep, Sentence
from exporter.catalog.template import ProseTemplate
from exporter.errors import CatalogError

_PLACE = re.compile(r"%\{([^}]*)\}")
_NAME = re.compile(r"(?<![\w.])arg\.([a-z_]+)\b")
_VALUE = re.compile(
    r"(?:[a-z][A-Za-z0-9_.]*(?:\[[^\[\]{}|]*\])?\|)*(?:[a-z][A-Za-z0-9_.]*(?:\[[^\[\]{}|]*\])?|'[^'{}|]*')\Z"
)

Arguments = Mapping[str, str]
"""An argument's name to what stands for it: ``field``, ``field|other.field`` or ``'words'``."""


class Used(NamedTuple):
    """What a procedure brings, with arguments in place."""

    steps: tuple[CommandStep | Choice, ...]
    changes: tuple[ChangeStep, ...]
    recommendations: tuple[Sentence, ...]


@dataclass(slots=True)
class Procedure:
    """Steps that several entries share."""

    name: str
    purpose: ProseTemplate
    arguments: Mapping[str, str | None]
    """Each argument's name and what stands for it where a use gives none; None: it must be given."""
    place: str
    """``FILE:LINE``, for messages."""
    compile: Callable[[Arguments], Used]
    _kept: dict[tuple[tuple[str, str], ...], Used] = field(default_factory=dict)

    def use(self, given: Arguments) -> Used:
        """Return what it brings with these arguments: the very same objects for the same ones. Raises CatalogError."""
        if unknown := given.keys() - self.arguments.keys():
            expected = f"expected one of: {', '.join(self.arguments)}" if self.arguments else "it takes none"
            raise CatalogError(f"procedure {self.name!r} has no argument {min(unknown)!r}; {expected}")
        arguments = {name: given.get(name, default) for name, default in self.arguments.items()}
        if missing := [name for name, value in arguments.items() if value is None]:
            raise CatalogError(f"procedure {self.name!r} needs `with: {{{missing[0]}: FIELD}}`")
        for name, value in arguments.items():
            if not _VALUE.match(value or ""):
                raise CatalogError(f"with.{name}: found {value!r}, expected FIELD, FIELD|OTHER.FIELD or 'words'")
        bound = {name: value for name, value in arguments.items() if value is not None}
        key = tuple(bound.items())
        if key not in self._kept:
            self._kept[key] = self.compile(bound)
        return self._kept[key]

    @property
    def itself(self) -> Used:
        """What it brings with its arguments left as ``arg.NAME``, for checks."""
        return self.compile({name: f"arg.{name}" for name in self.arguments})


def with_arguments(text: str, arguments: Arguments | None) -> str:
    """Return a template's text with arguments in the places that name them. Raises CatalogError."""
    if arguments is None or "arg." not in text:
        return text

    def place(match: re.Match[str]) -> str:
        parts = [_argument(part, arguments) for part in match[1].split("|")]
        flat = [each for part in parts for each in part.split("|")]
        # Nothing after words could ever show.
        words = next((index for index, each in enumerate(flat) if each.startswith("'")), len(flat))
        return "%{" + "|".join(flat[: words + 1]) + "}"

    return _PLACE.sub(place, text)


def _argument(part: str, arguments: Arguments) -> str:
    name = part.removeprefix("arg.")
    if name == part:
        return part
    if name not in arguments:
        raise CatalogError(f"%{{{part}}}: {_expected(arguments)}")
    return arguments[name]


def field_with_arguments(text: str, arguments: Arguments | None) -> str:
    """Return a field of ``needs`` with an argument in place. Raises CatalogError."""
    return _argument(text, arguments) if arguments is not None else text


def condition_with_arguments(text: str, arguments: Arguments | None) -> str:
    """Return a condition with the first field of each argument in place. Raises CatalogError."""

    def name(match: re.Match[str]) -> str:
        if arguments is None or match[1] not in arguments:
            raise CatalogError(f"{match[0]}: {_expected(arguments or {})}")
        value = re.sub(r"\Aarg[.]", "evt.arg.", arguments[match[1]].split("|")[0])
        if value.startswith("'"):
            raise CatalogError(f"{match[0]} stands for {value}; a condition needs a field there")
        return value

    return _NAME.sub(name, text)


def _expected(arguments: Arguments) -> str:
    return f"expected one of the arguments {', '.join(arguments)}" if arguments else "the procedure has no arguments"
