"""``report --incidents``: what is printed of files of alerts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exporter.cli import main
from tools.incidents import stories


@pytest.fixture
def alerts(tmp_path: Path) -> Path:
    """A file with the first two stories' alerts."""
    path = tmp_path / "alerts.jsonl"
    told = [step.alert for story in list(stories())[:2] for step in story.steps]
    lines = [
        json.dumps(
            {
                "time": alert.time_text, "rule": alert.rule, "priority": alert.priority.label, "source": alert.source,
                "hostname": alert.hostname, "output": alert.raw_output, "output_fields": dict(alert.all_fields()),
            }
        )
        for alert in told
    ]  # fmt: skip
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_incidents_are_printed_instead_of_reports(alerts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON document per incident, by time; a verdict chooses among them."""
    assert main(["report", "--incidents", str(alerts), "--format", "json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["verdict"], each["alerts"]) for each in found] == [("attack", 6), ("attack", 8)]
    assert main(["report", "--incidents", str(alerts), "--verdict", "test"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "No incidents" in said.err


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_every_format_is_one_file(alerts: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Several incidents in one file are one valid file."""
    assert main(["report", "--incidents", str(alerts), "--format", form]) == 0
    out = capsys.readouterr().out
    assert out.count("escalate now") >= 2
    if form == "html":
        assert out.startswith("<!DOCTYPE html>")
        assert out.count("<html") == out.count("</html>") == 1


def test_a_shorter_window_parts_them(alerts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a minute's window only what follows at once is joined."""
    main(["report", "--incidents", "--window", "60", str(alerts), "--format", "json"])
    assert len(capsys.readouterr().out.splitlines()) > 2


def test_a_summary_does_not_go_with_incidents(alerts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What makes no sense together is refused."""
    assert main(["report", "--incidents", "--summary", str(alerts)]) == 2
    assert "--summary" in capsys.readouterr().err
