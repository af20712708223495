"""What follows from an alert's fields."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.alert import Alert, Priority
from exporter.derived import DERIVED, READS, lookup_of, to_duration

TIME_NS = 1_728_152_979_273_467_556


def value(field: str, fields: dict[str, str], source: str = "syscall", host: str = "node-1") -> str | None:
    return lookup_of(Alert(TIME_NS, "A rule", Priority.WARNING, source, host, "x", fields, ()))(field)


@pytest.mark.parametrize(
    ("field", "fields", "expected"),
    [
        ("alert.terminal", {"proc.tty": "34816"}, "pts/0"),
        ("alert.terminal", {"proc.tty": "34819"}, "pts/3"),
        ("alert.terminal", {"proc.tty": "1025"}, "tty1"),
        ("alert.terminal", {"proc.tty": "1088"}, "ttyS0"),
        ("alert.terminal", {"proc.tty": "0"}, None),
        ("alert.terminal", {"proc.tty": "x"}, None),
        ("alert.args", {"proc.name": "nc", "proc.cmdline": "nc -l 1"}, "-l 1"),
        ("alert.args", {"proc.name": "my prog", "proc.cmdline": "my prog -l"}, "-l"),
        ("alert.args", {"proc.cmdline": "nc -l", "proc.args": "-x"}, "-x"),
        ("alert.args", {"proc.name": "bash", "proc.cmdline": "bash"}, None),
        ("alert.cmdline_regex", {"proc.name": "nc", "proc.cmdline": "nc a.b"}, r".* a\.b"),
        ("alert.cmdline_regex", {"proc.name": "bash", "proc.cmdline": "bash"}, "[^ ]*"),
        ("alert.cmdline_regex", {"proc.cmdline": "x -c a", "proc.exepath": "/tmp/.x/x"}, ".*"),
        ("alert.cmdline_regex", {"proc.cmdline": "x -c a", "proc.exepath": "/tmpx/x"}, ".* -c a"),
        ("alert.cmdline_regex", {"proc.args": "a" * 1_200}, ".* " + "a" * 1_200),
        ("alert.cmdline_regex", {"proc.args": "a" * 4_090}, ".* " + "a" * 1_200 + "[^|]*"),
        ("alert.workload", {"k8s.pod.name": "web-7d4b9c6f5-x2x9z"}, "deployment"),
        ("alert.workload", {"k8s.pod.name": "db-0"}, "statefulset"),
        ("alert.workload", {"k8s.pod.name": "db-0", "k8s.deployment.name": "db"}, "deployment"),
        ("alert.workload", {"k8s.pod.name": "web"}, "pod"),
        ("alert.workload", {}, None),
        ("alert.place", {"k8s.ns.name": "shop", "k8s.pod.name": "web"}, "shop/web"),
        ("alert.place", {"container.id": "3fa1b2c4d5e6", "container.name": "web"}, "web"),
        ("alert.place_host", {"container.id": "3fa1b2c4d5e6", "container.name": "web"}, "node-1"),
        ("alert.place_host", {"container.id": "3fa1b2c4d5e6", "k8s.pod.name": "web"}, None),
        ("alert.place_host", {"container.id": "host"}, None),
        ("alert.place", {"container.id": "host"}, "node-1"),
        ("alert.place", {"ka.user.name": "a", "ka.target.namespace": "shop", "ka.target.name": "x"}, "shop/x"),
        ("alert.place", {"ct.user": "alice", "ct.user.accountid": "1"}, "alice@1"),
        ("alert.place", {"github.org": "o", "github.repo.name": "r"}, "o/r"),
        ("alert.place", {"github.org": "o", "github.repo.name": "o/r"}, "o/r"),
        ("alert.in", {"k8s.pod.name": "web"}, "in"),
        ("alert.in", {"container.id": "3fa1b2c4d5e6"}, "in"),
        ("alert.in", {"container.id": "host"}, "on"),
        ("alert.in", {"ct.user": "alice"}, "by"),
        ("alert.in", {"github.org": "o", "github.repo.name": "r"}, "in"),
        ("alert.principal", {"ka.user.name": "a", "user.name": "b"}, "a"),
        ("alert.principal", {"user.name": "b"}, "b"),
        ("alert.client", {"fd.name": "10.0.0.1:5->192.0.2.7:443"}, "10.0.0.1"),
        ("alert.server", {"fd.name": "10.0.0.1:5->192.0.2.7:443", "fd.type": "ipv4"}, "192.0.2.7"),
        ("alert.server_port", {"fd.name": "::1:5->2001:db8::7:443", "fd.type": "ipv6"}, "443"),
        ("alert.server", {"fd.name": "::ffff:10.0.0.1:5->::ffff:192.0.2.7:443"}, "192.0.2.7"),
        ("alert.server", {"fd.name": "a:1->b:2", "fd.type": "unix"}, None),
        ("alert.object_kind", {"fd.name": "a->b /run/x", "fd.type": "unix"}, "unix socket"),
        ("alert.object_kind", {"fd.name": "/etc/x"}, "file"),
        ("alert.exe_age", {"proc.exe_ino.ctime_duration_proc_start": "2211000000"}, "2.2 s"),
        ("alert.exe_changed", {"proc.exe_ino.ctime": str(TIME_NS)}, "2024-10-05 18:29:39 UTC"),
        ("alert.container_age", {"container.start_ts": str(TIME_NS - 90 * 60 * 10**9)}, "90 min"),
        ("alert.container_age", {"container.start_ts": str(TIME_NS + 1)}, None),
        ("alert.day_before", {}, "2024-10-04 18:29:39 UTC"),
        ("alert.minute_before", {}, "2024-10-05 18:28:39 UTC"),
        ("alert.minute_before_rfc3339", {}, "2024-10-05T18:28:39Z"),
        ("alert.just_after", {}, "2024-10-05 18:29:41 UTC"),
        ("alert.nothing", {}, None),
    ],
)  # fmt: skip
def test_derived_fields(field: str, fields: dict[str, str], expected: str | None) -> None:
    """Each is a pure function of the alert; None where its fields do not tell."""
    source = "k8s_audit" if fields.keys() & {"ka.user.name", "ct.user", "github.org"} else "syscall"
    assert value(field, fields, source) == expected


def test_the_place_is_never_empty() -> None:
    """Where nothing else is known it is the host, then the source."""
    assert value("alert.place", {}, "okta", "") == "okta"


@pytest.mark.parametrize("text", ["", "<NA>", "x", "-1", "9" * 30, "0"])
def test_no_value_breaks_a_derived_field(text: str) -> None:
    """Attackers choose values; each derived field is a text or absent."""
    names = ["proc.tty", "proc.exe_ino.ctime", "container.start_ts", "fd.name", "proc.cmdline", "proc.name"]
    names += ["proc.exe_ino.ctime_duration_proc_start", "k8s.pod.name"]
    fields = dict.fromkeys(names, text)
    assert all(value(name, fields) is None or value(name, fields) for name in DERIVED)


class Recorded(dict[str, str]):
    """Fields that remember what was asked for."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(fields)
        self.asked: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.asked.add(key)
        return super().get(key, default)


@pytest.mark.parametrize("name", sorted(DERIVED.keys() - {"alert.uid"}))
@pytest.mark.parametrize("source", ["syscall", "k8s_audit", "aws_cloudtrail", "gcp_auditlog", "okta", "github", "ours"])
def test_what_a_derived_field_reads_is_listed(name: str, source: str) -> None:
    """Advice is given again by these fields: one that is missing here would give one alert another's advice."""
    for known in (
        {},
        {"proc.cmdline": "a b"},
        {"fd.name": "10.0.0.1:5->192.0.2.7:443"},
        {"fd.type": "ipv4"},
        {"k8s.pod.name": "w"},
    ):
        fields = Recorded(known)
        DERIVED[name](Alert(TIME_NS, "A rule", Priority.WARNING, source, "", "x", fields, ()))
        assert fields.asked <= set(READS.get(name, ())), known


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(3_000_000, "3 ms"), (2_211_000_000, "2.2 s"), (59_000_000_000, "59 s"), (840 * 10**9, "14 min"),
     (5 * 3_600 * 10**9, "5 h"), (12 * 86_400 * 10**9, "12 days")],
)  # fmt: skip
def test_durations_have_two_digits_that_matter(nanoseconds: int, text: str) -> None:
    """The unit fits the size."""
    assert to_duration(nanoseconds) == text
