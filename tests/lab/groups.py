"""What one worker of several runs (pytest-xdist, ``-n``), and which groups begin first.

There is one cluster at a time, so all scenarios of the cluster are one group.
Of the others each file is a group: what its scenarios share is made once.

Workers collect; the process that hands out knows the tests' names only. So the
workers tell it the groups by a file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.lab.ledger import LAB

SECONDS = {
    "shells": 50.0,
    "aws": 20.0,
    "cluster": 18.0,
    "google": 9.0,
    "node": 8.0,
    "spot": 6.0,
    "booted_host": 5.0,
    "github": 4.0,
    "okta": 3.0,
    "host": 2.0,
}
"""Roughly what a scenario takes, by the first of these fixtures that it has; the order of the groups depends on it."""
OTHER_SECONDS = 1.0


def is_worker(config: pytest.Config) -> bool:
    """Whether this process runs tests for another, which has started it."""
    return hasattr(config, "workerinput")


def group_of(item: pytest.Item) -> str:
    """Return the name of a test's group; its own where it goes to any worker by itself."""
    names = _fixtures(item)
    if "cluster" in names or "site" in names:
        return "cluster"
    if "shells" in names or LAB not in item.path.parents:
        return item.nodeid
    return str(item.path.relative_to(LAB))


def largest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return the tests by group, the group that takes longest first; within a group their order stays.

    Whoever is free takes the next group: what is long and begins last would keep one worker when all others are done.
    """
    groups: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        groups[group_of(item)].append(item)
    ordered = sorted(groups.values(), key=lambda group: -sum(map(_seconds, group)))
    return [item for group in ordered for item in group]


def _seconds(item: pytest.Item) -> float:
    names = _fixtures(item)
    return next((seconds for fixture, seconds in SECONDS.items() if fixture in names), OTHER_SECONDS)


def _fixtures(item: pytest.Item) -> Sequence[str]:
    found: Sequence[str] = getattr(item, "fixturenames", ())
    return found


class Groups:
    """The plugin that orders the tests and hands them out by group."""

    def __init__(self) -> None:
        self._folder = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Have the last word on the order, after those that shuffle."""
        if not is_worker(config):
            # What needs a cluster comes last: it may be built meanwhile, which takes longer than a test may.
            items.sort(key=lambda item: "cluster" in _fixtures(item))
            return
        items[:] = largest_first(items)
        if config.getoption("--lab-mutants", ""):
            # What a cheap scenario finds, a dear one need not look for, and no hostile twin.
            items.sort(key=lambda item: (_seconds(item), re.search("hostile|chooses|owned", item.nodeid) is not None))
        worker: Any = config
        file = Path(worker.workerinput["lab_groups"])
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps({item.nodeid: group_of(item) for item in items}), "utf-8")
        part.rename(file)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker where to write the groups."""
        self._folder = self._folder or tempfile.mkdtemp(prefix="lab-groups-")
        node.workerinput["lab_groups"] = f"{self._folder}/groups.json"

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """Hand out whole groups, in the order of the tests.

        (pytest-xdist 3.8's own ``loadgroup`` writes the group into a test's id, which pytest 9.2 takes no notice of.)
        """
        from xdist.scheduler import LoadScopeScheduling

        file = Path(self._folder) / "groups.json"

        class Scheduling(LoadScopeScheduling):
            @cached_property
            def groups(self) -> dict[str, str]:
                # Asked for once every worker has collected.
                found: dict[str, str] = json.loads(file.read_text("utf-8"))
                return found

            def _split_scope(self, nodeid: str) -> str:
                return self.groups[nodeid]

        config.option.loadscopereorder = False
        return Scheduling(config, log)

    def pytest_unconfigure(self) -> None:
        """Remove the file of the groups."""
        if self._folder:
            shutil.rmtree(self._folder)
