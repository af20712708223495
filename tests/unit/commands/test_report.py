"""``report``: alerts from files and standard input, and what it says about bad lines."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from exporter.cli import main
from exporter.commands import report as command
from tests.hostile import hostile_values
from tests.reference import reference_alert


def as_json(**changes: object) -> str:
    alert = reference_alert()
    return json.dumps(
        {
            "time": alert.time_text,
            "rule": alert.rule,
            "priority": "Warning",
            "source": "syscall",
            "hostname": alert.hostname,
            "output": alert.raw_output,
            "output_fields": alert.fields,
            "tags": list(alert.tags),
        }
        | changes
    )


@pytest.fixture
def alerts(tmp_path: Path) -> Path:
    path = tmp_path / "alerts.jsonl"
    path.write_text(f"{as_json()}\n\n{as_json(rule='Some Rule of Ours')}\n", encoding="utf-8")
    return path


def test_reports_follow_each_other_in_the_order_of_the_alerts(alerts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line becomes a report, a rule without an entry included; empty lines are nothing."""
    assert main(["report", str(alerts)]) == 0
    out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if line.startswith("Rule ")] == [
        "Rule      Clear Log Activities",
        "Rule      Some Rule of Ours",
    ]
    assert "General advice" in out
    assert "\x1b" not in out
    assert err == ""


@pytest.mark.parametrize(
    ("form", "start", "end", "count"),
    [
        ("markdown", "# Falco Alert Report", "*\n", "# Falco Alert Report"),
        ("html", "<!DOCTYPE html>", "</html>\n", "<article "),
        ("json", "{", "}\n", '"schema":1'),
    ],
)
def test_every_form_is_whole(
    alerts: Path, capsys: pytest.CaptureFixture[str], form: str, start: str, end: str, count: str
) -> None:
    """Two alerts make one document of the form, with two reports."""
    assert main(["report", "--format", form, str(alerts)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(start)
    assert out.endswith(end)
    assert out.count(count) == 2


def test_bad_lines_are_named_counted_and_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that is no alert is named with file and line, harmlessly, and the exit code is 1."""
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b'{"rule": "\x1b[31m\n' + as_json().encode() + b'\n{"rule": "x"}\n')
    assert main(["report", "--format", "json", str(path)]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 1
    assert f"{path}:1: expected one JSON object" in err
    assert f"{path}:3: " in err
    assert "2 of 3 lines are no alerts." in err
    assert "\x1b" not in err


def test_a_line_without_end_costs_no_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line above the limit is passed over to its end, and the next one is read."""
    monkeypatch.setattr(command, "LINE_LIMIT_BYTES", 4096)
    path = tmp_path / "alerts.jsonl"
    path.write_text("x" * 10_000 + "\n" + as_json() + "\n", encoding="utf-8")
    assert main(["report", "--format", "json", str(path)]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["rule"] == "Clear Log Activities"
    assert f"{path}:1: expected at most 4,096 bytes" in err


def test_standard_input_is_the_default(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file, alerts come from standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(as_json().encode())))
    assert main(["report", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["uid"] == reference_alert().uid


def test_a_missing_file_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not there ends the command with 2 and a message that names it."""
    assert main(["report", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl: cannot be read: No such file" in capsys.readouterr().err


def test_empty_input_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty file gives no report and says so."""
    path = tmp_path / "empty"
    path.touch()
    assert main(["report", str(path)]) == 0
    assert capsys.readouterr() == ("", "No alerts: the input is empty.\n")


def test_hostile_alerts_reach_the_terminal_harmlessly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From JSON to terminal, hostile values print as text, with written and with general advice."""
    path = tmp_path / "alerts.jsonl"
    lines = [
        as_json(rule=rule, hostname=value, output=value, output_fields={"proc.name": value, "fd.name": value})
        for value in hostile_values().values()
        for rule in ("Clear Log Activities", "Our " + value)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert main(["report", str(path)]) == 0
    out = capsys.readouterr().out
    assert all(c == "\n" or c.isprintable() for c in out)
