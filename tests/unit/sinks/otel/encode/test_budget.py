"""The size of a record: the least important goes first, and the record says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from exporter.alert import Alert
from exporter.report import Advice
from exporter.sinks.otel.encode.budget import Budget
from exporter.sinks.otel.encode.record import RecordEncoder, Reports
from tests.otel_records import ALERT, advice_for, attributes_of, text


def cut(
    fields: Mapping[str, str], *, limit_bytes: int = 48_000, attribute_limit: int = 100, reports: Any = advice_for
) -> tuple[dict[str, Any], int]:
    """The attributes of a record with these fields, and how many records were counted as cut."""
    counted: list[int] = []
    budget = Budget(limit_bytes, attribute_limit, lambda: counted.append(1))
    encoded = RecordEncoder(budget, Reports(reports)).encode(replace(ALERT, fields=fields), observed_ns=1).joined
    assert loki_size(LogRecord.FromString(encoded)) <= limit_bytes
    return attributes_of(LogRecord.FromString(encoded)), len(counted)


def loki_size(record: LogRecord) -> int:
    """What Loki counts: names and values, arrays as the JSON text that Go writes."""
    size = len(record.body.string_value.encode())
    for key, value in attributes_of(record).items():
        shown = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else str(value)
        for sign in "<>&":
            shown = shown.replace(sign, f"\\u{ord(sign):04x}") if isinstance(value, list) else shown
        size += len(key.encode()) + len(shown.encode())
    return size


def test_an_ordinary_record_is_not_cut() -> None:
    """Nothing is said of cutting where nothing was cut."""
    attributes, counted = cut(ALERT.fields)
    assert "falco.report.truncated" not in attributes
    assert counted == 0


def test_long_values_are_shortened_before_anything_goes() -> None:
    """A megabyte in one field costs that field its end, and no advice."""
    attributes, counted = cut({"proc.cmdline": "x" * 1_000_000, "other": "kept"})
    assert attributes["falco.report.truncated"] is True
    assert attributes["falco.report.truncated_attributes"] == ["process.command_line"]
    assert attributes["process.command_line"].endswith("… [cut]")
    assert attributes["falco.output_fields.other"] == "kept"
    assert "falco.report.mitigation.commands" in attributes
    assert counted == 1


def test_other_output_fields_go_before_advice_and_conventions() -> None:
    """Two hundred fields leave room for what matters: the last ones of the alert go."""
    attributes, _ = cut({"proc.name": "bash", **{f"custom.{index}": "x" for index in range(200)}})
    assert len(attributes) <= 100
    assert attributes["process.executable.name"] == "bash"
    assert "falco.output_fields.custom.0" in attributes
    assert "falco.output_fields.custom.199" not in attributes
    assert "falco.report.references" in attributes


def test_commands_are_dropped_whole_and_not_cut_in_two() -> None:
    """An entry of the advice that a value has blown up is left out: half a command is dangerous."""

    def reports(alert: Alert) -> Advice:
        advice = advice_for(alert)
        long = advice.commands[0]._replace(run="rm -- " + "x" * 60_000)
        return replace(advice, commands=(long, advice.commands[1]))

    attributes, _ = cut(ALERT.fields, reports=reports)
    assert [entry.split(":")[0] for entry in attributes["falco.report.mitigation.commands"]] == [
        "[contain, node] Stop it"
    ]
    assert attributes["falco.report.truncated_attributes"] == ["falco.report.mitigation.commands"]


def test_arrays_count_as_loki_writes_them() -> None:
    """Angle brackets in an array are six bytes each in Loki, and are counted so."""
    attributes, counted = cut(
        ALERT.fields,
        reports=lambda alert: replace(
            advice_for(alert), recommendations=tuple(text("<" * 3_000 + str(number)) for number in range(4))
        ),
    )
    assert counted == 1
    assert attributes["falco.report.truncated"] is True


def test_a_long_value_costs_itself_and_not_the_advice() -> None:
    """Sixty kilobytes of command line in advice that names it everywhere: all of the advice that is whole stays."""

    def reports(alert: Alert) -> Advice:
        command_line = alert.get("proc.cmdline") or ""
        advice = advice_for(alert)
        named = advice.commands[0]._replace(run=f"pkill -f -- '{command_line}'")
        return replace(
            advice,
            summary=text("It ran ", command_line, "."),
            commands=(named, *advice.commands[1:]),
            impact=text("It ran ", command_line),
        )

    attributes, counted = cut({"proc.cmdline": "x" * 60_000, "fd.name": "/var/log/syslog"}, reports=reports)
    assert len(attributes["process.command_line"].encode()) == 8_192
    assert attributes["falco.report.summary"].endswith("… [cut].")
    for name in ("markdown", "pager", "title", "impact", "references", "tuning", "mitigation.recommendations"):
        assert attributes[f"falco.report.{name}"]
    # Half a command does something else than the whole.
    assert [entry.split(":")[0] for entry in attributes["falco.report.mitigation.commands"]] == [
        "[contain, node] Stop it"
    ]
    assert "pkill" not in attributes["falco.report.markdown"]
    assert attributes["falco.report.truncated_attributes"] == ["process.command_line"]
    assert counted == 1


def test_what_is_dropped_is_counted_in_the_record() -> None:
    """dropped_attributes_count says how many attributes are gone; shortened ones are not among them."""
    fields = {"proc.cmdline": "x" * 60_000, **{f"custom.{index:03d}": "x" for index in range(200)}}
    encoder = RecordEncoder(Budget(48_000, 100, lambda: None), Reports(advice_for))
    whole = RecordEncoder(Budget(10**7, 10**4, lambda: None), Reports(advice_for))
    alert = replace(ALERT, fields=fields)
    record = LogRecord.FromString(encoder.encode(alert, observed_ns=1).joined)
    all_of_it = LogRecord.FromString(whole.encode(alert, observed_ns=1).joined)
    added = len({"falco.report.truncated", "falco.report.truncated_attributes"})
    assert record.dropped_attributes_count == len(all_of_it.attributes) - (len(record.attributes) - added) > 100
    assert all_of_it.dropped_attributes_count == 0


@given(
    fields=st.dictionaries(st.text(min_size=1), st.text(max_size=2_000), max_size=40),
    limit_bytes=st.integers(4_000, 20_000),
    attribute_limit=st.integers(10, 60),
)
def test_whatever_comes_fits(fields: dict[str, str], limit_bytes: int, attribute_limit: int) -> None:
    """The limits hold for any fields, and the record still says which alert it is."""
    attributes, _ = cut(fields, limit_bytes=limit_bytes, attribute_limit=attribute_limit)
    assert len(attributes) <= attribute_limit
    assert attributes["log.record.uid"]
    assert attributes["security_rule.name"] == ALERT.rule


def test_of_very_many_tags_the_first_stay() -> None:
    """Only a forged alert has so many; before, its tags went whole, after each field and most of the advice."""
    encoder = RecordEncoder(Budget(48_000, 100, lambda: None), Reports(advice_for))
    alert = replace(ALERT, tags=[f"tag-{number}" for number in range(20_000)])
    attributes = attributes_of(LogRecord.FromString(encoder.encode(alert, observed_ns=1).joined))
    assert attributes["falco.tags"] == [f"tag-{number}" for number in range(256)]
    assert attributes["falco.report.truncated_attributes"] == ["falco.tags"]
    assert "falco.report.mitigation.commands" in attributes
    assert attributes["user.id"] == "0"
