"""Where a value stands in a snippet for Falco's rules files, and how it is written there.

Owns the places that a value may have: a list's item and an exception's value
(each the whole of a plain scalar), a name (likewise), and a place in a
condition (a block scalar, or a plain one outside brackets). Refuses every
other place, since another quoting would be needed there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import yaml

from exporter.errors import CatalogError
from exporter.escaping import Unembeddable, has_hidden, yaml_scalar
from exporter.falco.exceptions import condition_value, list_item

STAND_IN = "\ue000"
"""What stands for a value while the snippet is looked at; no author writes it."""
_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NAMES = frozenset({"rule", "macro", "list", "name"})
Writer = Callable[[str], str]


def value_writers(text: str) -> tuple[Writer, ...]:
    """Return how each value is written, in the order of the stand-ins in the snippet.

    Raises CatalogError for what is no YAML, and for a value in another place.
    """
    reader = _Reader()
    try:
        for event in yaml.parse(text, Loader=_Loader):
            reader.take(event)
    except yaml.YAMLError as exc:
        raise CatalogError(f"not a Falco rules file: {' '.join(str(exc).split())}") from exc
    if len(reader.writers) != text.count(STAND_IN):
        raise CatalogError("a placeholder stands in a comment or an anchor; expected it in a value")
    return tuple(reader.writers)


@dataclass(slots=True)
class _Open:
    """A sequence or mapping that is not closed yet."""

    is_mapping: bool
    is_flow: bool
    key: str | None = None
    """The mapping's key whose value comes next."""


class _Reader:
    """Follows libyaml's events: which key a value belongs to, and whether it is in brackets."""

    def __init__(self) -> None:
        self.writers: list[Writer] = []
        self._open: list[_Open] = []

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            return
        if not isinstance(event, yaml.NodeEvent):
            return
        parent = self._open[-1] if self._open else _Open(is_mapping=False, is_flow=False)
        is_key = parent.is_mapping and parent.key is None
        if isinstance(event, yaml.ScalarEvent) and STAND_IN in event.value:
            key = "" if is_key else parent.key
            self.writers += [self._writer(event, key)] * event.value.count(STAND_IN)
        if parent.is_mapping:
            parent.key = str(getattr(event, "value", "")) if is_key else None
        if isinstance(event, yaml.CollectionStartEvent):
            self._open.append(_Open(isinstance(event, yaml.MappingStartEvent), bool(event.flow_style)))

    def _writer(self, event: yaml.ScalarEvent, key: str | None) -> Writer:
        if event.style in {"|", ">"} and key:
            return _in_block
        if not event.style and event.value == STAND_IN and (key is None or key in _NAMES):
            return list_item if key is None else yaml_scalar
        if not event.style and key and event.value != STAND_IN and not any(found.is_flow for found in self._open):
            return _in_plain
        raise CatalogError(
            f"a placeholder stands in {event.value.replace(STAND_IN, '%{…}')!r}; expected it as the whole of an "
            "unquoted item or name, or in a condition that is a block scalar (`condition: >-`)"
        )


def _in_block(value: str) -> str:
    """A block scalar knows no escapes, Falco's grammar only some."""
    text = condition_value(value)
    if has_hidden(text):
        raise Unembeddable("a condition has no notation for hidden characters")
    return text


def _in_plain(value: str) -> str:
    """A plain scalar ends at a colon or a hash beside a space as well."""
    text = _in_block(value)
    if ": " in text or " #" in text:
        raise Unembeddable(
            "a plain YAML scalar has no notation for a colon or hash beside a space; use `condition: >-`"
        )
    return text
