"""YAML with positions: every complaint names file, line and key.

Owns reading a YAML document as nodes that know where they stand; refuses to
know what the keys mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from exporter.errors import ExporterError, nearest, reason_of

_Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Node:
    """One YAML node with its place: file, line and the key that leads to it."""

    def __init__(self, node: yaml.Node, *, file: str, key: str, error_type: type[ExporterError]) -> None:
        self._node = node
        self._error_type = error_type
        self.file = file
        self.key = key

    def _at(self, node: yaml.Node, key: str) -> Node:
        return Node(node, file=self.file, key=key, error_type=self._error_type)

    @property
    def place(self) -> str:
        """``FILE:LINE: KEY``, as editors and terminals make it clickable."""
        return f"{self.file}:{self._node.start_mark.line + 1}: {self.key}"

    def error(self, message: str) -> ExporterError:
        """Return an error that says where it stands."""
        return self._error_type(f"{self.place}: {message}")

    def text(self) -> str:
        """Return the scalar's text. Raises the error type for anything else."""
        if not isinstance(self._node, yaml.ScalarNode) or self._node.tag == "tag:yaml.org,2002:null":
            raise self.error(f"found {_kind(self._node)}, expected a single value")
        return str(self._node.value)

    def items(self) -> Iterator[Node]:
        """Yield a sequence's items, whose keys count them from 1. Raises the error type for anything else."""
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.error(f"found {_kind(self._node)}, expected a list")
        for number, item in enumerate(self._node.value, 1):
            yield self._at(item, f"{self.key}#{number}")

    def mapping(
        self,
        allowed: frozenset[str],
        required: frozenset[str] = frozenset(),
        *,
        problems: list[ExporterError] | None = None,
    ) -> dict[str, Node]:
        """Return a mapping's values by key. Raises the error type for an unknown, doubled or missing key.

        With ``problems`` unknown keys are added there and left out, so that one reading finds them all.
        """
        if not isinstance(self._node, yaml.MappingNode):
            raise self.error(f"found {_kind(self._node)}, expected keys and values")
        found: dict[str, Node] = {}
        for key_node, value in self._node.value:
            key = str(key_node.value)
            child = self._at(value, f"{self.key}.{key}" if self.key else key)
            if key not in allowed:
                unknown = self._at(key_node, child.key).error(
                    f"unknown key {key!r}{nearest(key, allowed)}; expected one of: {', '.join(sorted(allowed))}"
                )
                if problems is None:
                    raise unknown
                problems.append(unknown)
                continue
            if key in found:
                raise child.error("duplicate key")
            found[key] = child
        if missing := required - found.keys():
            raise self.error(f"missing key: {', '.join(sorted(missing))}")
        return found

    def entries(self) -> dict[str, Node]:
        """Return a mapping's values by key, whatever its keys are. Raises the error type for anything else."""
        if not isinstance(self._node, yaml.MappingNode):
            raise self.error(f"found {_kind(self._node)}, expected keys and values")
        keys = frozenset(str(key.value) for key, _ in self._node.value)
        return self.mapping(keys)

    def is_list(self) -> bool:
        """Whether the node is a sequence."""
        return isinstance(self._node, yaml.SequenceNode)

    def is_text(self) -> bool:
        """Whether the node is a scalar."""
        return isinstance(self._node, yaml.ScalarNode)


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "keys and values"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return f"the text {str(node.value)[:40]!r}" if node.value else "nothing"


def _line(error: yaml.MarkedYAMLError) -> int:
    return error.problem_mark.line + 1 if error.problem_mark else 1


def _hint(error: yaml.MarkedYAMLError, text: str) -> str:
    """Return what the parser's words mean as a rule, where they are known to puzzle people."""
    lines = text.splitlines()
    found = lines[_line(error) - 1] if _line(error) <= len(lines) else ""
    if re.match(r" *\t", found):
        return "; a tab indents this line, use spaces"
    if "mapping values are not allowed" in str(error.problem):
        return "; is the line indented too far, or is there a `: ` in a value that needs quotes?"
    if "could not find expected ':'" in str(error.problem):
        return "; is the `:` after a key missing, here or in the line above?"
    return ""


def read_document(path: Path, error_type: type[ExporterError]) -> Node:
    """Return the root node of the file's one document; its complaints are of ``error_type``.

    Raises the error type where the file cannot be read, is no YAML, or holds nothing.
    """
    return document_of(read_text(path, error_type), path, error_type)


def read_text(path: Path, error_type: type[ExporterError]) -> str:
    """Return what a YAML file holds. Raises the error type where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise error_type(f"{path}: cannot be read: found bytes that are not UTF-8, expected a YAML file") from exc
    except OSError as exc:
        raise error_type(f"{path}: cannot be read: {reason_of(exc)}; expected a YAML file") from exc


def document_of(text: str, path: Path, error_type: type[ExporterError]) -> Node:
    """Return the root node of a document, as ``read_document``; ``text`` is the file's, or a part of it."""
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as exc:
        raise error_type(f"{path}:{_line(exc)}: not valid YAML: {exc.problem}{_hint(exc, text)}") from exc
    except yaml.YAMLError as exc:
        raise error_type(f"{path}: not valid YAML: {' '.join(str(exc).split())}") from exc
    if root is None:
        raise error_type(f"{path}:1: the file is empty; expected keys and values")
    return Node(root, file=str(path), key="", error_type=error_type)
