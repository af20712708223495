"""All checks of the catalog, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Callable

from exporter.catalog.catalog import Catalog
from exporter.lint.attack import check_attack
from exporter.lint.brief import check_brief
from exporter.lint.fields import check_fields
from exporter.lint.finding import Finding
from exporter.lint.kinds import check_kinds
from exporter.lint.length import check_length
from exporter.lint.limits import check_limits
from exporter.lint.links import check_links
from exporter.lint.safety import check_safety
from exporter.lint.shell import check_shell
from exporter.lint.snippets import check_snippets
from exporter.lint.tools import check_tools
from exporter.lint.tuning import check_tuning
from exporter.lint.undo import check_undo
from exporter.lint.vendors import check_vendors
from exporter.lint.wording import check_step_numbers, check_wording

CHECKS = (
    check_fields,
    check_limits,
    check_length,
    check_brief,
    check_kinds,
    check_wording,
    check_step_numbers,
    check_attack,
    check_links,
    check_safety,
    check_shell,
    check_snippets,
    check_tools,
    check_tuning,
    check_undo,
    check_vendors,
)


def check_catalog(
    catalog: Catalog, *, progress: Callable[[str, int], None] = lambda _name, _done: None
) -> list[Finding]:
    """Return every finding, by place. ``progress`` is told each check's name and how many are done before it."""
    findings: set[Finding] = set()
    for done, check in enumerate(CHECKS):
        progress(check.__name__.removeprefix("check_"), done)
        findings.update(check(catalog))
    return sorted(findings)
