"""Records made in pieces, because others like them came before, are what they would be without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from exporter.alert import Alert
from exporter.catalog.catalog import load_catalog
from exporter.catalog.uid import UID_SENTINEL
from exporter.report import Advice
from exporter.reporter import Reporter
from exporter.simulator.alerts import SimulatedAlert
from exporter.simulator.scenarios import flood
from exporter.sinks.otel.encode.budget import Budget
from exporter.sinks.otel.encode.record import RecordEncoder, Reports
from exporter.sinks.otel.queue.grouping import Group
from exporter.sources.decode import from_grpc
from exporter.sources.decode_json import from_json
from tests.hostile import hostile_alerts
from tests.otel_records import ALERT, advice_for, text

SECOND_NS = 1_000_000_000
REPORTER = Reporter(load_catalog())
TIMES_NS = (0, 1, 999, 300_000_000, SECOND_NS, SECOND_NS + 5, 3_600 * SECOND_NS, 3_600 * SECOND_NS + 1, 2)
"""After the first: the same second, others, and back again."""


def make_encoder(
    *,
    advice: Callable[[Alert], Advice | None] | None = REPORTER.brief_advice_for,
    is_same_within_second: Callable[[Alert], bool] = REPORTER.is_same_within_second,
    address: str = "https://falco.example/reports/",
    limit_bytes: int = 48_000,
    cut: Callable[[], None] = lambda: None,
    incident: str = "2024-10-05-abcdef",
    left_out: Callable[[], None] = lambda: None,
) -> RecordEncoder:
    reports = Reports(
        advice,
        address,
        "brief",
        is_same_within_second=is_same_within_second,
        incident_of=lambda _: incident,
        on_left_out=left_out,
    )
    return RecordEncoder(Budget(limit_bytes, 100, cut), reports)


def at(alert: Alert, after_ns: int) -> Alert:
    """The same, so much later: an object of its own whose likeness is known, as that of one that was read."""
    later = replace(alert, time_ns=alert.time_ns + after_ns)
    later.likeness  # noqa: B018 - asking makes it known
    return later


def assert_same(encoder: RecordEncoder, alerts: Sequence[Alert], make: Callable[[], RecordEncoder]) -> None:
    """Each alert's record is that of an encoder that has seen nothing."""
    for number, alert in enumerate(alerts):
        made, anew = (each.encode(alert, observed_ns=number) for each in (encoder, make()))
        assert made.joined == anew.joined, number


@pytest.mark.parametrize("alert", [from_json(alert.to_json()) for alert in flood(23, 1_728_152_979_273_467_556)],
                         ids=lambda alert: alert.rule)  # fmt: skip
def test_a_flood_of_the_same_gives_the_same_records(alert: Alert) -> None:
    """Of every rule of the flood: within a second, over seconds, and back in time."""
    encoder = make_encoder()
    assert_same(encoder, [at(alert, after) for after in TIMES_NS], make_encoder)
    assert len(encoder._alike) == 1


@pytest.mark.parametrize("read", [lambda alert: from_json(alert.to_json().encode()),
                                  lambda alert: from_grpc(alert.to_message())], ids=["JSON", "gRPC"])  # fmt: skip
def test_the_same_is_read_of_what_falco_sends(read: Callable[[SimulatedAlert], Alert]) -> None:
    """By either way, where what is known of a message is found by the message."""
    for simulated in flood(23, 1_728_152_979_273_467_556):
        encoder = make_encoder()
        times = [replace(simulated, time_ns=simulated.time_ns + after) for after in TIMES_NS]
        assert_same(encoder, [read(alert) for alert in times], make_encoder)
        assert len(encoder._alike) == 1, simulated.rule


@pytest.mark.parametrize("address", ["", "https://falco.example/" + "x" * 600 + "/"])
@pytest.mark.parametrize("incident", ["", "2024-10-05-abcdef"])
def test_addresses_and_incidents_are_the_alerts_own(address: str, incident: str) -> None:
    """Whether there are any, and however long."""
    assert_same(
        make_encoder(address=address, incident=incident),
        [at(ALERT, after) for after in TIMES_NS],
        lambda: make_encoder(address=address, incident=incident),
    )


def test_records_without_advice_are_made_in_pieces_too() -> None:
    """``otlp.advice: none``."""
    encoder = make_encoder(advice=None)
    assert_same(encoder, [at(ALERT, after) for after in TIMES_NS], lambda: make_encoder(advice=None))
    assert len(encoder._alike) == 1


def test_hostile_alerts_are_the_same_in_pieces() -> None:
    """Whatever stands in their fields, and where something has to be cut nothing is made in pieces."""
    for limit_bytes in (48_000, 9_000):
        encoder = make_encoder(limit_bytes=limit_bytes)
        for alert in hostile_alerts():
            alerts = [at(alert, after) for after in TIMES_NS[:5]]
            assert_same(encoder, alerts, lambda limit=limit_bytes: make_encoder(limit_bytes=limit))  # type: ignore[misc]


def test_advice_that_names_the_alert_names_its_own() -> None:
    """The uid in a command is not that of the alert that the pieces were made of."""
    named = replace(advice_for(ALERT), summary=text(f"see {UID_SENTINEL}"))
    encoder = make_encoder(advice=lambda _: named, is_same_within_second=lambda _: True)
    for after in TIMES_NS:
        alert = at(ALERT, after)
        record = encoder.encode(alert, observed_ns=1).joined
        assert f"see {alert.uid}".encode() in record
        assert UID_SENTINEL.encode() not in record
    assert len(encoder._alike) == 1


def test_advice_that_depends_on_more_than_the_second_is_made_for_each() -> None:
    """Nothing is kept where the reporter does not say that it may be."""

    def of_alert(alert: Alert) -> Advice:
        return replace(advice_for(alert), summary=text(f"at {alert.time_ns}"))

    encoder = make_encoder(advice=of_alert, is_same_within_second=lambda _: False)
    for after in TIMES_NS:
        alert = at(ALERT, after)
        assert f"at {alert.time_ns}".encode() in encoder.encode(alert, observed_ns=1).joined
    assert not encoder._alike


def test_a_second_without_time_for_advice_leaves_nothing_to_the_next() -> None:
    """Each alert whose advice cannot be made is counted once, and the next one gets its advice."""
    can, left_out = [True], []
    encoder = make_encoder(
        advice=lambda alert: REPORTER.brief_advice_for(alert) if can[0] else None,
        left_out=lambda: left_out.append(1),
    )
    first = [encoder.encode(at(ALERT, after), observed_ns=1).joined for after in (0, 1, 2)]
    can[0] = False
    for number, after in enumerate((SECOND_NS, SECOND_NS + 1, 5 * SECOND_NS), 1):
        record = encoder.encode(at(ALERT, after), observed_ns=1).joined
        assert b"falco.report.left_out" in record
        assert b"falco.report.markdown" not in record
        assert len(left_out) == number
    can[0] = True
    assert encoder.encode(at(ALERT, 2), observed_ns=1).joined == first[2]
    assert b"falco.report.markdown" in encoder.encode(at(ALERT, 9 * SECOND_NS), observed_ns=1).joined
    assert len(left_out) == 3


def test_a_group_says_how_many_although_one_alone_came_before() -> None:
    """The pieces are of single alerts."""
    encoder = make_encoder()
    for after in TIMES_NS[:4]:
        encoder.encode(at(ALERT, after), observed_ns=1)
    alert = at(ALERT, 4)
    group = Group(0.0, alert, 5, ALERT.time_ns, alert.time_ns)
    made, anew = (each.encode(alert, group, observed_ns=1) for each in (encoder, make_encoder()))
    assert made.joined == anew.joined


def test_what_has_to_be_cut_is_cut_each_time() -> None:
    """A record above the limit is counted as cut, whether or not it came before."""
    cut: list[int] = []
    alert = replace(ALERT, fields={**ALERT.fields, "proc.cmdline": "x" * 7_000})
    encoder = make_encoder(limit_bytes=4_500, cut=lambda: cut.append(1), advice=None)
    for number, after in enumerate(TIMES_NS, 1):
        assert len(encoder.encode(at(alert, after), observed_ns=1).joined) <= 4_500
        assert len(cut) == number


def test_a_body_made_of_fields_has_its_own_time() -> None:
    """Where Falco leaves the output text out."""
    bare = replace(ALERT, raw_output="")
    alerts = [
        at(replace(bare, fields={**bare.fields, "evt.time": f"18:29:{number:02d}"}), after)
        for number, after in enumerate(TIMES_NS)
    ]
    assert_same(make_encoder(), alerts, make_encoder)
