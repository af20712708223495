"""LogQL on what Loki makes of the exporter's records: attributes as structured metadata, dots as underscores.

``service_name`` and ``service_instance_id`` are index labels, and those that ``identity.labels`` adds; everything else is
filtered after the first.
``event_name`` is never used: older versions of Loki do not keep it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from grafana_foundation_sdk.builders.loki import Dataquery
from grafana_foundation_sdk.models.loki import LokiQueryDirection

STREAM = "{service_name=`${service:raw}`}"
_FILTERS = (
    "falco_verdict=~`${verdict:regex}`",
    "falco_priority=~`${priority:regex}`",
    "falco_source=~`${source:regex}`",
    "host_name=~`${host:regex}`",
    "k8s_namespace_name=~`${namespace:regex}`",
    "security_rule_name=~`(?i).*${rule:regex}.*`",
)
CHOSEN = f" |~ `(?i)${{search:regex}}` | {' | '.join(_FILTERS)}"
"""What the variables of the dashboard of reports leave; the text filter first, because it needs no attributes.

Values stand in backquotes, where quotes and backslashes are themselves. A value with a backquote is an error that the
panel shows.
"""
_SERVICE = "`${service:raw}${alert:raw}`"
ONE = (
    f" | label_format said=`{{{{ __line__ }}}}` | (service_name!={_SERVICE} and log_record_uid=~`${{alert:regex}}.*`)"
    f" or (service_name={_SERVICE} and said=~`(?is).*${{search:regex}}.*` and {' and '.join(_FILTERS)})"
)
"""The chosen alert, whatever the filters are; where none is chosen, what the filters leave.

The service's name with the alert's uid behind it is the service's name only where no alert is chosen.
"""
HALF_HOUR_MS = 1_800_000
_MOMENT = (("Date", "2006-01-02"), ("Time", "15:04:05.999999999 MST"))
"""Go's way to write a format; in the time zone of Loki's host."""


def name(attribute: str) -> str:
    """Return Loki's name for an attribute: ``_`` for every character but letters, digits and ``_``."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", attribute)


def query(expr: str, *, lines: int, ref: str = "A") -> Dataquery:
    """The newest lines of a log query."""
    return (
        Dataquery().expr(expr).max_lines(lines).query_type("range").direction(LokiQueryDirection.BACKWARD).ref_id(ref)
    )


def metric(expr: str, legend: str, *, ref: str = "A") -> Dataquery:
    """A metric query over the range."""
    return Dataquery().expr(expr).query_type("range").legend_format(legend).ref_id(ref)


def keep(names: Sequence[str]) -> str:
    """Leave everything away that a panel does not show: a report is 20 KB, a table's row must not be."""
    return f" | keep {', '.join(names)}"


def around() -> str:
    """Two fields, milliseconds since 1970: half an hour before and after the alert, for links."""
    moment = "__timestamp__ | unixEpochMillis"
    return (
        f" | label_format from_ms=`{{{{ sub ({moment}) {HALF_HOUR_MS} }}}}`,"
        f" to_ms=`{{{{ add ({moment}) {HALF_HOUR_MS} }}}}`"
    )


def report_format(
    lines: Sequence[tuple[str, str]], texts: Sequence[tuple[str, str]], lists: Sequence[tuple[str, str]]
) -> str:
    """Return the stage that makes of a record the whole report; what a record does not have leaves no trace.

    Args:
        lines: label and attribute of the header's lines.
        texts: heading and attribute of sections of prose.
        lists: heading and attribute of sections that are lists: JSON text in Loki. Entries keep their own lines and
            have no numbers: a template's ``$i`` would look like a variable of Grafana.
    """
    parts = [_heading("Falco alert report")]
    parts += [f'{label:<16}{{{{ date \\"{shape}\\" __timestamp__ }}}}\\n' for label, shape in _MOMENT]
    parts += [_if(attribute, f"{label:<16}{_value(attribute)}\\n") for label, attribute in lines]
    parts.append(f"\\n{_heading('Alert details')}{{{{ __line__ }}}}\\n")
    parts += [_if(attribute, f"\\n{_heading(title)}{{{{ .{name(attribute)} }}}}\\n") for title, attribute in texts]
    for title, attribute in lists:
        items = f"{{{{ range fromJson .{name(attribute)} }}}}• {{{{ . }}}}\\n\\n{{{{ end }}}}"
        parts.append(_if(attribute, f"\\n{_heading(title)}{items}"))
    return f' | line_format "{"".join(parts)}"'


def _value(attribute: str) -> str:
    """An attribute's value; identifiers are a list, so one after the other."""
    field = f".{name(attribute)}"
    return (
        f"{{{{ range fromJson {field} }}}}{{{{ . }}}} {{{{ end }}}}"
        if attribute.endswith(".ids")
        else f"{{{{ {field} }}}}"
    )


def _if(attribute: str, text: str) -> str:
    return f"{{{{ if .{name(attribute)} }}}}{text}{{{{ end }}}}"


def _heading(text: str) -> str:
    return f"{text.upper()}\\n{'─' * len(text)}\\n"
