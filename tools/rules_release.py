"""What a new release of Falco's rules means for the catalog: `python -m tools.rules_release OLD NEW`.

OLD and NEW are directories of rules files, or single ones. It says, rule by
rule, what was added, renamed, moved, changed and removed, with the entry to
look at: its file and line, and fields that it uses and alerts no longer carry.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from exporter.catalog.catalog import Catalog, load_catalog
from exporter.catalog.index import RuleFacts, facts_of
from exporter.errors import ExporterError
from exporter.falco.rules import Rule, Rules
from exporter.falco.rules_file import read_rules_files, rules_files_in

_ALIKE = 0.75
"""From this share of equal text in their conditions on, a rule that is gone and one that is new count as renamed."""


@dataclass(frozen=True, slots=True)
class Found:
    """A rule in one release."""

    rule: Rule
    facts: RuleFacts
    around: Rules
    """What its file defines."""

    @property
    def file(self) -> str:
        """The rules file's name."""
        return Path(self.rule.file).name

    @property
    def said(self) -> str:
        """Name, and what there is to know of it at a glance."""
        about = ", ".join(filter(None, (self.file, self.rule.source, self.facts.priority, self.facts.maturity)))
        return f"{self.rule.name} ({about})"


def read_release(path: Path) -> tuple[list[Found], list[str]]:
    """Return every rule of a release, each file read by itself, and what cannot be read so. Raises ConfigError.

    A file that changes what others define (``k8s_audit_rules_gke.yaml``) makes no sense by itself.
    """
    found: list[Found] = []
    problems: list[str] = []
    for file in rules_files_in(path):
        rules = read_rules_files([file])
        found += [Found(rules.rules[facts.rule], facts, rules) for facts in facts_of(rules)]
        problems += rules.problems
    return found, problems


def pairs(old: Sequence[Found], new: Sequence[Found]) -> Iterator[tuple[Found | None, Found | None]]:
    """Yield each rule of both releases once, with its other self: by file and name, by name, or by its text."""
    left, added = list(old), list(new)
    for is_same in (
        lambda a, b: (a.file, a.rule.name) == (b.file, b.rule.name),
        lambda a, b: a.rule.name == b.rule.name,
    ):
        for after in list(added):
            before = next((each for each in left if is_same(each, after)), None)
            if before is not None:
                left.remove(before)
                added.remove(after)
                yield before, after
    for after in list(added):
        before = max(left, key=lambda each: _alike(each, after), default=None)
        if before is not None and _alike(before, after) >= _ALIKE:
            left.remove(before)
            added.remove(after)
            yield before, after
    yield from ((None, after) for after in added)
    yield from ((before, None) for before in left)


def _alike(before: Found, after: Found) -> float:
    if before.rule.source != after.rule.source:
        return 0.0
    was, now = (" ".join(each.rule.condition.split()) for each in (before, after))
    return SequenceMatcher(None, was, now, autojunk=False).ratio()


def differences(before: Found, after: Found) -> Iterator[str]:
    """Yield what differs between a rule's two selves, one line each."""
    if before.file != after.file:
        yield f"file: {before.file} -> {after.file}"
    for name, was, now in (
        ("priority", before.facts.priority, after.facts.priority),
        ("maturity", before.facts.maturity or "none", after.facts.maturity or "none"),
        ("source", before.rule.source, after.rule.source),
        ("enabled", str(before.rule.enabled).lower(), str(after.rule.enabled).lower()),
    ):
        if was != now:
            yield f"{name}: {was} -> {now}"
    yield from _text("condition", before.rule.condition, after.rule.condition)
    yield from _members("fields of the output", before.facts.fields, after.facts.fields)
    if set(before.facts.fields) == set(after.facts.fields):
        yield from _text("output", before.rule.output, after.rule.output)
    yield from _members("tags", _tags(before), _tags(after))
    yield from _members("exceptions", before.facts.exceptions, after.facts.exceptions)
    yield from _reached(before, after)


def _tags(found: Found) -> list[str]:
    return [tag for tag in found.facts.tags if not tag.startswith("maturity_")]


def _reached(before: Found, after: Found) -> Iterator[str]:
    """What differs in the macros and lists that both conditions lead to."""
    for name in sorted(set(before.facts.macros) & set(after.facts.macros)):
        yield from _text(f"macro {name}", before.around.macros[name].condition, after.around.macros[name].condition)
    for name in sorted(set(before.facts.lists) & set(after.facts.lists)):
        yield from _members(f"list {name}", before.around.lists[name].items, after.around.lists[name].items)


def _text(what: str, before: str, after: str) -> Iterator[str]:
    was, now = " ".join(before.split()), " ".join(after.split())
    if was != now:
        yield f"{what}:"
        yield f"  was {was}"
        yield f"  now {now}"


def _members(what: str, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    changed = [f"-{each}" for each in before if each not in after]
    changed += [f"+{each}" for each in after if each not in before]
    if changed:
        yield f"{what}: {' '.join(changed)}"


def advice(catalog: Catalog, before: Found | None, after: Found | None) -> Iterator[str]:
    """Yield what to do with the catalog's entry, one line each."""
    found = (catalog.entry(each.rule.name, each.rule.source) for each in (before, after) if each is not None)
    entry = next((each for each in found if each is not None), None)
    if entry is None and after is not None:
        yield f"no entry: write one in exporter/catalog/data/{after.file}"
        return
    if entry is None:
        return
    at = entry.place.removeprefix(f"{Path.cwd()}/")
    if after is None:
        yield f"entry: {at}: older Falcos still raise it; remove it when they are gone"
        return
    named = entry.rule == after.rule.name or after.rule.name in entry.former_names
    yield f"entry: {at}" if named else f"entry: {at}: give it the new name, and the old one under `former_names`"
    given = before.facts.available_fields if before else frozenset[str]()
    if lost := sorted((entry.fields_used() & given) - after.facts.available_fields):
        yield f"entry uses what alerts no longer carry: {' '.join(lost)}"


def _kind(before: Found | None, after: Found | None) -> tuple[str, str, list[str]]:
    """Return what became of a rule, its title, and what differs."""
    if after is None:
        return ("removed", before.said, []) if before else ("", "", [])
    if before is None:
        return "added", after.said, []
    differ = list(differences(before, after))
    if before.rule.name != after.rule.name:
        return "renamed", f"{before.rule.name} -> {after.said}", differ
    return "changed" if differ else "as before", after.said, differ


def lines(old: Sequence[Found], new: Sequence[Found], catalog: Catalog) -> Iterator[str]:
    """Yield the whole comparison."""
    kinds: dict[str, list[list[str]]] = {"added": [], "renamed": [], "changed": [], "removed": [], "as before": []}
    for before, after in pairs(old, new):
        kind, title, differ = _kind(before, after)
        about = [] if kind == "as before" else [*differ, *advice(catalog, before, after)]
        kinds[kind].append([f"{kind}: {title}", *[f"  {line}" for line in about]])
    yield ", ".join(f"{len(found)} {kind}" for kind, found in kinds.items())
    for kind, found in kinds.items():
        for block in sorted(found) if kind != "as before" else []:
            yield ""
            yield from block


def main(arguments: Sequence[str]) -> int:
    """Compare two releases. Returns 2 where something is wrong with the arguments or files."""
    if len(arguments) != 2:
        sys.stderr.write("usage: python -m tools.rules_release OLD NEW (directories of rules files)\n")
        return 2
    try:
        (old, _), (new, problems) = (read_release(Path(argument)) for argument in arguments)
        catalog = load_catalog(())
    except ExporterError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    left_out = ["", "left out, since their files change what others define:", *problems] if problems else []
    sys.stdout.write("\n".join([*lines(old, new, catalog), *left_out]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
