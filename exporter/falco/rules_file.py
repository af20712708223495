"""Rules files read as Falco reads them, one after the other.

Owns ``rule``, ``macro`` and ``list`` items, ``append: true``, ``override:``
and ``enabled:`` in the order of the files (falcosecurity/falco,
``userspace/engine/rule_loader_reader.cpp``, ``rule_loader_collector.cpp``).
Refuses a file that is no rules file; an item that Falco would refuse is told
in ``Rules.problems`` and left out, so that one file of several can be read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from exporter.errors import ConfigError, reason_of
from exporter.falco.items import (
    TRUE,
    Item,
    Refused,
    appended,
    exceptions_of,
    item_of,
    kind_of,
    replaced,
    require_fields,
    unique,
)
from exporter.falco.rules import NamedCondition, NamedList, Rule, Rules
from exporter.falco.yaml_core import YamlMap, read_documents, read_text

_SUFFIXES = (".yaml", ".yml")


def rules_files_in(path: Path) -> tuple[Path, ...]:
    """Return the file itself, or a directory's ``.yaml`` and ``.yml`` files in the order of their names.

    As Falco's ``rules_files`` (falco.yaml). Raises ConfigError for a directory that cannot be read or has none.
    """
    try:
        if not path.is_dir():
            return (path,)
        files = sorted(found for found in path.iterdir() if found.name.endswith(_SUFFIXES) and found.is_file())
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read as a directory of Falco rules files: {reason_of(exc)}") from exc
    if not files:
        raise ConfigError(f"{path}: found no .yaml file; expected a Falco rules file or a directory of them")
    return tuple(files)


def read_rules_files(paths: Iterable[Path]) -> Rules:
    """Return what the rules files define together, read in this order; directories hold several.

    Raises ConfigError for a file that cannot be read, is no YAML or no list of rules.
    """
    collector = _Collector()
    for path in paths:
        for file in rules_files_in(path):
            collector.read(read_text(file), str(file))
    return collector.rules


def read_rules(text: str, name: str = "rules.yaml", *, base: Rules | None = None) -> Rules:
    """Return what the text defines, after what ``base`` (left as it is) defines. Raises ConfigError as above."""
    collector = _Collector(base)
    collector.read(text, name)
    return collector.rules


class _Collector:
    def __init__(self, base: Rules | None = None) -> None:
        base = base or Rules()
        self.rules = Rules(dict(base.rules), dict(base.macros), dict(base.lists), list(base.problems))
        self.file = ""
        macros, lists = base.macros.values(), base.lists.values()
        self.step = 1 + max([-1, *(macro.visible_until for macro in macros), *(found.visible_until for found in lists)])

    def read(self, text: str, name: str) -> None:
        self.file = name
        for document in read_documents(text, name):
            if document is None:
                continue
            if not isinstance(document, list):
                raise ConfigError(f"{name}: found no list at the top; expected a Falco rules file (a list of rules)")
            for item in document:
                if item is None:
                    continue
                if not isinstance(item, YamlMap):
                    raise ConfigError(f"{name}: found {kind_of(item)} in the list; expected rules, macros and lists")
                self._take(item)

    def _take(self, item: YamlMap) -> None:
        kind = next((kind for kind in ("list", "macro", "rule") if kind in item.items), None)
        if "required_engine_version" in item.items or "required_plugin_versions" in item.items:
            return
        if kind is None:
            keys = ", ".join(map(repr, list(item.items)[:5])) or "no key"
            self.rules.problems.append(f"{self.file}:{item.line}: found {keys}, expected a rule, a macro or a list")
            return
        name = item.get(kind)
        try:
            found = item_of(kind, item)
            {"list": self._list, "macro": self._macro, "rule": self._rule}[kind](found)
        except Refused as exc:
            self.rules.problems.append(f"{self.file}:{item.line}: {kind} {name}: {exc}")
        self.step += 1

    def _list(self, item: Item) -> None:
        items, known = item.texts("items"), self.rules.lists.get(item.name)
        if not item.append:
            step = self.step if known is None else known.step
            self.rules.lists[item.name] = NamedList(item.name, items, self.step, step)
        elif known is None:
            raise Refused("is appended to, but no list of this name comes before it")
        else:
            self.rules.lists[item.name] = replace(known, items=known.items + items, visible_until=self.step)

    def _macro(self, item: Item) -> None:
        condition, known = item.text("condition"), self.rules.macros.get(item.name)
        if not item.append:
            step = self.step if known is None else known.step
            self.rules.macros[item.name] = NamedCondition(item.name, condition, self.step, step)
        elif known is None:
            raise Refused("is appended to, but no macro of this name comes before it")
        else:
            joined = f"{known.condition} {condition}"
            self.rules.macros[item.name] = replace(known, condition=joined, visible_until=self.step)

    def _rule(self, item: Item) -> None:
        known = self.rules.rules.get(item.name)
        changes = bool(item.append or item.replace) or not item.has("condition", "output", "desc", "priority")
        if not changes:
            self.rules.rules[item.name] = self._defined(item, known)
            return
        if known is None:
            raise Refused("is changed, but no rule of this name comes before it")
        if item.append or item.replace:
            known = replaced(appended(known, item), item)
        else:
            known = replace(known, enabled=item.text("enabled") in TRUE)
        self.rules.rules[item.name] = known

    def _defined(self, item: Item, known: Rule | None) -> Rule:
        source = item.text("source") if item.has("source") else "syscall"
        if known is not None and known.source != source:
            raise Refused(f"has source {known.source} before and {source} here")
        exceptions = exceptions_of(item)
        for exception in exceptions:
            require_fields(exception)
        return Rule(
            name=item.name,
            condition=item.text("condition"),
            output=item.text("output").strip(),
            priority=item.text("priority"),
            source=source,
            file=Path(self.file).name,
            desc=item.text("desc"),
            tags=unique(item.texts("tags")) if item.has("tags") else (),
            exceptions=exceptions,
            enabled=not item.has("enabled") or item.text("enabled") in TRUE,
        )
