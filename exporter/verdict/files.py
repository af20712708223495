"""Signs from YAML files: lists, macros and signs.

Owns the files' form (docs/verdicts.md) and the order: lists and macros of all
files first, shipped ones before an operator's. Every error names file, line
and key. Refuses to know what else an operator's file may hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from exporter.errors import CatalogError
from exporter.verdict.language import Language
from exporter.verdict.sign import SIGN_KEYS, Scope, Sign
from exporter.yaml_nodes import Node, read_document

SIGN_FILE_KEYS = frozenset({"lists", "macros", "signs"})
"""What a file of signs holds; a catalog file of an operator may hold them beside entries."""
OTHER_KEYS = frozenset({"ruleset", "source", "entries", "procedures", "shared", "defaults"})


def shipped_sign_files() -> list[Path]:
    """Return the files of signs that come with the program; lists and macros are in the first."""
    root = Path(str(resources.files("exporter.catalog").joinpath("data", "signs")))
    return sorted(root.glob("*.yaml"))


def load_signs(paths: Sequence[Path], language: Language) -> list[Sign]:
    """Read the files' lists and macros into ``language`` and return their signs. Raises CatalogError."""
    roots = [read_document(path, CatalogError).mapping(SIGN_FILE_KEYS | OTHER_KEYS) for path in paths]
    for root in roots:
        for name, node in root["lists"].entries().items() if "lists" in root else ():
            language.add_list(name, [item.text() for item in node.items()])
    for root in roots:
        for name, node in root["macros"].entries().items() if "macros" in root else ():
            _at(node, language.add_macro, name, node.text())
    return [
        sign_from_node(node, language) for root in roots for node in (root["signs"].items() if "signs" in root else ())
    ]


def sign_from_node(node: Node, language: Language, scope: Scope | None = None) -> Sign:
    """Read one sign, in a file of signs or of a catalog's entry. Raises CatalogError naming file, line and key."""
    keys = node.mapping(SIGN_KEYS, frozenset({"for", "when", "say"}))
    mapping: dict[str, Any] = {
        key: [item.text() for item in value.items()] if value.is_list() else value.text() for key, value in keys.items()
    }
    return Sign.from_mapping(mapping, node.place.removesuffix(f": {node.key}"), language=language, scope=scope)


def _at(node: Node, work: Any, *arguments: Any) -> None:
    try:
        work(*arguments)
    except CatalogError as exc:
        raise node.error(str(exc)) from exc


@lru_cache(maxsize=1)
def _shipped() -> tuple[Language, tuple[Sign, ...]]:
    language = Language()
    return language, tuple(load_signs(shipped_sign_files(), language))


def shipped_language() -> Language:
    """Return the lists and macros that come with the program; not to be added to."""
    return _shipped()[0]


def load_language(directories: Sequence[Path] = ()) -> tuple[Language, tuple[Sign, ...]]:
    """Return lists and macros, and the general signs: the shipped ones with an operator's. Raises CatalogError."""
    if not directories:
        return _shipped()
    language = Language()
    paths = shipped_sign_files()
    for directory in directories:
        paths += sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")])
    return language, tuple(load_signs(paths, language))
