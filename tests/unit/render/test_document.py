"""What a report is made of, in every format: files to write keep their lines."""

from __future__ import annotations

from dataclasses import replace
from html import unescape

import pytest

from exporter.catalog.catalog import load_catalog
from exporter.render.document import Length
from exporter.render.formats import FORMATS
from exporter.reporter import Reporter
from tests.otel_records import ALERT

RULES = (
    "DB program spawned process",
    "Backdoored library loaded into SSHD (CVE-2024-3094)",
    "Launch Suspicious Network Tool on Host",
)
"""Rules with files of several lines in notations that a report names no language for: settings, pins, audit rules."""


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "json"])
def test_a_file_to_write_keeps_its_lines(name: str) -> None:
    """A configuration file stands there line by line, whatever its notation."""
    reporter = Reporter(load_catalog())
    for rule in RULES:
        report = reporter.report_for(replace(ALERT, rule=rule, fields={"container.id": "host"}))
        shown = unescape(FORMATS[name].render(report, Length.FULL))
        contents = [change.content.strip() for change in report.advice.changes]
        assert any("\n" in content for content in contents), rule
        assert [content for content in contents if content not in shown] == []
