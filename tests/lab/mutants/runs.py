"""Runs scenarios with mutants: first as they are, then once more with each fault in each block that they pasted.

A scenario that fails has found the mutant; one that passes has not, and the
next scenario that pastes the block tries, five at most; those with hostile
values come last, for they look at what such a value does. Where scenarios share a place (a
node, the cluster), each ends as it began, without a fault: if that fails, the
place is made anew, and what was found there is tried again.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from exporter.lint.proven import blocks_of
from tests.lab import ledger
from tests.lab.groups import is_worker
from tests.lab.ledger import LAB, Ledger
from tests.lab.mutants import choice
from tests.lab.mutants.choice import Mutant
from tests.lab.mutants.results import FOUND, SURVIVED, File, Result, survivors
from tests.lab.results import LEDGER
from tests.lab.selection import rules_of
from tests.lab.steps import reporter

BROKEN = pytest.StashKey[dict[str, str]]()
"""Of a test: by a block's digest, what stands in its place."""
_SECONDS = pytest.StashKey[float]()
"""Of a test: how long it took as it is."""
SHARED = frozenset({"_cluster", "_node", "site"})
"""Fixtures whose places outlive a scenario."""
MOST_TESTS, MOST_PARAMETERS = 5, 2
"""How many tests try a mutant, and one test with how many sets of its parameters."""
_SLACK_SECONDS = 25.0


def add_options(parser: pytest.Parser) -> None:
    """Add the options of mutants."""
    group = parser.getgroup("lab")
    group.addoption(
        "--lab-mutants",
        default="",
        metavar="KINDS",
        help=f"run the scenarios with broken blocks: all, or some of {', '.join(choice.NAMES)}, with commas",
    )
    group.addoption(
        "--lab-mutant", action="append", default=[], metavar="NAME", help="only this mutant; may be repeated"
    )
    group.addoption(
        "--lab-mutants-file",
        type=Path,
        default=LAB.parents[1] / ".lab-mutants.jsonl",
        metavar="FILE",
        help="where the results are kept; what was found there is not run again",
    )


def is_wanted(config: pytest.Config) -> bool:
    """Whether the options ask for mutants. Raises UsageError where they make no sense."""
    kinds = config.getoption("--lab-mutants", "")
    named = config.getoption("--lab-mutant", [])
    if not kinds and not named:
        return False
    if config.getoption("--lab-record", default=False):
        raise pytest.UsageError("--lab-record goes with what is right only, not with --lab-mutants")
    if unknown := set(kinds.split(",")) - {"", "all", *choice.NAMES}:
        raise pytest.UsageError(f"--lab-mutants: no such kind: {', '.join(sorted(unknown))}")
    if unknown := {name for name in named if choice.named(name) is None}:
        raise pytest.UsageError(
            f"--lab-mutant: no such mutant: {', '.join(sorted(unknown))}; its block may have changed"
        )
    return True


class Runs:
    """The plugin."""

    def __init__(self, config: pytest.Config) -> None:
        kinds = config.getoption("--lab-mutants").split(",")
        self._kinds = choice.NAMES if "all" in kinds else tuple(kinds)
        self._named = frozenset(config.getoption("--lab-mutant"))
        self._file = File(config.getoption("--lab-mutants-file"))
        self._begin = len(self._file.results())
        config.option.tbstyle = "line"

    def _left(self, item: pytest.Item, digests: Iterable[str]) -> list[Mutant]:
        """Return the mutants of blocks that are asked for, that no scenario has found and that this one has not run."""
        found = self._file.found(self._begin if self._named else 0)
        every = [each for digest in sorted(digests) for each in choice.of_block(digest)]
        wanted = [each for each in every if (each.name in self._named if self._named else each.kind in self._kinds)]
        return [each for each in wanted if each.name not in found and not self._is_tried(item, each)]

    def _is_tried(self, item: pytest.Item, mutant: Mutant) -> bool:
        """Whether this test has run the mutant, or it was tried often enough."""
        if self._named:
            return False
        test = item.nodeid.partition("[")[0]
        ran = self._file.tests_of(mutant.name)
        same = sum(each.partition("[")[0] == test for each in ran)
        return item.nodeid in ran or same >= MOST_PARAMETERS or len(ran) >= MOST_TESTS

    def pytest_collection_finish(self) -> None:
        """Read the catalog before a test's time runs."""
        choice.of_block("")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
        """Run a scenario with every mutant of its blocks that is left."""
        if ledger.SCENARIOS not in item.path.parents:
            return None
        if self._left(item, _may_paste(item)):
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            begin = time.monotonic()
            reports = _run(item)
            item.stash[_SECONDS] = time.monotonic() - begin
            for report in reports:
                item.ihook.pytest_runtest_logreport(report=report)
            if all(report.passed for report in reports):
                self._try_all(item)
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        _tear_down(item, nextitem)
        return True

    def _try_all(self, item: pytest.Item) -> None:
        seconds = item.stash[_SECONDS]
        doubtful: list[tuple[Mutant, Result]] = []
        for mutant in self._left(item, item.stash[LEDGER].pasted):
            result = self._try(item, mutant, seconds)
            if result.outcome == FOUND and SHARED & set(_fixtures(item)):
                doubtful.append((mutant, result))
            else:
                self._file.add(result)
        self._settle(item, doubtful, seconds)

    def _try(self, item: pytest.Item, mutant: Mutant, seconds: float) -> Result:
        item.stash[BROKEN] = {mutant.block.digest: mutant.text}
        begin = time.monotonic()
        try:
            with _time_limit(2 * seconds + _SLACK_SECONDS):
                reports = _run(item)
        finally:
            del item.stash[BROKEN]
        failed = next((report for report in reports if report.failed), None)
        why = _first_line(failed) if failed else ""
        outcome = FOUND if failed else SURVIVED
        return Result(mutant.name, item.nodeid, outcome, round(time.monotonic() - begin, 1), why)

    def _settle(self, item: pytest.Item, doubtful: list[tuple[Mutant, Result]], seconds: float) -> None:
        """Keep what was found on a shared place that is still whole; what was not is tried again on a new one."""
        if not doubtful or _passes(item):
            for _, result in doubtful:
                self._file.add(result)
            return
        for mutant, _ in doubtful:
            if not _passes(item):
                _tear_down(item, None)
            self._file.add(self._try(item, mutant, seconds))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was found in this run, and show what was not."""
        if is_worker(terminalreporter.config):
            return
        results = self._file.results()[self._begin :]
        left = survivors(results)
        terminalreporter.section("mutants of the advice")
        terminalreporter.line(f"{len({each.mutant for each in results})} mutants ran, {len(left)} survived")
        for mutant in filter(None, map(choice.named, left)):
            terminalreporter.line(f"{mutant.name}: {mutant.block.title}\n{mutant.difference}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Fail where a mutant survived."""
        if session.exitstatus == 0 and not is_worker(session.config) and survivors(self._file.results()[self._begin :]):
            session.exitstatus = 1


def _may_paste(item: pytest.Item) -> set[str]:
    """Return the digests of what a scenario may paste: what its file has proven, and the blocks of its rules.

    What a scenario pastes out of its turn (``again``) proves nothing, so a file of such scenarios has no results.
    """
    rules = frozenset(rules_of(item))
    return ledger.read(ledger.file_of(item.path)) | {digest for rule in rules for digest in _digests_of(rule)}


@cache
def _digests_of(rule: str) -> frozenset[str]:
    entries = (entry for entry in reporter().catalog.entries if entry.rule == rule)
    return frozenset(block.digest for entry in entries for block in blocks_of(entry))


def _run(item: pytest.Item) -> list[pytest.TestReport]:
    """Run a scenario once, from its set-up to its end; what its file and the session share stays."""
    item.stash[LEDGER] = Ledger()
    # Only the chain of collectors above the next test is asked for, and this one's is its file's.
    following: Any = item.parent
    return runtestprotocol(item, log=False, nextitem=following)


def _passes(item: pytest.Item) -> bool:
    return all(report.passed for report in _run(item))


def _tear_down(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End what the next scenario does not share; without one, all that is shared."""
    with contextlib.suppress(Exception):
        item.session._setupstate.teardown_exact(nextitem)


def _fixtures(item: pytest.Item) -> list[str]:
    found: list[str] = list(getattr(item, "fixturenames", ()))
    return found


def _first_line(report: Any) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr)
    return f"{report.when}: {text.splitlines()[0][:200]}" if text else report.when


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Fail what runs longer; pytest-timeout's own limit, which is for the whole, is over after that."""

    def end(_number: int, _frame: FrameType | None) -> None:
        pytest.fail(f"no end within {seconds:.0f} s", pytrace=False)

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
