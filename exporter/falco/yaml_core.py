"""YAML as Falco reads it: yaml-cpp's nodes, whose scalars are texts until somebody asks for more.

Owns what differs from PyYAML's reading (YAML 1.1): ``on``, ``yes``, ``1_000``,
``1:30``, dates and a lone ``=`` are texts, ``<<`` is a key like others, the
first of two equal keys counts, and a file may hold several documents. Refuses
to nest deeper than 64, whatever the file holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from exporter.errors import ConfigError, reason_of

_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEPTH_LIMIT = 64
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_STRING = "tag:yaml.org,2002:str"


@dataclass(slots=True)
class YamlMap:
    """A mapping, with the line on which it begins."""

    line: int
    items: dict[str, YamlTree] = field(default_factory=dict)

    def get(self, key: str) -> YamlTree:
        """Return the key's value, None where it is absent or null."""
        return self.items.get(key)


YamlTree = None | str | list["YamlTree"] | YamlMap
"""A null, a scalar's text, a sequence or a mapping."""


def read_documents(text: str, name: str) -> list[YamlTree]:
    """Return the text's documents. Raises ConfigError, naming file and line, for what is no YAML or nests too deep."""
    builder = _Builder(name)
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise ConfigError(f"{name}:{line}: cannot be read as YAML: {exc.problem}") from exc
    except (yaml.YAMLError, UnicodeEncodeError) as exc:
        raise ConfigError(f"{name}: cannot be read as YAML: {' '.join(str(exc).split())}") from exc
    return builder.documents


def read_text(path: Path) -> str:
    """Return the file's text. Raises ConfigError where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: cannot be read as a Falco rules file: {reason_of(exc)}") from exc


@dataclass(slots=True)
class _Open:
    """A sequence or mapping that is not closed yet."""

    tree: list[YamlTree] | YamlMap
    key: str | None = None
    """The mapping's key whose value comes next."""


class _Builder:
    """Makes trees of libyaml's events, without recursion."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.documents: list[YamlTree] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, YamlTree] = {}

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchors = {}
        elif isinstance(event, yaml.ScalarEvent):
            null = not event.style and event.value in _NULLS and event.tag != _STRING
            self._place(None if null else str(event.value), event)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise self._error(event, f"the alias *{event.anchor} has no anchor before it")
            self._place(self._anchors[event.anchor], event)
        elif isinstance(event, yaml.SequenceStartEvent):
            self._begin([], event)
        elif isinstance(event, yaml.MappingStartEvent):
            self._begin(YamlMap(_line(event)), event)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._open.pop()

    def _begin(self, tree: list[YamlTree] | YamlMap, event: yaml.CollectionStartEvent) -> None:
        if len(self._open) >= _DEPTH_LIMIT:
            raise self._error(event, f"nests deeper than {_DEPTH_LIMIT}; expected a list of rules, macros and lists")
        self._place(tree, event)
        self._open.append(_Open(tree))

    def _place(self, tree: YamlTree, event: yaml.NodeEvent) -> None:
        anchor = None if isinstance(event, yaml.AliasEvent) else event.anchor
        if anchor is not None:
            self._anchors[anchor] = tree
        if not self._open:
            self.documents.append(tree)
            return
        parent = self._open[-1]
        if isinstance(parent.tree, list):
            parent.tree.append(tree)
        elif parent.key is None:
            parent.key = tree if isinstance(tree, str) else "" if tree is None else "(a key of several parts)"
        else:
            parent.tree.items.setdefault(parent.key, tree)
            parent.key = None

    def _error(self, event: yaml.Event, message: str) -> ConfigError:
        return ConfigError(f"{self.name}:{_line(event)}: {message}")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
