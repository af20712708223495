"""LogsQL on what VictoriaLogs makes of the exporter's records: attributes keep their names.

Its data source is a plugin of VictoriaMetrics, not of Grafana's core. Lists are
JSON text there as in Loki; ``replace`` takes them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.cog import variants

PLUGIN = "victoriametrics-logs-datasource"
STREAM = '{service.name="${service:raw}"}'
CHOSEN = (
    " _msg:~`(?i)${search:raw}` falco.verdict:~`^${verdict:regex}$` falco.priority:~`^${priority:regex}$` falco.source:~`^${source:regex}$`"
    " host.name:~`^${host:regex}$` k8s.namespace.name:~`^${namespace:regex}$` security_rule.name:~`(?i)${rule:raw}`"
)
"""What the variables leave. Each names its format, because the plugin rewrites filters around bare variables."""


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
    taken_apart = "".join(
        f' | replace_regexp (`^\\["|"\\]$`, "") at {name} | replace (`","`, "\\n\\n") at {name}'
        f' | replace (`\\n`, "\\n") at {name} | replace (`\\"`, `"`) at {name} | replace (`\\\\`, `\\`) at {name}'
        for _, name in lists
    )
    parts = [f"{label:<16}<{name}>\\n" for label, name in lines]
    parts.append(f"\\n{heading('Alert details')}<_msg>\\n")
    parts += [f"\\n{heading(title)}<{name}>\\n" for title, name in [*texts, *lists]]
    return f'{taken_apart} | format "{heading("Falco alert report")}{"".join(parts)}" as _msg | fields _time, _msg, severity'


def heading(text: str) -> str:
    """Return a section's heading, underlined."""
    return f"{text.upper()}\\n{'─' * len(text)}\\n"
