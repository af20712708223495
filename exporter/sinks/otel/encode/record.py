"""An alert as the bytes of an OpenTelemetry LogRecord.

Owns the record's own fields, what is constant per rule, and their order.
Refuses sending and keeping. Output: ``opentelemetry.proto.logs.v1.LogRecord``,
serialised, in two pieces (``records.Encoded``); docs/log-records.md describes every attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber

from exporter.alert import Alert, Priority
from exporter.allowance import Allowance
from exporter.escaping import visible
from exporter.event_sources import event_source
from exporter.kept import NAMES_CHARACTERS, Kept
from exporter.likeness import LIKENESSES, Likeness
from exporter.report import Advice
from exporter.sinks.otel.encode import wire
from exporter.sinks.otel.encode.advice import FULL, LEFT_OUT, NO_ADVICE, AdviceWriter
from exporter.sinks.otel.encode.advice import Encoded as EncodedAdvice
from exporter.sinks.otel.encode.alike import ADDRESS_CHARACTERS, Alike, Timeless, named
from exporter.sinks.otel.encode.attributes import FieldWriter
from exporter.sinks.otel.encode.budget import Budget, has_long_values, shorten_values, without_cut_values
from exporter.sinks.otel.encode.wire import AttributeKey
from exporter.sinks.otel.queue.grouping import Group
from exporter.sinks.otel.queue.records import Encoded

EVENT_NAME = "falco.alert"
FALCO_HOST = "falco.hostname"
"""The machine that Falco runs on, where that is not where the event happened (cloud, audit and identity sources)."""
SEVERITIES: Mapping[Priority, int] = {
    Priority.EMERGENCY: SeverityNumber.SEVERITY_NUMBER_FATAL,
    Priority.ALERT: SeverityNumber.SEVERITY_NUMBER_ERROR3,
    Priority.CRITICAL: SeverityNumber.SEVERITY_NUMBER_ERROR2,
    Priority.ERROR: SeverityNumber.SEVERITY_NUMBER_ERROR,
    Priority.WARNING: SeverityNumber.SEVERITY_NUMBER_WARN,
    Priority.NOTICE: SeverityNumber.SEVERITY_NUMBER_INFO2,
    Priority.INFORMATIONAL: SeverityNumber.SEVERITY_NUMBER_INFO,
    Priority.DEBUG: SeverityNumber.SEVERITY_NUMBER_DEBUG,
    Priority.UNKNOWN: SeverityNumber.SEVERITY_NUMBER_UNSPECIFIED,
}
"""OpenTelemetry logs data model, appendix B, syslog's row for each of Falco's words."""

_KEPT_TEMPLATES = 4_096
_LONG_TEMPLATE_BYTES = 8_192
"""Of what a record begins with and its key, beyond which it is not kept: senders make up names and tags."""
_KEPT_ALIKE_BYTES = 4 * 1024 * 1024
"""Of records in pieces, some 3 KB each."""
_TIMES = wire.Fixed64Fields(LogRecord, "time_unix_nano", "observed_time_unix_nano")
_BODY_LIMIT_CHARACTERS = 1_000
_BODY_HEADS = wire.TextHeads(wire.tag(LogRecord, "body"))


@dataclass(frozen=True, slots=True)
class _Template:
    """What every record of one rule on one host begins with."""

    tags: Sequence[str]
    encoded: bytes
    attributes: int


@dataclass(frozen=True, slots=True)
class Reports:
    """Where records get what they say besides the alert."""

    advice_for: Callable[[Alert], Advice | None] | None
    """Gives an alert's advice, or None where it cannot be made just now; None leaves it out of every record."""
    address: str = ""
    """With the alert's uid behind it, a report's own address; empty where there is none."""
    detail: str = FULL
    """How much of the advice: ``brief`` or ``full``."""
    allowance: Allowance = field(default_factory=Allowance)
    """Pays for encoding what is unlike recent advice."""
    on_left_out: Callable[[], None] = lambda: None
    """Called for each record whose advice cannot be made just now."""
    is_same_within_second: Callable[[Alert], bool] = lambda _: False
    """Says whether alerts of one second that differ in nothing but their time get the same advice."""
    incident_of: Callable[[Alert], str] | None = None
    """Gives the identifier of the incident that an alert belongs to, empty without one; None leaves it out."""


class RecordEncoder:
    """Encode alerts, one at a time."""

    def __init__(self, budget: Budget, reports: Reports) -> None:
        self._budget = budget
        self._advice_for = reports.advice_for
        self._on_left_out = reports.on_left_out
        self._report_address = reports.address
        self._fields = FieldWriter()
        self._advice = AdviceWriter(reports.detail, reports.allowance)
        self._templates: Kept[tuple[str, Priority, str, str], _Template] = Kept(
            _KEPT_TEMPLATES, entry_bytes=_LONG_TEMPLATE_BYTES
        )
        self._uid = AttributeKey("log.record.uid")
        self._url = AttributeKey("falco.report.url")
        self._incident_of = reports.incident_of
        self._is_same_within_second = reports.is_same_within_second
        self._alike: Kept[Likeness | None, Alike] = Kept(LIKENESSES, _KEPT_ALIKE_BYTES)
        self._incident = AttributeKey("falco.incident.id")

    def encode(self, alert: Alert, group: Group | None = None, *, observed_ns: int) -> Encoded:
        """Return the alert's record; of a whole group where one is given, whose last alert it is.

        ``observed_ns`` is when we saw it, nanoseconds since 1970.
        """
        likeness = alert.known_likeness
        alike = self._alike.get(likeness) if group is None else None
        if alike is not None and likeness is not None:
            if not alike.is_of(alert):
                alike = self._keep_alike(likeness, alert, alike.timeless, self._write_advice(alert))
            if alike is not None:
                return self._in_pieces(alike, alert, observed_ns)
        template, fields = self._template(alert), list[bytes]()
        self._fields.write(alert, fields)
        advice = self._write_advice(alert)
        body = _body(alert.output or _without_output(alert))
        if likeness is not None and likeness.comes_again and self._has_pieces(alert):
            timeless = Timeless(template.encoded, b"".join(fields), body, template.attributes + len(fields))
            self._keep_alike(likeness, alert, timeless, advice)
        uid = alert.uid
        parts = [_TIMES.encode(alert.time_ns, observed_ns), template.encoded, self._uid.string(uid)]
        if group is not None:
            parts += _group_attributes(alert, group)
        parts += fields
        parts += (self._own(alert, uid), body)
        attributes = template.attributes + len(parts) + 1 + advice.attributes
        if advice.shared is not None:
            advice.shared.write(alert, parts, times=1 if group is None else group.count)
        record = Encoded(b"".join(parts), advice.encoded)
        if any(advice.names_uid):
            record = named(record, advice, uid)
        return self._budget.fit(record, attributes, plain_bytes=advice.plain_bytes)

    def _own(self, alert: Alert, uid: str) -> bytes:
        """The report's address and the incident's name."""
        url = self._url.string(self._report_address + uid) if self._report_address else b""
        incident = self._incident_of(alert) if self._incident_of is not None else ""
        return url + self._incident.string(incident) if incident else url

    def _in_pieces(self, alike: Alike, alert: Alert, observed_ns: int) -> Encoded:
        uid, times = alert.uid, _TIMES.encode(alert.time_ns, observed_ns)
        return alike.record(alert, times, self._uid.string(uid), self._own(alert, uid))

    def _has_pieces(self, alert: Alert) -> bool:
        """Whether the next record of an alert like this one, in the same second, differs in no other piece."""
        if not alert.output or len(self._report_address) > ADDRESS_CHARACTERS:
            return False
        return self._advice_for is None or (self._is_same_within_second(alert) and not has_long_values(alert))

    def _keep_alike(self, likeness: Likeness, alert: Alert, timeless: Timeless, advice: EncodedAdvice) -> Alike | None:
        """Keep the pieces of such alerts' records of this second, and return them; None where there are none."""
        alike = Alike.of(alert, timeless, advice, self._budget)
        if alike is None:
            self._alike.pop(likeness, None)
        elif alike.is_lasting:
            self._alike.keep(likeness, alike, alike.size_bytes)
        return alike

    def _write_advice(self, alert: Alert) -> EncodedAdvice:
        if self._advice_for is None:
            return NO_ADVICE
        has_long = has_long_values(alert)
        advice = self._advice_for(shorten_values(alert) if has_long else alert)
        if advice is None:
            self._on_left_out()
            return LEFT_OUT
        if has_long:
            return self._advice.write(alert.rule, without_cut_values(advice), comes_again=False)
        names = len(alert.rule) + len(alert.hostname) + len(alert.source)
        return self._advice.write(alert.rule, advice, comes_again=names <= NAMES_CHARACTERS)

    def _template(self, alert: Alert) -> _Template:
        key = (alert.rule, alert.priority, alert.source, alert.hostname)
        template = self._templates.get(key)
        if template is None or template.tags != alert.tags:
            template = _to_template(alert)
            self._templates.keep(key, template, 2 * len(template.encoded))
        return template


def _to_template(alert: Alert) -> _Template:
    constants = [("security_rule.name", alert.rule), ("falco.priority", alert.priority.label)]
    source = event_source(alert.source)
    host = "host.name" if source.on_falcos_host else FALCO_HOST
    constants += [("falco.source", alert.source), (host, alert.hostname)]
    constants.append(("security_rule.category", category_of(alert.tags)))
    constants += source.attributes
    parts = [AttributeKey(name).string(value) for name, value in constants if value]
    if alert.tags:
        parts.append(AttributeKey("falco.tags").strings(alert.tags))
    severity = SEVERITIES[alert.priority]
    head = (
        wire.integer(LogRecord, "severity_number", severity)
        + wire.delimited(LogRecord, "severity_text", alert.priority.label.encode())
        + wire.delimited(LogRecord, "event_name", EVENT_NAME.encode())
    )
    return _Template(alert.tags, head + b"".join(parts), len(parts))


def category_of(tags: Sequence[str]) -> str:
    """Return the rule's first ATT&CK tactic as its tag words it, e.g. ``defense_evasion``; empty without one."""
    return next((tag.removeprefix("mitre_") for tag in tags if tag.startswith("mitre_")), "")


def _group_attributes(alert: Alert, group: Group) -> list[bytes]:
    return [
        AttributeKey("falco.group.count").integer(group.count),
        AttributeKey("falco.group.first_time").string(replace(alert, time_ns=group.first_time_ns).time_text),
        AttributeKey("falco.group.last_time").string(replace(alert, time_ns=group.last_time_ns).time_text),
    ]


def _without_output(alert: Alert) -> str:
    """Say what happened where Falco's settings leave the output text out (``json_include_output_property: false``)."""
    fields = " ".join([f"{name}={value}" for name, value in alert.all_fields().items() if alert.get(name)])
    return f"{alert.rule} ({fields})"[:_BODY_LIMIT_CHARACTERS] if fields else alert.rule


def _body(output: str) -> bytes:
    """The output text as a reader may safely see it: hidden characters show as escapes."""
    text = wire.to_utf8(visible(output))
    return _BODY_HEADS[len(text)] + text
