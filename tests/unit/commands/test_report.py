"""``report``: alerts from files and standard input, and what it says about bad lines."""

from __future__ import annotations

import gzip
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.cli import main
from exporter.sources import pasted
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
    assert re.findall(r"^Rule +(Clear Log Activities|Some Rule of Ours)", out, re.MULTILINE) == [
        "Clear Log Activities",
        "Some Rule of Ours",
    ]
    assert "General advice" in out
    assert "\x1b" not in out
    assert err == ""


@pytest.mark.parametrize(
    ("form", "start", "end", "count"),
    [
        ("markdown", "# UNDECIDED", "*\n", "\n## Summary of Detected Activity\n"),
        ("html", "<!DOCTYPE html>", "</html>\n", "<article "),
        ("json", "{", "}\n", '"schema":2'),
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
    assert "2 of 3 lines are not Falco alerts." in err
    assert "\x1b" not in err


def test_a_line_without_end_costs_no_memory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line above the limit is passed over to its end, and the next one is read."""
    monkeypatch.setattr(pasted, "LINE_LIMIT_BYTES", 4096)
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


def test_three_errors_are_shown_and_the_rest_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is something else does not fill the screen."""
    path = tmp_path / "messages"
    path.write_text("not an alert\n" * 100, encoding="utf-8")
    assert main(["report", str(path)]) == 1
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 5
    assert err[3:] == ["… and 97 more.", "100 of 100 lines are not Falco alerts."]


def test_falcos_text_form_gets_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever has Falco's plain text learns which setting gives JSON."""
    path = tmp_path / "falco.log"
    path.write_text(f"Oct  5 18:29:39 node falco[1]: {reference_alert().raw_output}\n", encoding="utf-8")
    assert main(["report", str(path)]) == 1
    assert "`json_output: true` in falco.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ([], ["First rule", "Second rule", "Third rule"]),
        (["--rule", "SECOND"], ["Second rule"]),
        (["--priority", "error"], ["First rule", "Third rule"]),
        (["--last", "2"], ["Second rule", "Third rule"]),
        (["--last", "1", "--priority", "error"], ["Third rule"]),
        (["--verdict", "undecided", "--verdict", "test"], ["First rule", "Second rule", "Third rule"]),
        (["--verdict", "benign"], []),
    ],
)
def test_alerts_are_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], rules: list[str]
) -> None:
    """Rule, priority, verdict and number narrow what is printed, in the order of the input."""
    path = tmp_path / "alerts.jsonl"
    named = (("First rule", "Critical"), ("Second rule", "Notice"), ("Third rule", "Error"))
    path.write_text("\n".join([as_json(rule=rule, priority=word) for rule, word in named]), encoding="utf-8")
    assert main(["report", "--format", "json", *options, str(path)]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["rule"] for line in out.splitlines()] == rules
    assert err == ("" if rules else "None of the 3 alerts matches.\n")


def test_a_summary_counts_what_repeats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line per rule, place and verdict, with how often and when last."""
    path = tmp_path / "alerts.jsonl"
    path.write_text("\n".join([as_json(), as_json(), as_json(rule="Some Rule")]), encoding="utf-8")
    assert main(["report", "--summary", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["VERDICT", "TIMES", "RULE", "WHERE", "LAST"]
    assert len(lines) == 3
    assert re.search(r" 2 +Clear Log Activities +modest_brahmagupta +2024-10-05 18:29:39$", "\n".join(lines), re.M)


def test_a_pager_message_counts_repeats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three lines per rule and place, once for all alerts alike; other formats have no such length."""
    path = tmp_path / "alerts.jsonl"
    path.write_text("\n".join([as_json()] * 3), encoding="utf-8")
    assert main(["report", "--length", "pager", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert " · 3 times · " in lines[1]
    assert main(["report", "--length", "pager", "--format", "html", str(path)]) == 2
    assert "leave out --format" in capsys.readouterr().err


def test_brief_is_the_default_on_a_terminal_only(
    alerts: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person gets one page per alert and is told how to see everything; a pipe gets everything."""
    assert main(["report", str(alerts)]) == 0
    assert "Alert Details" in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert main(["report", str(alerts)]) == 0
    brief = capsys.readouterr().out
    assert "Possible Impact" in brief
    assert "Alert Details" not in brief
    assert "--length full" in brief.splitlines()[-1]
    assert main(["report", "--length", "full", str(alerts)]) == 0
    whole = capsys.readouterr().out
    assert "Alert Details" in whole
    assert "--length full" not in whole


def test_compressed_files_are_read_and_damaged_ones_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A .gz gives its alerts; one that was cut off is wrong input, not a crash."""
    path = tmp_path / "alerts.jsonl.gz"
    path.write_bytes(gzip.compress(as_json().encode() * 50))
    assert main(["report", "--format", "json", str(path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 50
    path.write_bytes(path.read_bytes()[:-12])
    assert main(["report", "--format", "json", str(path)]) == 2
    assert "the compressed data is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_every_terminal_can_show_a_report(encoding: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Characters that an encoding lacks become plainer ones; nothing ends the run."""
    path = tmp_path / "alerts.jsonl"
    path.write_text("\n".join([as_json(hostname="“ nœud ─")] * 2), encoding="utf-8")
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding=encoding))
    assert main(["report", str(path)]) == 0
    sys.stdout.flush()
    text = out.getvalue().decode(encoding)
    assert "\n----------" in text
    assert ('" n\\u0153ud -' if encoding == "ascii" else "ud ") in text


def test_a_long_input_shows_how_far_it_is(tmp_path: Path) -> None:
    """At a terminal, while the reports go elsewhere: alerts and share, on a line that is taken away at the end."""
    path = tmp_path / "alerts.jsonl"
    path.write_text("".join([as_json() + "\n"] * 50), encoding="utf-8")
    code = (
        "import exporter.commands.report as report; report._PROGRESS_AFTER_SECONDS = 0.0; "
        f"from exporter.cli import main; main(['report', {str(path)!r}])"
    )
    terminal, inside = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with (tmp_path / "reports").open("wb") as reports:
        subprocess.run([sys.executable, "-c", code], stdout=reports, stderr=inside, check=True, env=environment)
    os.close(inside)
    shown = os.read(terminal, 65_536).decode()
    os.close(terminal)
    assert re.search(r"\r1 alerts, \d+ % ", shown)
    assert shown.endswith(f"\r{'':40}\r")
    assert (tmp_path / "reports").read_text("utf-8").count("Clear Log Activities") >= 50


@pytest.mark.parametrize("columns", [60, 90])
def test_a_report_is_as_wide_as_the_terminal(
    alerts: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Prose wraps within it, but for a word that is longer, and uses what there is."""
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["report", str(alerts)]) == 0
    prose = capsys.readouterr().out.partition("Mitigation Strategies")[0].splitlines()
    assert columns - 15 < max(len(line) for line in prose if " " in line.strip()) <= columns
