"""docs/log-records.md names every attribute that a record can have."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from exporter.event_sources import EVENT_SOURCES
from exporter.sinks.otel.encode.attributes import (
    INTEGERS,
    OUTPUT_FIELDS_PREFIX,
    STRINGS,
    TARGET_NAMES,
)
from exporter.sinks.otel.encode.budget import TRUNCATED, TRUNCATED_ATTRIBUTES, Budget
from exporter.sinks.otel.encode.record import RecordEncoder, Reports
from exporter.sinks.otel.queue.grouping import Group
from tests.otel_records import ALERT, advice_for, attributes_of

PAGE = (Path(__file__).parents[5] / "docs" / "log-records.md").read_text()


def possible_attributes() -> set[str]:
    """What the tables can give, and what a record with everything in it has."""
    group = Group(0.0)
    group.add(ALERT)
    encoder = RecordEncoder(
        Budget(10**6, 10**3, lambda: None), Reports(advice_for, "https://x/", incident_of=lambda _: "1")
    )
    record = LogRecord.FromString(encoder.encode(ALERT, group, observed_ns=1).joined)
    names = {name for name in attributes_of(record) if not name.startswith(OUTPUT_FIELDS_PREFIX)}
    names |= {*STRINGS.values(), *INTEGERS.values(), *TARGET_NAMES.values(), TRUNCATED, TRUNCATED_ATTRIBUTES}
    return names | {name for source in EVENT_SOURCES.values() for name, _ in source.attributes} | {"falco.hostname"}


@pytest.mark.parametrize("name", sorted(possible_attributes()))
def test_every_attribute_is_documented(name: str) -> None:
    """An attribute that is not on the page is a mistake in the page."""
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("field", sorted({*STRINGS, *INTEGERS}))
def test_every_mapped_field_is_documented(field: str) -> None:
    """So is a Falco field that has an attribute of its own."""
    assert f"`{field}`" in PAGE
