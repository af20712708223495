"""The digest as Markdown: for chats and tickets.

Owns the form. Values are code spans in lists, never in tables, where a bar
would end a cell.
"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.digest.digest import INCIDENTS_SHOWN, RULES_SHOWN, Digest
from exporter.digest.words import caveats, compared, headline, label, lines_of, moment, number, percent, verdicts_of
from exporter.escaping import markdown_code


def to_markdown(digest: Digest) -> str:
    """Return the digest as Markdown, ending with a line feed."""
    blocks = [
        f"# Falco digest, {moment(digest.since_ns)} to {moment(digest.until_ns)}",
        f"**{headline(digest)}**",
        *caveats(digest),
    ]
    sections = (
        ("Verdicts", _verdicts), ("Incidents", _incidents), ("Rules that fired", _rules), ("New", _new),
        ("Grew", _grown), ("Silent now", _silent), ("Noise", _noise), ("ATT&CK", _tactics), ("Losses", _losses),
    )  # fmt: skip
    for title, lines in sections:
        if found := list(lines(digest)):
            blocks += [f"## {title}", "\n".join([f"- {line}" for line in found])]
    return "\n\n".join(blocks) + "\n"


def _verdicts(digest: Digest) -> Iterator[str]:
    before = digest.verdicts_before or {}
    for verdict, count in digest.verdicts.items():
        if count or before.get(verdict):
            change = compared(count, before.get(verdict) if digest.verdicts_before is not None else None)
            yield f"{label(verdict)}: {count:,}" + (f" ({change})" if change else "")


def _incidents(digest: Digest) -> Iterator[str]:
    for line in lines_of(digest.incidents[:INCIDENTS_SHOWN]):
        about = f", {markdown_code(line.about)}" if line.about else ""
        rules = ", ".join(map(markdown_code, line.rules[:3])) + (" …" if len(line.rules) > 3 else "")
        alerts = number(line.alerts, "alert")
        yield f"{line.label}{about}: {alerts} from {line.first} to {line.last}, {rules} ({line.id})"
    if (more := len(digest.incidents) - INCIDENTS_SHOWN) > 0:
        yield f"and {more:,} more"


def _rules(digest: Digest) -> Iterator[str]:
    for line in digest.rules[:RULES_SHOWN]:
        change = compared(line.alerts, line.before)
        yield (
            f"{markdown_code(line.rule)}: {number(line.alerts, 'alert')}"
            + (f" ({change})" if change else "")
            + f"; {verdicts_of(line)}"
        )
    if (more := len(digest.rules) - RULES_SHOWN) > 0:
        yield f"and {number(more, 'more rule', 'more rules')}"


def _new(digest: Digest) -> Iterator[str]:
    for line in digest.new[:RULES_SHOWN]:
        yield f"{markdown_code(line.rule)}: {number(line.alerts, 'alert')}; {verdicts_of(line)}"


def _grown(digest: Digest) -> Iterator[str]:
    for line in digest.grown[:RULES_SHOWN]:
        yield f"{markdown_code(line.rule)}: {line.before:,} before, {line.alerts:,} now"


def _silent(digest: Digest) -> Iterator[str]:
    for rule, before in digest.silent[:RULES_SHOWN]:
        yield f"{markdown_code(rule)}: {number(before, 'alert')} before, none now"


def _noise(digest: Digest) -> Iterator[str]:
    for noise in digest.noise:
        by = f" by {markdown_code(noise.principal)}" if noise.principal else ""
        yield (
            f"{markdown_code(noise.rule)}: {number(noise.alerts, 'alert')}, {percent(noise.share)} from "
            f"{markdown_code(noise.place)}{by}"
        )


def _tactics(digest: Digest) -> Iterator[str]:
    for tactic in digest.tactics:
        if tactic.rules:
            attacks = f", {number(tactic.attacks, 'likely attack')}" if tactic.attacks else ""
            fired = f"{tactic.rules} of {number(tactic.covered, 'rule')} fired"
            yield f"{tactic.name}: {fired}, {number(tactic.alerts, 'alert')}{attacks}"
    if silent := [tactic.name for tactic in digest.tactics if not tactic.rules]:
        yield f"no alerts for {', '.join(silent)}"


def _losses(digest: Digest) -> Iterator[str]:
    for what, count in digest.losses.items():
        yield f"{count:,} {what}"
