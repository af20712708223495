"""Derived facts: what an alert's fields say together, under names of their own.

Owns the facts that Falco's operators cannot express: whether an address is
public, what kind of place a program lies in, what a command line hides, who
an identity is. Each is a pure function from the alert's fields to a text of a
closed set or to a piece of a field; None where the fields do not tell.
Refuses to judge: a fact is no sign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from exporter.prose import Lookup
from exporter.verdict import actors, commands, images, places

Fact = Callable[[Lookup], str | None]
Lists = Mapping[str, Sequence[str]]

_FACTS: Mapping[str, tuple[Fact, tuple[str, ...]]] = {
    **places.FACTS,
    **commands.FACTS,
    **actors.FACTS,
    **images.FACTS,
}
_OF_LISTS: Mapping[str, tuple[Callable[[Lookup, frozenset[str]], str | None], tuple[str, ...]]] = images.OF_LISTS

HAS = "alert.has"
"""``alert.has[FIELD]`` is ``yes`` or ``no``: what ``FIELD exists`` becomes."""
DERIVED = (*_FACTS, *_OF_LISTS, HAS)
"""Every derived fact's name; ``image.in`` and ``images.in`` take a list's name in brackets."""


def source_fields(field: str) -> tuple[str, ...]:
    """Return the output fields that a field is made of; the field itself where it is none of ours."""
    name, _, argument = field.partition("[")
    if name == HAS:
        return source_fields(argument.removesuffix("]"))
    found = _FACTS.get(name) or _OF_LISTS.get(name)
    return (field,) if found is None else found[1]


class Facts:
    """One alert's fields and derived facts, each worked out once, when asked for."""

    __slots__ = ("_found", "lists", "lookup", "macro")

    def __init__(
        self,
        lookup: Lookup,
        lists: Mapping[str, frozenset[str]],
        macro: Callable[[str, Lookup], str | None] = lambda _, __: None,
    ) -> None:
        """Take lists by name, and what evaluates a macro of these facts."""
        self.lookup = lookup
        self.lists = lists
        self.macro = macro
        self._found: dict[str, str | None] = {}

    def __call__(self, field: str) -> str | None:
        """Return a field's or a fact's value, None where it is absent."""
        found = self._found
        try:
            return found[field]
        except KeyError:
            value = found[field] = _WAYS[field](self)
            return value


_Way = Callable[[Facts], str | None]


class _Ways(dict[str, _Way]):
    """How each field is found. Its names are those that signs and conditions ask for."""

    def __missing__(self, field: str) -> _Way:
        way = self[field] = _way(field)
        return way


_WAYS = _Ways()


def _way(field: str) -> _Way:
    fact = _FACTS.get(field)
    if fact is not None:
        return fact[0]
    name, bracket, argument = field.partition("[")
    argument = argument.removesuffix("]")
    if name.startswith("alert.macro"):
        return lambda facts: facts.macro(field, facts)
    if name == HAS:
        return lambda facts: "no" if facts(argument) is None else "yes"
    if bracket and name in _OF_LISTS:
        find = _OF_LISTS[name][0]
        return lambda facts: find(facts, facts.lists.get(argument, frozenset()))
    return lambda facts: facts.lookup(field)
