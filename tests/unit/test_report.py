"""``make_report``: the alert's facts in order, its times, and what fits it."""

from __future__ import annotations

from dataclasses import replace

from exporter.catalog.advice import Command
from exporter.catalog.uid import UID_SENTINEL
from exporter.prose import Span, to_plain
from exporter.report import Report, make_report
from tests.reference import CONTEXT, FILE, fixture_entry, reference_alert, reference_report


def test_details_are_in_order_of_reading_and_leave_out_what_is_absent() -> None:
    """Host first, then named facts, then other fields by name; a login id of -1 says that there is no session."""
    details = reference_report().details
    assert details[:3] == (
        ("Host", "mini-debian-lab"),
        ("Process", "event-generator"),
        ("Executable", "/bin/event-generator"),
    )
    assert details[-1] == ("Container id", "8e2c1f0a9b7d")
    assert dict(details)["Login id"] == "none: no login session is attached"


def test_details_are_the_same_whatever_the_transport() -> None:
    """The order of fields, and evt.time, which one transport adds, change nothing."""
    alert = reference_alert()
    fields = dict(reversed(list(alert.fields.items()))) | {"evt.time": "18:29:39.273467556"}
    other = make_report(replace(alert, fields=fields), fixture_entry(), CONTEXT)
    assert other.details == reference_report().details


def test_commands_look_ten_minutes_around_the_alert() -> None:
    """``alert.since`` and ``alert.until`` stand ten minutes either side, in UTC."""
    journal = reference_report().advice.commands[1].run
    assert journal.startswith("journalctl --since '2024-10-05 18:19:39 UTC' --until '2024-10-05 18:39:39 UTC'")


def test_steps_for_a_container_are_left_out_without_one() -> None:
    """An alert of the host itself offers no command that needs a container."""
    alert = reference_alert()
    fields = dict(alert.fields) | {"container.id": "host", "container.name": "host"}
    report = make_report(replace(alert, fields=fields), fixture_entry(), CONTEXT)
    assert [command.phase for command in report.advice.commands] == ["look", "look"]
    assert "container" not in to_plain(report.advice.summary)
    assert report.advice.commands[0].run == f"stat -- {FILE}"


def test_the_uid_is_put_in_for_each_alert() -> None:
    """Advice that another alert shares names this alert's uid once it is in a report, wherever it stands."""
    alert = reference_alert()
    named = (Span("text", "in "), Span("value", UID_SENTINEL))
    run, undo = f"d={UID_SENTINEL}", f"rm {UID_SENTINEL}"
    command = Command(named, "keep", "host", "sh", run, named, named, named, undo, (), "")
    shared = replace(reference_report().advice, summary=named, commands=(command,), names_uid=True)
    for each in (alert, replace(alert, time_ns=7)):
        report = Report(each, shared)
        assert report.advice.commands[0].run == f"d={each.uid}"
        assert each.uid in to_plain(report.advice.summary)
        assert UID_SENTINEL not in repr(report.advice)
