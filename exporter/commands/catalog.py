"""``catalog``: what advice there is, for which rules, and whether it is sound."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

from exporter.alert import Alert, Priority
from exporter.catalog.catalog import Catalog, load_catalog
from exporter.catalog.index import CONTAINER_FIELDS, RuleFacts, facts_of
from exporter.commands.report import writer
from exporter.commands.terminal import Style
from exporter.errors import CatalogError
from exporter.escaping import visible
from exporter.falco.rules_file import read_rules_files
from exporter.lint.checks import CHECKS, check_catalog
from exporter.lint.proven import count, read_results, to_lines
from exporter.lint.samples import plain
from exporter.reporter import Reporter

_EXAMPLE_TIME_NS = 1_728_152_979_273_467_556


def list_entries(directories: Sequence[Path], *, source: str = "") -> int:
    """Print each entry's rule with its source, priority, maturity and ATT&CK techniques; return the exit code.

    1 where the source has no entries. Raises CatalogError for a wrong catalog.
    """
    catalog = load_catalog(directories)
    entries = [entry for entry in catalog.entries if not source or entry.source == source]
    if not entries:
        known = ", ".join(sorted({entry.source for entry in catalog.entries}))
        print(f"No entries for the source {source!r}; expected one of: {known}", file=sys.stderr)
        return 1
    rows = [("RULE", "SOURCE", "PRIORITY", "MATURITY", "ATT&CK")]
    for entry in entries:
        facts = catalog.facts(entry.rule)
        techniques = " ".join([technique for technique, _ in entry.techniques])
        known_facts = (facts.priority, facts.maturity) if facts else ("", "")
        rows.append((entry.rule, entry.source, *known_facts, techniques))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    style = Style(sys.stdout)
    for number, row in enumerate(rows):
        line = "  ".join([visible(cell).ljust(width) for cell, width in zip(row, widths, strict=True)]).rstrip()
        print(line if number else style.bold(line))
    print(f"\n{len(entries)} entries", file=sys.stderr)
    return 0


def show(rule: str, form: str, length: str, directories: Sequence[Path]) -> int:
    """Print the report of a made-up alert of the rule; return the exit code.

    A part of its name is enough where only one rule has it. Raises CatalogError for a rule that is not known, for a
    part that several rules have, or a wrong catalog.
    """
    catalog = load_catalog(directories)
    report = Reporter(catalog).report_for(_example_alert(catalog, _whole_name(catalog, rule)))
    sys.stdout.write(writer(form, length)(report))
    return 0


_NAMED = 8
"""Rules that an error names."""


def _whole_name(catalog: Catalog, text: str) -> str:
    """Return the name of the rule that is meant: as written, in any case, or the one name that has the text in it."""
    if catalog.entry(text) is not None or catalog.facts(text) is not None:
        return text
    names = sorted({known.rule for known in catalog.entries} | set(catalog.rules))
    folded = " ".join(text.casefold().split())
    found = [name for name in names if name.casefold() == folded] or [
        name for name in names if folded and folded in name.casefold()
    ]
    if len(found) == 1:
        return found[0]
    if found:
        shown = ", ".join(map(repr, found[:_NAMED])) + (f" and {len(found) - _NAMED} more" if found[_NAMED:] else "")
        raise CatalogError(f"{len(found)} rules have {text!r} in their name: {shown}; give more of the name")
    by_folded = {name.casefold(): name for name in names}
    near = [by_folded[name] for name in difflib.get_close_matches(folded, by_folded, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "`catalog list` shows every rule"
    raise CatalogError(f"no rule {text!r} in the catalog; {hint}")


def _example_alert(catalog: Catalog, rule: str) -> Alert:
    entry, facts = catalog.entry(rule), catalog.facts(rule)
    value = plain()
    fields = facts.available_fields if facts else frozenset(CONTAINER_FIELDS)
    return Alert(
        time_ns=_EXAMPLE_TIME_NS,
        rule=entry.rule if entry else rule,
        priority=Priority.from_label(facts.priority) if facts else Priority.WARNING,
        source=entry.source if entry else facts.source if facts else "",
        hostname="node-1",
        raw_output="An example: the values are made up.",
        fields={field: shown for field in sorted(fields) if (shown := value(field)) is not None},
        tags=facts.tags if facts else (),
    )


def validate(directories: Sequence[Path]) -> int:
    """Print every finding of the checks; return 1 where there is one, else 0. Raises CatalogError."""
    catalog = load_catalog(directories)
    findings = check_catalog(catalog, progress=_show_progress)
    _show_progress("", len(CHECKS))
    for finding in findings:
        print(visible(str(finding)))
    style = Style(sys.stdout)
    count = f"{len(catalog.entries)} entries and {len(catalog.procedures)} procedures"
    print(style.red(f"{count}: {len(findings)} findings") if findings else style.green(f"{count}: no findings"))
    return 1 if findings else 0


def _show_progress(name: str, done: int) -> None:
    """One line that is written over, at a terminal alone."""
    if sys.stderr.isatty():
        text = f"Checking the catalog: {name} ({done + 1} of {len(CHECKS)}) …" if name else ""
        print(f"\r{text:<60}", end="" if name else "\r", file=sys.stderr, flush=True)


def coverage(
    rules_files: Sequence[Path],
    directories: Sequence[Path],
    *,
    minimum_percent: float = 100.0,
    proven: Path | None = None,
) -> int:
    """Print which rules of the Falco rules files have no entry of their own; return 1 below the minimum.

    The files are read in this order, as Falco does; a directory stands for
    its files. With ``proven``, the lab's folder of results, it also prints how
    many commands were run since they last changed. Raises ConfigError for a file that is no rules file, and
    CatalogError where they have no rules.
    """
    catalog = load_catalog(directories)
    read = read_rules_files(rules_files)
    rules = facts_of(read)
    for problem in read.problems:
        print(visible(f"falco-report-exporter: {problem}; Falco would not load it"), file=sys.stderr)
    if not rules:
        raise CatalogError(f"{', '.join(map(str, rules_files))}: no rules found; expected Falco rules files")
    missing = [facts for facts in rules if catalog.entry(facts.rule, facts.source) is None]
    for name, own in _by_file(rules).items():
        _print_coverage(name, own, [facts for facts in missing if facts.ruleset == name])
    percent = 100.0 * (len(rules) - len(missing)) / len(rules)
    enough = percent >= minimum_percent
    style = Style(sys.stdout)
    covered = f"{len(rules) - len(missing)} of {len(rules)} rules"
    line = f"{covered} have an entry of their own: {percent:.1f} % (minimum {minimum_percent:g} %)"
    print(style.green(line) if enough else style.red(line))
    if proven is not None:
        _print_proof(catalog, proven)
    return 0 if enough else 1


def _print_proof(catalog: Catalog, results: Path) -> None:
    proof = count(catalog, read_results(results))
    signs = sum(len(entry.signs) for entry in catalog.entries)
    print(f"{len(catalog.entries)} entries with {signs} signs of their own")
    for line in to_lines(proof):
        print(visible(line))
    for block in proof.waiting:
        print(visible(f"  not run since it changed: {block.rule}: {block.title}"))


def _by_file(rules: Sequence[RuleFacts]) -> dict[str, list[RuleFacts]]:
    files: dict[str, list[RuleFacts]] = {}
    for facts in rules:
        files.setdefault(facts.ruleset, []).append(facts)
    return files


def _print_coverage(name: str, rules: Sequence[RuleFacts], missing: Sequence[RuleFacts]) -> None:
    print(visible(f"{name}: {len(rules) - len(missing)} of {len(rules)}"))
    for facts in sorted(missing, key=lambda facts: facts.rule):
        print(visible(f"  missing: {facts.rule} ({facts.source}, {facts.priority}{_maturity(facts)})"))


def _maturity(facts: RuleFacts) -> str:
    return f", {facts.maturity}" if facts.maturity else ""
