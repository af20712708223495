"""What a run of the lab comes to: kept and printed by the one process that hears of every scenario.

Scenarios may run in several workers (pytest-xdist). Each tells with its report
what it ran; reports reach the process that was started, with or without workers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from exporter.lint.proven import blocks, count, to_lines
from tests.lab import ledger, selection
from tests.lab.groups import is_worker
from tests.lab.ledger import Ledger
from tests.lab.steps import reporter

LEDGER = pytest.StashKey[Ledger]()
"""Of a test: the blocks that it ran."""


class Results:
    """The plugin that gathers them."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._ran: dict[Path, set[str]] = defaultdict(set)
        self._failed: dict[Path, set[str]] = defaultdict(set)
        self._passed: Counter[Path] = Counter()
        self._collected: Counter[Path] = Counter()
        self._whole = 0

    def collected(self, items: Sequence[pytest.Item]) -> None:
        """Note the tests of the lab that there are, before any is left out."""
        self._collected = Counter(item.path for item in items)
        self._whole = len(items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        """Write into a scenario's report what it ran; plain values, for it may be sent to another process."""
        report: Any = yield
        if ledger.SCENARIOS in item.path.parents:
            report.lab = {
                "file": str(item.path),
                "digests": sorted(item.stash.get(LEDGER, Ledger()).digests),
                "of_file": self._collected[item.path],
                "of_all": self._whole,
            }
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what a scenario ran."""
        sent = getattr(report, "lab", None)
        if sent is None:
            return
        file = Path(sent["file"])
        self._collected[file], self._whole = sent["of_file"], sent["of_all"]
        if report.failed or report.skipped:
            self._failed[file] |= set(sent["digests"])
        if report.when == "call" and report.passed:
            self._ran[file] |= set(sent["digests"])
            self._passed[file] += 1

    def pytest_sessionfinish(self) -> None:
        """Write the results files of what passed, where ``--lab-record`` asks for it."""
        if is_worker(self._config) or not self._config.getoption("--lab-record", default=False):
            return
        for file, digests in self._ran.items():
            is_whole = selection.is_whole(file, self._config, self._collected[file], self._passed[file])
            present = selection.present() - self._failed[file]
            ledger.write(ledger.file_of(file), digests & present, is_whole=is_whole, present=present)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many scenarios passed and what of the catalog is proven."""
        if not self._ran:
            return
        passed = len(terminalreporter.stats.get("passed", []))
        terminalreporter.section("lab")
        terminalreporter.line(f"{passed} of the lab's {self._whole} scenarios ran and passed")
        now = set().union(*self._ran.values())
        every = {block.digest for block in blocks(reporter().catalog)}
        terminalreporter.line(f"{len(now & every)} of the catalog's {len(every)} commands ran in this run")
        for line in to_lines(count(reporter().catalog, ledger.proven() | now)):
            terminalreporter.line(line)
