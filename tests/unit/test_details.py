"""The facts of an alert: names, times, durations, devices; nothing left out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.alert import Alert, Priority
from exporter.details import NAMES, details
from exporter.render.header import header
from tests.reference import reference_alert


def with_fields(**fields: str) -> Alert:
    return replace(reference_alert(), fields={name.replace("__", "."): value for name, value in fields.items()})


def test_a_connection_is_called_a_connection() -> None:
    """What ``fd.name`` names depends on the descriptor."""
    connection = with_fields(fd__name="10.0.0.1:5000->203.0.113.9:443", fd__type="ipv4")
    assert details(connection)[1] == ("Connection", "10.0.0.1:5000->203.0.113.9:443")
    assert details(with_fields(fd__name="/etc/shadow"))[1] == ("File", "/etc/shadow")


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("proc.tty", "34816", "pts/0 (34816)"),
        ("proc.tty", "0", "none (0)"),
        ("evt.arg.mode", "S_ISUID|S_IXUSR", "4100 (set-user-id): S_ISUID|S_IXUSR"),
        ("evt.arg.mode", "odd", "odd"),
        ("proc.exe_ino.ctime", "1728152977073467556",
         "2024-10-05 18:29:37.073 UTC, 2.2 s before the alert (1728152977073467556)"),
        ("container.start_ts", "1728152980273467556",
         "2024-10-05 18:29:40.273 UTC, 1.0 s after the alert (1728152980273467556)"),
        ("proc.exe_ino.ctime_duration_proc_start", "2200000000", "2.2 s (2200000000 ns)"),
        ("proc.pid", "1728152977073467556", "1728152977073467556"),
        ("evt.num", "12", "12"),
    ],
)  # fmt: skip
def test_numbers_are_read_for_the_reader(field: str, value: str, shown: str) -> None:
    """Nanoseconds become times and differences, terminals get their name; Falco's own number stays beside."""
    assert details(with_fields(**{field: value}))[-1][1] == shown


def test_no_field_has_two_names() -> None:
    """The table names each field once."""
    assert len({field for _, field in NAMES}) == len(NAMES)


@given(st.dictionaries(st.sampled_from([field for _, field in NAMES]) | st.text(min_size=1), st.text(min_size=1)))
def test_nothing_is_left_out(fields: dict[str, str]) -> None:
    """Every field that has a value is a fact, whatever it is called and holds."""
    alert = replace(reference_alert(), fields=fields, hostname="")
    present = [name for name in alert.all_fields() if alert.get(name) is not None and name != "evt.time"]
    assert len(details(alert)) == len(present) + alert.has_no_login


@pytest.mark.parametrize(
    ("source", "label"),
    [("syscall", "Host"), ("internal", "Host"), ("k8s_audit", "Falco's host"), ("aws_cloudtrail", "Falco's host"),
     ("okta", "Falco's host"), ("a plugin of yours", "Falco's host")],
)  # fmt: skip
def test_falcos_machine_is_the_host_of_its_own_events_only(source: str, label: str) -> None:
    """A cloud's event did not happen where Falco runs; nobody should look there."""
    alert = Alert(1_760_000_000_000_000_000, "r", Priority.NOTICE, source, "node-1", "o", {}, ())
    assert details(alert)[0] == (label, "node-1")
    assert (label, "node-1") in [(row.label, row.value) for row in header(alert, "")]
