"""LogsQL on what VictoriaLogs makes of the exporter's records: attributes keep their names.

Its data source is a plugin of VictoriaMetrics, not of Grafana's core. Lists are
JSON text there as in Loki; ``replace`` takes them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.cog import variants

PLUGIN = "victoriametrics-logs-datasource"
STREAM = "{service.name=`${service:raw}`}"
CHOSEN = (
    " _msg:~`(?i)${search:regex}` falco.verdict:~`^${verdict:regex}$` falco.priority:~`^${priority:regex}$`"
    " falco.source:~`^${source:regex}$` host.name:~`^${host:regex}$` k8s.namespace.name:~`^${namespace:regex}$`"
    " security_rule.name:~`(?i)${rule:regex}`"
)
"""What the variables leave. Each names its format, because the plugin rewrites filters around bare variables.

Backquotes leave quotes and backslashes as they are.
"""
_SERVICE = "`${service:raw}${alert:raw}`"
ONE = f" ((service.name:!={_SERVICE} log.record.uid:~`^${{alert:regex}}`) or (service.name:={_SERVICE}{CHOSEN}))"
"""The chosen alert, whatever the filters are; where none is chosen, what the filters leave."""


@dataclass
class Dataquery(variants.Dataquery):
    """A query of the plugin; the SDK has none for it."""

    expr: str
    query_type: str = "instant"
    """``instant`` for log lines, ``stats`` and ``statsRange`` for numbers."""
    lines: int = 0
    legend: str = ""
    ref: str = "A"

    def build(self) -> Dataquery:
        """Return itself, as a builder does."""
        return self

    def to_json(self) -> dict[str, object]:
        """Return the target as the plugin saves it."""
        found: dict[str, object] = {"refId": self.ref, "expr": self.expr, "queryType": self.query_type}
        if self.lines:
            found["maxLines"] = self.lines
        if self.legend:
            found["legendFormat"] = self.legend
        return found


def keep(names: Sequence[str]) -> str:
    """Leave everything away that a panel does not show."""
    return f" | fields _time, _msg, {', '.join(names)}"


def report_format(
    lines: Sequence[tuple[str, str]], texts: Sequence[tuple[str, str]], lists: Sequence[tuple[str, str]]
) -> str:
    """Return the pipes that make of a record the whole report.

    Args:
        lines: label and attribute of the header's lines.
        texts: heading and attribute of sections of prose.
        lists: heading and attribute of sections that are lists.
    """
    pipes = [_taken_apart(name, "\\n\\n• " if bullets else " ") for name, bullets in _arrays(lines, lists)]
    pipes += [_kept(name, f"{label:<16}<{name}>\\n") for label, name in lines]
    pipes += [_kept(name, f"\\n{heading(title)}<{name}>\\n") for title, name in texts]
    pipes += [_kept(name, f"\\n{heading(title)}• <{name}>\\n") for title, name in lists]
    parts = [heading("Falco alert report"), f"{'Time':<16}<_time>\\n"]
    parts += [f"<{name}>" for _, name in lines]
    parts.append(f"\\n{heading('Alert details')}<_msg>\\n")
    parts += [f"<{name}>" for _, name in [*texts, *lists]]
    return f'{"".join(pipes)} | format "{"".join(parts)}" as _msg | fields _time, _msg, severity_text'


def _arrays(lines: Sequence[tuple[str, str]], lists: Sequence[tuple[str, str]]) -> list[tuple[str, bool]]:
    """Return attributes that are lists, and whether each entry has a line of its own; identifiers share one."""
    return [(name, True) for _, name in lists] + [(name, False) for _, name in lines if name.endswith(".ids")]


def _kept(name: str, text: str) -> str:
    """Make an attribute its part of the report; an absent one stays empty, and leaves no line."""
    return f' | format if ({name}:*) "{text}" as {name}'


def _taken_apart(name: str, between: str) -> str:
    """Make a list's JSON text its entries.

    Escaped backslashes and quotes step aside first, as control characters, which JSON never has raw: what follows a
    backslash in a command is not taken for an escape, nor a quote and comma in it for the end of an entry.
    """
    steps = [("`\\\\`", r'"\x01"'), ('`\\"`', r'"\x02"')]
    ends = f'| replace_regexp (`^\\["|"\\]$`, "") at {name} '
    steps += [('`","`', f'"{between}"'), (r"`\n`", r'"\n"'), (r"`\t`", r'"\t"'), (r"`\r`", r'"\r"')]
    steps += [(f"`\\u00{ord(sign):02x}`", f"`{sign}`") for sign in "<>&'"]
    steps += [(r'"\x02"', '`"`'), (r'"\x01"', "`\\`")]
    first, rest = steps[:2], steps[2:]

    def written(pairs: Sequence[tuple[str, str]]) -> str:
        return "".join(f"| replace ({old}, {new}) at {name} " for old, new in pairs)

    return f" {written(first)}{ends}{written(rest)}".rstrip()


def heading(text: str) -> str:
    """Return a section's heading, underlined."""
    return f"{text.upper()}\\n{'─' * len(text)}\\n"
