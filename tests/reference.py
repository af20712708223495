"""The reference alert, with an entry that uses every part an entry can have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from exporter.alert import Alert, Priority
from exporter.catalog.loader import Documents, load_files
from exporter.catalog.model import Entry
from exporter.prose import Span
from exporter.report import Report, make_report
from exporter.verdict.judgement import Judgement, Matched

FILE = "/tmp/falco-event-generator-syscall-ClearLogActivities-3215922156/syslog"
CONTEXT = "stable"
"""The rule's maturity."""


def reference_alert() -> Alert:
    """Return Falco's alert of the event generator clearing a log file."""
    fields = {
        "container.id": "8e2c1f0a9b7d",
        "container.name": "modest_brahmagupta",
        "evt.type": "openat",
        "fd.name": FILE,
        "proc.cmdline": "event-generator run syscall --loop",
        "proc.exepath": "/bin/event-generator",
        "proc.name": "event-generator",
        "proc.pname": "containerd-shim",
        "proc.tty": "0",
        "user.loginuid": "-1",
        "user.name": "root",
        "user.uid": "0",
    }
    output = (
        f"18:29:39.273467556: Warning Log files were tampered | file={FILE} evt_type=openat user=root user_uid=0 "
        "user_loginuid=-1 process=event-generator proc_exepath=/bin/event-generator parent=containerd-shim "
        "command=event-generator run syscall --loop terminal=0"
    )
    return Alert(
        time_ns=1_728_152_979_273_467_556,
        rule="Clear Log Activities",
        priority=Priority.WARNING,
        source="syscall",
        hostname="mini-debian-lab",
        raw_output=output,
        fields=fields,
        tags=("T1070", "container", "filesystem", "host", "maturity_stable", "mitre_defense_evasion"),
    )


def fixture_entry() -> Entry:
    """Return the entry of ``tests/reference.yaml``, read by the catalog's own loader."""
    documents = Documents()
    load_files([Path(__file__).with_name("reference.yaml")], documents)
    return documents.entries["Clear Log Activities", "syscall"]


def judged(report: Report, *more: Matched) -> Report:
    """Return the report with a verdict, and values of the alert in each part that has words."""
    process = Span("value", report.alert.get("proc.name") or "a program")
    file = Span("value", report.alert.get("fd.name") or "a file")
    signs = (
        Matched("test", 5, False, (file, Span("text", " is where Falco's event generator writes"))),
        Matched("attack", 2, True, (process, Span("text", " emptied a log"))),
        *more,
    )
    advice = replace(
        report.advice,
        judgement=Judgement("test", "succeeded", signs),
        what=(file, Span("text", " emptied")),
        unknown=((Span("text", "who started "), process),),
        close_if=(Span("text", "whoever runs Falco's test confirms it over another channel"),),
        escalate_if=(Span("text", "nobody does, or "), process, Span("text", " raises another alert")),
    )
    return Report(report.alert, advice)


def reference_report() -> Report:
    """Return the reference alert's report with the fixture's advice and a verdict."""
    return judged(
        make_report(reference_alert(), fixture_entry(), CONTEXT),
        Matched("test", 3, True, (Span("text", "the program is "), Span("value", "event-generator"))),
        Matched("nothing", 0, False, (Span("text", "no login session: "), Span("code", "user.loginuid"),
                                      Span("text", " is -1 in every container"))),
    )  # fmt: skip
