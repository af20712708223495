"""No sentence of the shipped catalog shows that a value is missing, whatever an alert lacks."""

from __future__ import annotations

import re

import pytest

from exporter.alert import Alert, Priority
from exporter.catalog.catalog import Catalog, load_catalog
from exporter.report import make_report

HOLE = re.compile(r"\(no [a-z]+\.|  |(?<!\w)\(\)|\(a value\)|\( |[ (][,.;](?![./\w])|(?<!\.) \)|%\{|\[\[")
"""What a missing value leaves behind."""
SPARSE: tuple[dict[str, str], ...] = (
    {},
    {"proc.name": "<NA>", "user.name": "", "user.uid": "4294967295", "user.loginuid": "-1", "container.id": "host"},
    {"user.name": "root", "proc.cmdline": "cat /etc/shadow", "fd.name": "/etc/shadow", "container.id": "0123456789ab"},
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.mark.parametrize("fields", SPARSE, ids=["nothing", "absent values", "an old rule's fields"])
def test_no_entry_shows_a_hole(catalog: Catalog, fields: dict[str, str]) -> None:
    """Old rules' outputs, `<NA>` and nothing at all give whole sentences."""
    found = []
    for entry in catalog.entries:
        alert = Alert(7, entry.rule, Priority.WARNING, entry.source, "", "", fields, ())
        advice = make_report(alert, entry, "").advice
        prose = [advice.what, advice.summary, advice.impact, advice.close_if, advice.escalate_if, *advice.unknown]
        prose += [part for command in advice.commands for part in (command.title, command.shows, command.empty)]
        texts = ["".join([span.text if span.kind == "text" else "X" for span in each]) for each in prose]
        found += [f"{entry.rule}: {match[0]!r} in {text}" for text in texts if (match := HOLE.search(text))]
    assert not found, "\n".join(found)
