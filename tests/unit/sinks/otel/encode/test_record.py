"""An alert as a LogRecord: the same as through the SDK's own encoder, every attribute with its type."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord as SdkLogRecord
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from exporter import __version__
from exporter.alert import Alert, Priority
from exporter.catalog.catalog import load_catalog
from exporter.catalog.uid import UID_SENTINEL
from exporter.render.document import Length
from exporter.render.markdown import to_markdown
from exporter.render.pager import to_pager
from exporter.report import Advice, Report
from exporter.reporter import Reporter
from exporter.simulator.scenarios import flood
from exporter.sinks.otel.encode.budget import Budget
from exporter.sinks.otel.encode.record import RecordEncoder, Reports
from exporter.sinks.otel.queue.grouping import Group
from exporter.sinks.otel.queue.records import Encoded, Records
from exporter.sinks.otel.send.envelope import SCHEMA_URL, SCOPE_NAME, Envelope, to_resource
from exporter.sources.decode import from_json
from tests.hostile import hostile_alerts
from tests.otel_records import ALERT, advice_for, attributes_of, many, text

OBSERVED_NS = 1_728_152_979_999_999_999


def encoder(
    *,
    limit_bytes: int = 48_000,
    attribute_limit: int = 100,
    advice_for: Callable[[Alert], Advice] | None = advice_for,
    address: str = "",
    detail: str = "full",
) -> RecordEncoder:
    return RecordEncoder(Budget(limit_bytes, attribute_limit, lambda: None), Reports(advice_for, address, detail))


def record_of(alert: Alert, **options: Any) -> LogRecord:
    return LogRecord.FromString(encoder(**options).encode(alert, observed_ns=OBSERVED_NS).joined)


def records_of(*records: Encoded) -> Records:
    joined = Records()
    for record in records:
        joined.add(record)
    return joined


def fields(**values: str) -> Alert:
    return replace(ALERT, fields={name.replace("__", "."): value for name, value in values.items()})


def test_every_attribute_has_its_name_its_value_and_its_type() -> None:
    """The whole record of one alert with a report, field by field."""
    record = record_of(ALERT, address="https://falco.example/reports/")
    assert record.time_unix_nano == ALERT.time_ns
    assert record.observed_time_unix_nano == OBSERVED_NS
    assert (record.severity_number, record.severity_text) == (13, "Warning")
    assert record.event_name == "falco.alert"
    assert record.body.string_value == "Log files were tampered | file=/var/log/syslog"
    assert attributes_of(record) == {
        "security_rule.name": "Clear Log Activities",
        "security_rule.category": "defense_evasion",
        "security_rule.ruleset.name": "falco_rules.yaml",
        "security_rule.reference": "https://falco.org/docs/reference/rules/default-rules/",
        "falco.priority": "Warning",
        "falco.source": "syscall",
        "falco.tags": ["T1070", "container", "maturity_stable", "mitre_defense_evasion"],
        "falco.rule.maturity": "stable",
        "host.name": "mini-debian-lab",
        "log.record.uid": ALERT.uid,
        "container.id": "3ad7b26ded6d",
        "container.image.name": "docker.io/falcosecurity/event-generator",
        "container.image.tags": ["latest"],
        "container.image.repo_digests": ["docker.io/falcosecurity/event-generator@sha256:00ff"],
        "falco.output_fields.evt.type": "openat",
        "file.path": "/var/log/syslog",
        "process.command_line": "event-generator run syscall --loop",
        "process.executable.path": "/bin/event-generator",
        "process.executable.name": "event-generator",
        "process.pid": 4711,
        "process.interactive": True,
        "falco.output_fields.proc.tty": "34816",
        "falco.output_fields.user.loginuid": "-1",
        "user.name": "root",
        "user.id": "0",
        "falco.verdict": "attack",
        "falco.outcome": "succeeded",
        "falco.signs": ["[attack, 4] not rotated: /var/log/syslog"],
        "falco.report.composed": False,
        "falco.report.title": "LIKELY ATTACK, escalate now: log emptied",
        "falco.report.markdown": to_markdown(Report(ALERT, advice_for(ALERT)), Length.BRIEF),
        "falco.report.pager": to_pager(Report(ALERT, advice_for(ALERT))).rstrip("\n"),
        "falco.report.summary": "The file /var/log/syslog was emptied.",
        "falco.report.impact": "Emptied logs hide what came before.",
        "falco.report.attack.technique.ids": ["T1070.002"],
        "falco.report.attack.technique.names": ["Clear Linux or Mac System Logs"],
        "falco.report.attack.tactic.ids": ["TA0005"],
        "falco.report.attack.tactic.names": ["Defense Evasion"],
        "falco.report.mitigation.commands": [
            "[look, host] Look at it: stat -- /var/log/syslog\nLook for: size 0",
            "[contain, node] Stop it: docker pause 3ad\nBreaks: the service\nUndo: docker x",
        ],
        "falco.report.mitigation.configuration": [
            "Send logs away: /etc/rsyslog.d/90.conf (rsyslog)\na\nb\nCheck: c -N1"
        ],
        "falco.report.mitigation.recommendations": ["Consider chattr +a."],
        "falco.report.benign": ["It is a test.", "logrotate"],
        "falco.report.tuning": ["Allow it: /etc/falco/rules.d/x.yaml (falco)\n- macro: x"],
        "falco.report.references": [
            "ATT&CK <https://attack.mitre.org/techniques/T1070/002/>",
            "The rule <https://falco.org/docs/reference/rules/default-rules/>",
        ],
        "falco.report.url": f"https://falco.example/reports/{ALERT.uid}",
    }


def test_brief_records_carry_what_a_reader_needs_first() -> None:
    """Verdict, outcome, signs, techniques, pager lines and the brief report; no long list, and nothing twice."""
    full, brief = attributes_of(record_of(ALERT)), attributes_of(record_of(ALERT, detail="brief"))
    left_out = {
        "security_rule.ruleset.name",
        "security_rule.reference",
        *(f"falco.report.{name}" for name in ("composed", "title", "impact")),
        *(f"falco.report.attack.{name}" for name in ("technique.names", "tactic.ids", "tactic.names")),
        *(f"falco.report.mitigation.{name}" for name in ("commands", "configuration", "recommendations")),
        *(f"falco.report.{name}" for name in ("benign", "tuning", "references")),
    }
    assert full.keys() - brief.keys() == left_out & full.keys()
    assert brief == {name: value for name, value in full.items() if name not in left_out}
    for name in ("falco.verdict", "falco.report.pager", "falco.report.markdown", "falco.report.attack.technique.ids"):
        assert brief[name]


def test_a_record_says_that_its_advice_was_left_out() -> None:
    """In a flood advice cannot be made for each: the record has the alert, says so, and is counted."""
    counted: list[int] = []
    reports = Reports(lambda _: None, "https://x/", on_left_out=lambda: counted.append(1))
    record = RecordEncoder(Budget(48_000, 100, lambda: None), reports).encode(ALERT, observed_ns=OBSERVED_NS)
    bare = attributes_of(record_of(ALERT, advice_for=None, address="https://x/"))
    assert attributes_of(LogRecord.FromString(record.joined)) == bare | {"falco.report.left_out": True}
    assert counted == [1]


def test_the_median_brief_record_has_at_most_4_kib() -> None:
    """Of what the simulator sends, with real advice and an address of the report's page."""
    reporter = Reporter(load_catalog())
    reports = Reports(reporter.brief_advice_for, "https://falco-exporter.example.com/reports/", "brief")
    encoder = RecordEncoder(Budget(262_144, 128, lambda: None), reports)
    found = [from_json(alert.to_json().encode()) for alert in flood(230, 1_760_000_000_000_000_000)]
    assert statistics.median(len(encoder.encode(alert, observed_ns=1).joined) for alert in found) <= 4_096


def through_the_sdk(record: LogRecord) -> ExportLogsServiceRequest:
    """The same content as an SDK record, encoded by the SDK."""
    severity = SeverityNumber(record.severity_number)
    sdk_record = SdkLogRecord(
        timestamp=record.time_unix_nano,
        observed_timestamp=record.observed_time_unix_nano,
        severity_number=severity,
        severity_text=record.severity_text,
        body=record.body.string_value,
        attributes=attributes_of(record),
        event_name=record.event_name,
    )
    scope = InstrumentationScope(SCOPE_NAME, __version__, SCHEMA_URL)
    return encode_logs([ReadableLogRecord(sdk_record, to_resource(host_name="h"), scope)])


names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)
values = st.text(max_size=300)
mapped = st.sampled_from(["proc.pid", "fd.name", "proc.tty", "container.image.tag", "user.uid", "ka.target.name"])
alerts = st.builds(
    Alert,
    time_ns=st.integers(0, 2**63),
    rule=values,
    priority=st.sampled_from(Priority),
    source=st.sampled_from(["syscall", "k8s_audit", "aws_cloudtrail", "x"]),
    hostname=values,
    raw_output=values,
    fields=st.dictionaries(names | mapped, values),
    tags=st.lists(values, max_size=5),
)


@given(alert=alerts)
def test_records_are_the_same_as_through_the_sdks_encoder(alert: Alert) -> None:
    """Whatever an alert holds, the request equals what opentelemetry-sdk makes of the same content."""
    encoded = encoder(limit_bytes=10**7, attribute_limit=10**4).encode(alert, observed_ns=OBSERVED_NS)
    request = Envelope(to_resource(host_name="h")).request(records_of(encoded))
    assert ExportLogsServiceRequest.FromString(request) == through_the_sdk(LogRecord.FromString(encoded.joined))


@pytest.mark.parametrize(
    ("priority", "number"),
    list(zip(list(Priority)[:8], (21, 19, 18, 17, 13, 10, 9, 5), strict=True)),
)
def test_severity_follows_the_data_models_appendix(priority: Priority, number: int) -> None:
    """Each of Falco's eight words has its severity number, and stays the severity text."""
    record = record_of(replace(ALERT, priority=priority))
    assert (record.severity_number, record.severity_text) == (number, priority.label)
    assert attributes_of(record)["falco.priority"] == priority.label


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        (fields(fd__name="10.0.0.1:80->10.0.0.2:99"), {"falco.output_fields.fd.name": "10.0.0.1:80->10.0.0.2:99"}),
        (fields(fd__name="/x", fd__type="unix"), {"falco.output_fields.fd.name": "/x"}),
        (fields(fd__name="/x", fd__type="file"), {"file.path": "/x"}),
        (fields(proc__pid="x"), {"falco.output_fields.proc.pid": "x"}),
        (fields(proc__tty="0"), {"process.interactive": False, "falco.output_fields.proc.tty": "0"}),
        (fields(fd__rport="443", fd__l4proto="TCP"), {"network.peer.port": 443, "network.transport": "tcp"}),
        (
            fields(ka__target__resource="deployments", ka__target__name="web", ka__target__namespace="shop"),
            {
                "k8s.deployment.name": "web",
                "falco.output_fields.ka.target.name": "web",
                "k8s.namespace.name": "shop",
                "falco.output_fields.ka.target.resource": "deployments",
            },
        ),
        (
            fields(ka__target__resource="pods", ka__resp__name="web-x7k2p"),
            {
                "k8s.pod.name": "web-x7k2p",
                "falco.output_fields.ka.resp.name": "web-x7k2p",
                "falco.output_fields.ka.target.resource": "pods",
            },
        ),
        (
            fields(ka__target__resource="pods", ka__target__name="web", ka__resp__name="web-x7k2p"),
            {
                "k8s.pod.name": "web",
                "falco.output_fields.ka.target.name": "web",
                "falco.output_fields.ka.resp.name": "web-x7k2p",
                "falco.output_fields.ka.target.resource": "pods",
            },
        ),
        (
            fields(static__cluster="prod", static__environment="live", static__owner="team"),
            {
                "k8s.cluster.name": "prod",
                "deployment.environment.name": "live",
                "falco.output_fields.static.owner": "team",
            },
        ),
        (fields(ka__response__code="403"), {"http.response.status_code": 403}),
        (
            replace(fields(ct__srcip="192.0.2.1", ct__region="eu-west-1"), source="aws_cloudtrail"),
            {"client.address": "192.0.2.1", "cloud.region": "eu-west-1", "cloud.provider": "aws"},
        ),
        (
            replace(fields(gcp__projectId="p"), source="gcp_auditlog"),
            {"cloud.account.id": "p", "cloud.provider": "gcp"},
        ),
        (
            replace(fields(github__repo__name="r", github__owner="o"), source="github"),
            {"vcs.repository.name": "r", "vcs.owner.name": "o", "vcs.provider.name": "github"},
        ),
        (fields(user__name="a", ka__user__name="b"), {"user.name": "a", "falco.output_fields.ka.user.name": "b"}),
    ],
)
def test_fields_become_semantic_conventions_where_they_mean_them(alert: Alert, expected: dict[str, Any]) -> None:
    """A field has its convention's attribute and type, or stays under falco.output_fields as it came."""
    attributes = attributes_of(record_of(alert, advice_for=None))
    assert {key: attributes.get(key) for key in expected} == expected
    named = {"security_rule.name", "security_rule.category", "falco.priority", "falco.source", "falco.tags"}
    extra = attributes.keys() - expected.keys() - named - {"host.name", "falco.hostname", "log.record.uid"}
    assert extra <= {"falco.output_fields.fd.type"}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("syscall", "host.name"),
        ("internal", "host.name"),
        ("k8s_audit", "falco.hostname"),
        ("aws_cloudtrail", "falco.hostname"),
        ("okta", "falco.hostname"),
        ("a_plugin", "falco.hostname"),
    ],
)
def test_the_host_is_where_the_event_happened(source: str, name: str) -> None:
    """Falco's machine is host.name only for events of that machine; for others it has a name of its own."""
    attributes = attributes_of(record_of(replace(ALERT, source=source), advice_for=None))
    assert {key: value for key, value in attributes.items() if key in {"host.name", "falco.hostname"}} == {
        name: "mini-debian-lab"
    }


def test_numbers_keep_their_value_whatever_their_length() -> None:
    """Small, large and negative numbers, one encoder for all: each is an int of just that value."""
    numbers = [0, 1, 127, 128, 16_383, 16_384, 2**21, 2**31, 10**18 - 1, -1, -(10**17)]
    encode = encoder(advice_for=None).encode
    encoded = [encode(fields(proc__pid=str(number)), observed_ns=OBSERVED_NS).joined for number in (*numbers, *numbers)]
    assert [attributes_of(LogRecord.FromString(record))["process.pid"] for record in encoded] == numbers * 2


@pytest.mark.parametrize("value", ["", "<NA>"])
def test_absent_fields_have_no_attribute(value: str) -> None:
    """What Falco could not tell is left out, mapped or not, as is "host" for a container."""
    alert = fields(proc__name=value, custom=value, container__id="host", user__uid="-1")
    keys = attributes_of(record_of(alert, advice_for=None)).keys()
    assert not [key for key in keys if key.startswith(("process.", "falco.output_fields.", "container.", "user."))]


@pytest.mark.parametrize("alert", hostile_alerts())
def test_hostile_alerts_make_valid_records_within_the_limits(alert: Alert) -> None:
    """Whatever an attacker puts everywhere: UTF-8 is valid, the limits hold, no control character is in the body."""
    encoded = encoder().encode(alert, observed_ns=OBSERVED_NS).joined
    record = LogRecord.FromString(encoded)
    attributes_of(record)
    assert len(encoded) <= 48_000
    assert len(record.attributes) <= 100
    assert not [character for character in record.body.string_value if ord(character) < 0x20 or ord(character) == 0x7F]


def test_an_alert_without_output_text_has_a_body_of_its_fields() -> None:
    """Falco leaves the text out by a setting; absent fields say nothing, and what is long is cut."""
    alert = replace(fields(proc__name="cat", fd__name="/etc/shadow", user__name="<NA>"), raw_output="")
    body = record_of(alert).body.string_value
    assert body == f"{alert.rule} (proc.name=cat fd.name=/etc/shadow)"
    assert record_of(replace(alert, fields={})).body.string_value == alert.rule
    assert len(record_of(replace(alert, fields={"proc.cmdline": "x" * 5_000})).body.string_value) == 1_000


def test_prose_shows_hidden_characters_and_field_values_stay_exact() -> None:
    """What a person reads cannot drive a terminal; the evidence is kept byte by byte."""
    alert = fields(fd__name="/tmp/\x1b[31mred", other="\x1b[31m\n")
    attributes = attributes_of(record_of(alert))
    assert attributes["falco.report.summary"] == "The file /tmp/\\x1b[31mred was emptied."
    assert attributes["file.path"] == "/tmp/\x1b[31mred"
    assert attributes["falco.output_fields.other"] == "\x1b[31m\n"


def test_the_advices_stand_in_for_the_uid_becomes_each_alerts_own() -> None:
    """One piece of advice, encoded once, names the uid of whichever alert it is sent with."""
    command = advice_for(ALERT).commands[0]._replace(run=f"d=/root/evidence/{UID_SENTINEL}")
    advice = replace(advice_for(ALERT), commands=(command,), names_uid=True)
    encode = encoder(advice_for=lambda alert: advice).encode
    for alert in many(2):
        attributes = attributes_of(LogRecord.FromString(encode(alert, observed_ns=OBSERVED_NS).joined))
        assert f"d=/root/evidence/{alert.uid}\n" in attributes["falco.report.mitigation.commands"][0]
        assert f"d=/root/evidence/{alert.uid}\n" in attributes["falco.report.markdown"]
        assert attributes["falco.report.markdown"] == to_markdown(Report(alert, advice), Length.BRIEF)


def test_a_groups_record_says_how_often() -> None:
    """The pager's lines of a group count its alerts, those of one alert say once."""
    group = Group(0.0)
    for alert in many(3):
        group.add(alert)
    for found, often in ((group, "3 times"), (None, "once")):
        record = LogRecord.FromString(encoder().encode(ALERT, found, observed_ns=OBSERVED_NS).joined)
        assert f" · {often} · " in attributes_of(record)["falco.report.pager"].split("\n")[1]


def test_a_report_that_a_value_has_blown_up_is_left_out_whole() -> None:
    """Half a report is worse than none: beyond its limit the Markdown is absent, its parts are there."""
    advice = replace(advice_for(ALERT), summary=text("x" * 17_000))
    attributes = attributes_of(record_of(ALERT, advice_for=lambda alert: advice))
    assert "falco.report.markdown" not in attributes
    assert attributes["falco.report.summary"] == "x" * 17_000
    assert "falco.report.truncated" not in attributes


def test_what_a_rule_keeps_is_encoded_anew_when_it_changes() -> None:
    """A part that is another object than before, a tag or a host that changed, shows in the next record."""
    encode = encoder(advice_for=lambda alert: replace(advice_for(alert), summary=text(alert.hostname))).encode
    first, second = (replace(ALERT, hostname=name, tags=(name,)) for name in ("a", "b"))
    encoded = [encode(alert, observed_ns=OBSERVED_NS).joined for alert in (first, second, first)]
    read = [attributes_of(LogRecord.FromString(record)) for record in encoded]
    assert [attributes["falco.report.summary"] for attributes in read] == ["a", "b", "a"]
    assert [attributes["falco.tags"] for attributes in read] == [["a"], ["b"], ["a"]]


def test_long_names_leave_nothing_behind() -> None:
    """Advice that names a rule or a host of a megabyte is not kept beside its attributes, which are far smaller."""
    reporter = Reporter(load_catalog())
    encoder = RecordEncoder(Budget(262_144, 128, lambda: None), Reports(reporter.brief_advice_for, "", "brief"))
    writer = encoder._advice
    encoder.encode(ALERT, observed_ns=1)
    before = len(writer._kept)
    assert before == 1
    for changed in ({"rule": "r" * 100_000}, {"hostname": "h" * 100_000}):
        encoder.encode(replace(ALERT, **changed), observed_ns=1)
    assert len(writer._kept) == before
