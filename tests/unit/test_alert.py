"""The core type and what "absent" means in it."""

from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.alert import Alert, Priority, make_alert

ALERT = Alert(
    time_ns=1_728_152_979_273_467_556,
    rule="Clear Log Activities",
    priority=Priority.WARNING,
    source="syscall",
    hostname="mini-debian-lab",
    raw_output="18:29:39.273467556: Warning Log files were tampered | file=/var/log/syslog",
    fields={"fd.name": "/var/log/syslog", "user.uid": "0"},
    tags=("T1070",),
)


def test_priorities_are_in_falcos_order() -> None:
    """The gravest is 0, as in falco.schema.priority, and labels are Falco's own words."""
    assert [priority.label for priority in sorted(Priority)][:8] == [
        "Emergency",
        "Alert",
        "Critical",
        "Error",
        "Warning",
        "Notice",
        "Informational",
        "Debug",
    ]
    assert Priority.from_label(" wArNiNg ") is Priority.WARNING
    assert Priority.from_label("severe") is Priority.UNKNOWN


@pytest.mark.parametrize(
    ("raw", "output"),
    [
        ("18:29:39.273467556: Warning Log files were tampered", "Log files were tampered"),
        ("18:29:39.273467556: Warning Warning: hot", "Warning: hot"),
        ("2024-10-05T18:29:39.273467556+0000: Warning Log files", "Log files"),
        ("18:29:39.273467556: Errors everywhere", "Errors everywhere"),
        ("Falco metrics snapshot", "Falco metrics snapshot"),
        ("at 18:29:39.273467556: Warning x", "at 18:29:39.273467556: Warning x"),
        ("18:29:39.1: Notice two\nlines", "two\nlines"),
        ("", ""),
    ],
)
def test_the_output_is_without_time_and_priority(raw: str, output: str) -> None:
    """Only Falco's own prefix goes, in both of its time formats."""
    assert replace(ALERT, raw_output=raw).output == output


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("proc.name", "", None),
        ("proc.name", "<NA>", None),
        ("proc.name", "host", "host"),
        ("container.id", "host", None),
        ("container.name", "host", None),
        ("user.loginuid", "-1", None),
        ("user.loginuid", "4294967295", None),
        ("user.loginuid", "1000", "1000"),
        ("proc.pid", "-1", "-1"),
        ("user.uid", "0", "0"),
    ],
)
def test_absent_values_are_understood_where_they_mean_absent(field: str, value: str, expected: str | None) -> None:
    """The same text is absent in one field and a value in another."""
    assert replace(ALERT, fields={field: value}).get(field) == expected


def test_what_falco_does_not_list_is_derived() -> None:
    """The event's time and host are there without being output fields, the time always in one form."""
    assert ALERT.get("evt.time") == "2024-10-05T18:29:39.273467556Z"
    assert replace(ALERT, fields={"evt.time": "18:29:39.2"}).get("evt.time") == "2024-10-05T18:29:39.273467556Z"
    assert ALERT.get("evt.hostname") == "mini-debian-lab"
    assert replace(ALERT, hostname="").get("evt.hostname") is None
    assert ALERT.get("no.such") is None


def test_the_event_time_field_makes_no_difference() -> None:
    """One transport always adds evt.time; the alert is the same."""
    other = replace(ALERT, fields={**ALERT.fields, "evt.time": "1728152979273467556"})
    assert other == ALERT
    assert hash(other) == hash(ALERT)


@pytest.mark.parametrize(
    "change",
    [
        {"time_ns": 1},
        {"rule": "x"},
        {"priority": Priority.ERROR},
        {"source": "x"},
        {"hostname": "x"},
        {"fields": {"fd.name": "/var/log/syslog", "user.uid": "1"}},
        {"fields": {"fd.name": "/var/log/syslog"}},
        {"fields": {"fd.name": "/var/log/sysloguser.uid", "0": ""}},
    ],
)
def test_the_uid_tells_alerts_apart(change: dict[str, object]) -> None:
    """The uid depends on everything that makes an alert what it is, and on nothing else."""
    assert replace(ALERT, **change).uid != ALERT.uid  # type: ignore[arg-type]
    assert replace(ALERT).uid == ALERT.uid
    assert len(ALERT.uid) == 32


texts = st.text(max_size=6) | st.sampled_from(["%", "%s", "%d:", "evt.time", "\ud800", ""])


@given(
    st.builds(
        Alert,
        st.integers(0, 2**63),
        texts,
        st.sampled_from(Priority),
        texts,
        texts,
        texts,
        st.dictionaries(texts, texts, max_size=6),
        st.just(()),
    )
)
def test_the_uid_is_made_as_it_always_was(alert: Alert) -> None:
    """BLAKE2b of every part with its length before it: other programs keep uids, which a new release must find."""
    parts = [str(alert.time_ns), alert.rule, alert.priority.name, alert.source, alert.hostname]
    counted = sorted((name, value) for name, value in alert.all_fields().items() if name != "evt.time")
    parts += [text for pair in counted for text in pair] or [alert.output]
    text = "".join(f"{len(part)}:{part}" for part in parts)
    assert alert.uid == hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def test_an_alert_with_other_members_has_a_uid_of_its_own() -> None:
    """A uid is worked out once for an alert, and never taken along to another."""
    assert ALERT.uid is ALERT.uid
    assert len({alert.uid for alert in (ALERT, ALERT.changed(rule="other"), replace(ALERT, hostname="b"))}) == 3
    assert replace(ALERT).uid == ALERT.uid


def test_the_uid_is_the_same_however_falco_writes_the_output() -> None:
    """Falco can leave the output text out, and 0.45 escapes it as JSON does: the fields identify the alert."""
    assert replace(ALERT, raw_output="").uid == replace(ALERT, raw_output="a\\nb").uid == ALERT.uid


def test_the_uid_comes_from_the_output_where_falco_sends_no_fields() -> None:
    """With json_include_output_fields_property: false nothing else tells two alerts of one nanosecond apart."""
    bare = replace(ALERT, fields={"evt.time": "1728152979273467556"})
    assert bare.uid != replace(bare, raw_output="other").uid
    assert bare.uid != ALERT.uid


def test_equality_is_of_alerts_only() -> None:
    """An alert equals no other kind of object, and none with other fields."""
    assert replace(ALERT, fields={}) != ALERT
    assert ALERT.__eq__("an alert") is False


def test_a_changed_alert_forgets_the_message_it_came_in() -> None:
    """What is sent or stored from ``received`` must not say what was taken out."""
    received = replace(ALERT, received=b"raw")
    assert received.changed(hostname="other").received == b""


@pytest.mark.parametrize(
    ("fields", "namespace"),
    [
        ({"k8s.ns.name": "shop", "ka.target.namespace": "other"}, "shop"),
        ({"k8s.ns.name": "<NA>", "ka.target.namespace": "other"}, "other"),
        ({"ka.target.namespace": ""}, ""),
        ({}, ""),
    ],
)
def test_the_namespace_is_the_pods_else_the_targets(fields: dict[str, str], namespace: str) -> None:
    """Syscall alerts name the pod's namespace, audit events their target's."""
    assert replace(ALERT, fields=fields).namespace == namespace


def test_an_alert_cannot_be_changed() -> None:
    """Sinks share alerts, so none may change one."""
    with pytest.raises(FrozenInstanceError):
        ALERT.rule = "x"  # type: ignore[misc]


def test_an_alert_that_is_made_quickly_is_an_alert_like_any_other() -> None:
    """The same members, the same uid, and as little to be changed."""
    members = [getattr(ALERT, field.name) for field in fields(Alert) if field.init]
    made = make_alert(*members)
    assert type(made) is Alert
    assert [getattr(made, field.name) for field in fields(Alert) if field.init] == members
    assert (made.uid, replace(made, rule="x").rule) == (ALERT.uid, "x")
    with pytest.raises(FrozenInstanceError):
        made.rule = "x"  # type: ignore[misc]


def test_what_a_judge_noted_is_its_own_and_this_alerts() -> None:
    """Another judge, and an alert with something changed, have to be judged themselves."""
    alert, judge = replace(ALERT), object()
    assert alert.judgement_by(judge) is None
    alert.note_judgement(judge, "benign")
    assert alert.judgement_by(judge) == "benign"
    assert alert.judgement_by(object()) is None
    assert replace(alert, fields={}).judgement_by(judge) is None


def test_alerts_with_the_same_fields_have_one_form() -> None:
    """Whatever the values; another order is another form."""
    one, other = replace(ALERT, fields={"a": "1", "b": "2"}), replace(ALERT, fields={"a": "3", "b": "4"})
    assert one.form is one.form is other.form
    assert replace(ALERT, fields={"b": "2", "a": "1"}).form is not one.form
