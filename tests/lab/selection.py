"""Which scenarios run: by rule, those that a change touches, and a share of the rest.

A scenario file is touched by a change where a block that it proved has changed
since, where it has no results yet, or where the file itself was edited.
"""

from __future__ import annotations

import subprocess
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from exporter.lint.proven import blocks
from tests.lab import ledger
from tests.lab.ledger import LAB, SCENARIOS
from tests.lab.steps import reporter


def add_options(parser: pytest.Parser) -> None:
    """Add the options that choose scenarios."""
    group = parser.getgroup("lab")
    group.addoption("--lab-rule", default="", metavar="TEXT", help="only scenarios of rules whose name holds TEXT")
    group.addoption("--lab-share", default="", metavar="K/N", help="only the K-th of N shares, and what changed")
    group.addoption("--lab-minutes", type=float, default=0.0, metavar="M", help="begin no scenario after M minutes")
    group.addoption("--lab-record", action="store_true", help="write what passing scenarios ran to tests/lab/proven")


def rules_of(item: pytest.Item) -> list[str]:
    """Return the rules that a scenario is about: ``RULE`` or ``RULES`` of its module."""
    module: Any = item.getparent(pytest.Module)
    found = getattr(module.obj, "RULES", None) or (getattr(module.obj, "RULE", ""),) if module else ()
    return [rule for rule in found if rule]


def is_kept(item: pytest.Item, config: pytest.Config) -> bool:
    """Whether the options leave a test of the lab in."""
    wanted = config.getoption("--lab-rule", "")
    if wanted and SCENARIOS in item.path.parents and not any(wanted.lower() in rule.lower() for rule in rules_of(item)):
        return False
    share = config.getoption("--lab-share", "")
    if not share or SCENARIOS not in item.path.parents:
        return True
    return in_share(item.path, share) or is_touched(item)


def is_whole(file: Path, config: pytest.Config, collected: int, ran: int) -> bool:
    """Whether all scenarios of a file ran: none was named by ``::`` or left out of those ``collected``."""
    return ran == collected and not any("::" in each and file.name in each for each in config.args)


def in_share(file: Path, share: str) -> bool:
    """Whether a scenario file is in a share ``K/N``; by file, so that its results are of one run."""
    number, _, of = share.partition("/")
    name = str(file.relative_to(SCENARIOS))
    return zlib.crc32(name.encode()) % int(of) == int(number) % int(of)


def is_touched(item: pytest.Item) -> bool:
    """Whether something that the scenario is about has changed since it was last run."""
    proved = ledger.read(ledger.file_of(item.path))
    return not proved or not proved <= present() or item.path in _edited()


@cache
def present() -> frozenset[str]:
    """Return the digest of every block of the catalog as it is now."""
    return frozenset(block.digest for block in blocks(reporter().catalog))


@cache
def _edited() -> frozenset[Path]:
    """Scenario files that differ from the last commit, or that this commit changed."""
    found: set[Path] = set()
    for command in (["diff", "--name-only", "HEAD~1"], ["ls-files", "--others", "--exclude-standard"]):
        done = subprocess.run(["git", *command], cwd=LAB, capture_output=True, text=True, check=False)
        found |= {(LAB.parents[1] / line).resolve() for line in done.stdout.splitlines()}
    return frozenset(found)
