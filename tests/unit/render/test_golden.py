"""The reference alert's report, byte for byte, in every form.

``UPDATE_GOLDEN=1 pytest tests/unit/render/test_golden.py`` writes the files anew.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from exporter.catalog.catalog import load_catalog
from exporter.render.document import Length
from exporter.render.header import about
from exporter.render.html import to_html_page
from exporter.render.json_document import to_json
from exporter.render.markdown import around_header, markdown_header, to_markdown
from exporter.render.pager import to_pager
from exporter.render.text import to_text
from exporter.report import make_report
from tests.reference import CONTEXT, reference_alert, reference_report

GOLDEN = Path(__file__).parents[2] / "golden"
FORMS = {
    "report.md": to_markdown,
    "report-brief.md": lambda report: to_markdown(report, Length.BRIEF),
    "report.txt": lambda report: to_text(report, width=80),
    "report-brief.txt": lambda report: to_text(report, Length.BRIEF, width=100),
    "report-color.txt": lambda report: to_text(report, color=True),
    "report-pager.txt": lambda report: to_pager(report, times=12, link="https://falco.example/reports/1"),
    "report.html": to_html_page,
    "report.json": lambda report: json.dumps(json.loads(to_json(report)), indent=1) + "\n",
}
HEADINGS = [
    "Summary of Detected Activity",
    "Mitigation Strategies",
    "Command Line Commands",
    "Possible Impact",
    "Further Steps",
    "Configuration Changes",
    "Additional Recommendations",
    "Tuning Falco",
    "Alert Details",
    "References",
]


@pytest.mark.parametrize("name", FORMS)
def test_reference_report_is_the_golden_one(name: str) -> None:
    """The report of the reference alert stays as it was reviewed."""
    found = FORMS[name](reference_report())
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8")


def test_shipped_advice_has_every_section_in_order_without_the_references_mistakes() -> None:
    """What is shipped for the reference alert has the ten sections in order and none of the false claims."""
    alert = reference_alert()
    entry = load_catalog().match(alert)
    assert entry is not None
    report = make_report(alert, entry, CONTEXT)
    markdown = to_markdown(report)
    headings = re.findall(r"^##+ (.*)$", markdown, re.MULTILINE)
    assert headings == [heading for heading in HEADINGS if heading in headings]
    optional = {"Further Steps", "Tuning Falco", "Configuration Changes", "Additional Recommendations"}
    assert set(HEADINGS) - set(headings) <= optional
    assert markdown.startswith("# ")
    for line in ("**Date:** 2024-10-05", "**Time:** 18:29:39.273467556Z", "**Rule:** Clear Log Activities"):
        assert line in markdown
    for mistake in ("indicating root", "falco.conf", "[syscall]", "[syslog]", "maxsize=", "rotation 1"):
        assert mistake not in markdown
    for width in (80, 100):
        text = to_text(report, width=width)
        positions = [text.index(f"{heading}\n") for heading in headings]
        assert positions == sorted(positions)


def test_a_brief_report_is_the_beginning_of_the_full_one() -> None:
    """Brief and full say the same, the brief one only less of it; the shared parts make the whole."""
    report = reference_report()
    brief = to_markdown(report, Length.BRIEF)
    assert to_markdown(report).startswith(brief)
    before, after = around_header(report.advice)
    header = markdown_header(about(report.alert, report.advice.judgement.outcome), report.alert.time_text)
    assert before + header + after == brief
    assert to_text(report, width=90).startswith(to_text(report, Length.BRIEF, width=90))
