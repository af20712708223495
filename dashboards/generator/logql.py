"""LogQL on what Loki makes of the exporter's records: attributes as structured metadata, dots as underscores.

Only ``service_name`` is an index label; everything else is filtered after it.
``event_name`` is never used: older versions of Loki do not keep it.
"""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders.loki import Dataquery
from grafana_foundation_sdk.models.loki import LokiQueryDirection

STREAM = '{service_name="$service"}'
CHOSEN = (
    ' |~ "(?i)$search" | falco_priority=~"$priority" | falco_source=~"$source" | host_name=~"$host"'
    ' | k8s_namespace_name=~"$namespace" | security_rule_name=~"(?i).*$rule.*"'
)
"""What the variables of the dashboard of reports leave; the text filter first, because it needs no attributes."""


def query(expr: str, *, lines: int, ref: str = "A") -> Dataquery:
    """The newest lines of a log query."""
    return (
        Dataquery().expr(expr).max_lines(lines).query_type("range").direction(LokiQueryDirection.BACKWARD).ref_id(ref)
    )


def metric(expr: str, legend: str, *, ref: str = "A") -> Dataquery:
    """A metric query over the range."""
    return Dataquery().expr(expr).query_type("range").legend_format(legend).ref_id(ref)


def at_end(expr: str, *, ref: str = "A") -> Dataquery:
    """A metric query at the end of the range."""
    return Dataquery().expr(expr).query_type("instant").ref_id(ref)


def keep(names: Sequence[str]) -> str:
    """Leave everything away that a panel does not show: a report is 20 KB, a table's row must not be."""
    return f" | keep {', '.join(names)}"


def around(minutes: int = 30) -> str:
    """Two fields, milliseconds since 1970: this long before and after the alert, for links."""
    half = minutes * 60_000
    moment = "__timestamp__ | unixEpochMillis"
    return f' | label_format from_ms=`{{{{ sub ({moment}) {half} }}}}`, to_ms=`{{{{ add ({moment}) {half} }}}}`'


def _line(label: str, *names: str) -> str:
    """One line of the report's header: the first attribute that is there; nothing without one."""
    branches = "".join(
        f"{{{{ {'if' if index == 0 else 'else if'} .{name} }}}}{label:<16}{{{{ .{name} }}}}\\n"
        for index, name in enumerate(names)
    )
    return branches + "{{ end }}"


def _texts(heading: str, name: str) -> str:
    return f"{{{{ if .{name} }}}}\\n{_heading(heading)}{{{{ .{name} }}}}\\n{{{{ end }}}}"


def _numbered(heading: str, name: str) -> str:
    """A list that is JSON text in Loki; entries have lines of their own, which are kept."""
    items = f"{{{{ range $i, $c := fromJson .{name} }}}}{{{{ add $i 1 }}}}. {{{{ $c }}}}\\n\\n{{{{ end }}}}"
    return f"{{{{ if .{name} }}}}\\n{_heading(heading)}{items}{{{{ end }}}}"


def _heading(text: str) -> str:
    return f"{text.upper()}\\n{'─' * len(text)}\\n"


def report_format() -> str:
    """Return the pipeline stage that makes of a record the whole report, in the order in which people read it."""
    parts = [
        _heading("Falco alert report"),
        f"{'Time':<16}{{{{ date \"2006-01-02 15:04:05.000000000 MST\" __timestamp__ }}}}\\n",
        _line("Rule", "security_rule_name"),
        _line("Priority", "falco_priority"),
        _line("Source", "falco_source"),
        _line("Host", "host_name"),
        _line("Maturity", "falco_rule_maturity"),
        _line("ATT&CK", "falco_report_attack_technique_ids"),
        _line("Alerts joined", "falco_group_count"),
        _line("Report page", "falco_report_url"),
        f"\\n{_heading('Alert details')}{{{{ __line__ }}}}\\n\\n",
        _line("Process", "process_executable_name"),
        _line("Executable", "process_executable_path"),
        _line("Command line", "process_command_line"),
        _line("User", "user_name"),
        _line("User id", "user_id"),
        _line("File", "file_path"),
        _line("Peer", "network_peer_address", "client_address"),
        _line("Container", "container_name"),
        _line("Container id", "container_id"),
        _line("Image", "container_image_name"),
        _line("Namespace", "k8s_namespace_name"),
        _line("Pod", "k8s_pod_name"),
        _texts("Summary of detected activity", "falco_report_summary"),
        _texts("Possible impact", "falco_report_impact"),
        _numbered("Innocent explanations", "falco_report_innocent"),
        _numbered("Configuration changes", "falco_report_mitigation_configuration"),
        _numbered("Commands", "falco_report_mitigation_commands"),
        _numbered("Further recommendations", "falco_report_mitigation_recommendations"),
        _numbered("Tuning, if it was innocent", "falco_report_tuning"),
        _numbered("References", "falco_report_references"),
    ]
    template = "".join(parts).replace("\\", "\\").replace('"', '\\"')
    return f' | line_format "{template}"'
