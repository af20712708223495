"""Alerts that differ in nothing but their time have one likeness; others have another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from exporter.alert import Alert, Priority
from exporter.form import FORM_NAMES
from exporter.likeness import LIKENESS_BYTES, UNLIKE

ALERT = Alert(
    1_728_152_979_273_467_556,
    "A rule",
    Priority.WARNING,
    "syscall",
    "node",
    "18:29:39.273467556: Warning A file was opened | file=/etc/shadow",
    {"evt.time": "18:29:39.273467556", "fd.name": "/etc/shadow", "proc.name": "cat"},
    ["T1", "maturity_stable"],
)


def later(**members: Any) -> Alert:
    """The same a second later, and what else is said to differ."""
    times = {
        "time_ns": ALERT.time_ns + 1_000_000_000,
        "raw_output": ALERT.raw_output.replace("18:29:39", "18:29:40"),
        "fields": {**ALERT.fields, "evt.time": "18:29:40.273467556"},
    }
    return replace(ALERT, **{**times, **members})


def test_an_alert_that_differs_in_its_time_only_is_like_the_first() -> None:
    """Event time, the output's prefix and evt.time; the message that it came in says the same."""
    first, second = replace(ALERT), later(received=b"{}")
    assert second.likeness is first.likeness
    assert first.likeness.comes_again
    assert second.uid != first.uid


@pytest.mark.parametrize(
    "members",
    [
        {"rule": "Another"},
        {"priority": Priority.ERROR},
        {"source": "k8s_audit"},
        {"hostname": "other"},
        {"raw_output": "18:29:40.273467556: Warning A file was opened | file=/etc/passwd"},
        {"raw_output": "18:29:40.27346755: A file was opened | file=/etc/shadow"},
        {"tags": ["T1"]},
        {"fields": {**ALERT.fields, "proc.name": "dog"}},
        {"fields": {**ALERT.fields, "proc.pid": "7"}},
        {"fields": {"proc.name": "cat", "fd.name": "/etc/shadow", "evt.time": "18:29:40.273467556"}},
        {"fields": {"fd.name": "cat", "proc.name": "/etc/shadow", "evt.time": "1"}},
        {"fields": {"fd.name": "/etc/shadow", "proc.name": "cat"}},
    ],
    ids=str,
)
def test_an_alert_that_differs_in_more_is_not_like_it(members: dict[str, Any]) -> None:
    """Every member counts, the order of fields too."""
    same_but_for_time_text = "raw_output" in members and "27346755:" in members["raw_output"]
    found = later(**members)
    assert (found.likeness is ALERT.likeness) == (same_but_for_time_text and found.output == ALERT.output)


def test_what_comes_once_is_known_to_come_once() -> None:
    """Nothing is kept for it then."""
    assert not later(hostname="seen only here").likeness.comes_again


def test_a_uid_is_the_same_whether_or_not_others_like_it_were_seen() -> None:
    """What is hashed is kept by the likeness; the identifier must not show it."""
    plain = later(time_ns=ALERT.time_ns + 5).uid
    for _ in range(3):
        seen = later(time_ns=ALERT.time_ns + 5)
        _ = seen.likeness
        assert seen.uid == plain
    without_fields = replace(ALERT, fields={})
    known = replace(ALERT, fields={})
    assert known.likeness is replace(known).likeness
    assert known.uid == without_fields.uid


@pytest.mark.parametrize(
    "fields",
    [{"a": "x" * (LIKENESS_BYTES + 1)}, {f"field.{number}": "" for number in range(FORM_NAMES + 1)}],
    ids=["long", "many"],
)
def test_what_only_a_forged_alert_has_is_compared_with_nothing(fields: dict[str, str]) -> None:
    """So that memory is bounded, and so is the time that comparing takes."""
    alert = replace(ALERT, fields=fields)
    assert alert.likeness is UNLIKE
    assert replace(alert).likeness is UNLIKE
    assert not UNLIKE.comes_again
