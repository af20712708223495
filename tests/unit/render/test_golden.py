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
from exporter.render import to_html_page, to_json, to_markdown, to_text
from exporter.report import make_report
from tests.reference import CONTEXT, reference_alert, reference_report

GOLDEN = Path(__file__).parents[2] / "golden"
FORMS = {
    "report.md": to_markdown,
    "report.txt": lambda report: to_text(report, width=80),
    "report-color.txt": lambda report: to_text(report, color=True),
    "report.html": to_html_page,
    "report.json": lambda report: json.dumps(json.loads(to_json(report)), indent=1) + "\n",
}
HEADINGS = [
    "Falco Alert Report",
    "Alert Details",
    "Summary of Detected Activity",
    "Possible Impact",
    "Mitigation Strategies",
    "Configuration Changes",
    "Command Line Commands",
    "Additional Recommendations",
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


def test_shipped_advice_has_the_references_shape_without_its_mistakes() -> None:
    """What is shipped for the reference alert has every section in order and none of the false claims."""
    alert = reference_alert()
    entry = load_catalog().match(alert)
    assert entry is not None
    report = make_report(alert, entry, CONTEXT)
    markdown = to_markdown(report)
    assert re.findall(r"^#+ (.*)$", markdown, re.MULTILINE) == HEADINGS
    for line in ("**Date:** 2024-10-05", "**Time:** 18:29:39.273467556Z", "**Rule:** Clear Log Activities"):
        assert line in markdown
    for mistake in ("indicating root", "falco.conf", "[syscall]", "[syslog]", "maxsize=", "rotation 1"):
        assert mistake not in markdown
    for width in (80, 100):
        text = to_text(report, width=width)
        positions = [text.index(f"{heading}\n") for heading in HEADINGS]
        assert positions == sorted(positions)
