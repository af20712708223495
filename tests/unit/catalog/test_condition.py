"""When a step fits an alert, in the words of signs."""

from __future__ import annotations

import pytest

from exporter.catalog.condition import When
from exporter.verdict.files import shipped_language
from exporter.verdict.language import Language


@pytest.mark.parametrize(
    ("condition", "program", "holds"),
    [
        ("brief", "cat", True),
        ("brief", "tail", False),
        ("not brief", "tail", True),
        ("nested and proc.name = cat", "cat", True),
        ("nested", "tail", False),
        ("brief", None, False),
        ("not brief", None, False),
    ],
)
def test_macros_and_lists_hold_as_written_out(condition: str, program: str | None, holds: bool) -> None:
    language = Language({"tools": ["cat", "mv"]}, {"brief": "proc.name in (tools)", "nested": "brief"})
    fields = {} if program is None else {"proc.name": program}
    assert When(condition, language).holds(fields.get) is holds


@pytest.mark.parametrize(("name", "holds"), [("cat", True), ("mv", True), ("java", False)])
def test_programs_that_end_at_once_are_known_by_name(name: str, holds: bool) -> None:
    fields = {"proc.name": name, "proc.exepath": f"/usr/bin/{name}"}
    assert When("ends_at_once", shipped_language()).holds(fields.get) is holds


def test_an_applet_counts_by_its_own_name() -> None:
    fields = {"proc.name": "cat", "proc.exepath": "/bin/busybox"}
    assert When("ends_at_once", shipped_language()).holds(fields.get)
