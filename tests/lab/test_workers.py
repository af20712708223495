"""A run in several workers groups the scenarios, and comes to the same results as a run in one process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab import groups
from tests.lab.ledger import LAB, SCENARIOS

pytestmark = pytest.mark.timeout(600)
ROOT = LAB.parents[1]
WORKERS = ("-n", "2")
CONFTEST = """
import os
from pathlib import Path
import pytest
import tests.lab.conftest as lab
from tests.lab import groups, ledger, selection
from tests.lab.conftest import *
from tests.lab.ledger import Ledger
from tests.lab.results import LEDGER

HERE = Path(__file__).parent
for module in (lab, groups, ledger, selection):
    module.LAB = module.SCENARIOS = HERE
ledger.PROVEN = HERE / "proven"
selection.present = lambda: frozenset("abcdefgh")
lab.begin_building = lambda *parts: None
lab.root_file_system = lambda: None

@pytest.fixture
def ran(request):
    def note(digest):
        request.node.stash.setdefault(LEDGER, Ledger()).ran(digest)
        with (HERE / "workers").open("a") as file:
            file.write(f"{digest} {os.environ.get('PYTEST_XDIST_WORKER')}\\n")
    return note

@pytest.fixture
def cluster():
    pass
"""
SCENARIOS_OF = {
    "one/test_mixed.py": """
        RULE = "Mixed"
        def test_first(ran, cluster): ran("a")
        def test_second(ran): ran("b")
    """,
    "one/test_cluster.py": """
        RULE = "Cluster"
        def test_first(ran, cluster): ran("c")
        def test_second(ran, cluster): ran("d")
    """,
    "two/test_host.py": """
        RULE = "Host"
        def test_first(ran): ran("e")
        def test_second(ran): ran("f")
        def test_third(ran): ran("g"); assert RULE == "another"
        def test_fourth(ran): ran("g")
    """,
}


@dataclass(frozen=True, slots=True)
class Run:
    said: str
    folder: Path

    def proven(self, name: str) -> list[str]:
        return (self.folder / "proven" / name).read_text("ascii").split()

    def workers(self) -> dict[str, set[str]]:
        found = defaultdict(set)
        for line in (self.folder / "workers").read_text("ascii").splitlines():
            found[line.split()[0]].add(line.split()[1])
        return found


def run(folder: Path, *words: str, of: str = "") -> Run:
    """Run pytest on the scenarios above, as `make lab` does."""
    (folder / "conftest.py").write_text(CONFTEST, "utf-8")
    for name, text in SCENARIOS_OF.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(re.sub("(?m)^ {8}", "", text), "utf-8")
    command = [sys.executable, "-m", "pytest", "-m", "lab", "-c", str(ROOT / "pyproject.toml"), "--lab-record", *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [*command, f"--rootdir={folder}", str(folder) + of],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    return Run(done.stdout + done.stderr, folder)


@pytest.mark.parametrize("words", [WORKERS, ()], ids=["workers", "one process"])
def test_the_results_of_all_workers_are_kept_together(tmp_path: Path, words: tuple[str, ...]) -> None:
    made = run(tmp_path, *words)
    assert "7 of the lab's 8 scenarios ran and passed" in made.said, made.said
    assert made.proven("one/test_mixed.txt") == ["a", "b"]
    assert made.proven("one/test_cluster.txt") == ["c", "d"]
    assert made.proven("two/test_host.txt") == ["e", "f"], "what a scenario ran that failed is proven by none"


def test_one_worker_has_the_cluster_and_each_file_one_worker(tmp_path: Path) -> None:
    workers = run(tmp_path, *WORKERS).workers()
    assert len(workers["a"] | workers["c"] | workers["d"]) == 1, workers
    assert len(workers["e"] | workers["f"] | workers["g"]) == 1, workers
    assert workers["a"] != workers["e"], "both workers have run something"


def test_of_a_part_of_a_file_the_other_results_stay(tmp_path: Path) -> None:
    (tmp_path / "proven/two").mkdir(parents=True)
    (tmp_path / "proven/two/test_host.txt").write_text("f\nh\nz\n", "ascii")
    made = run(tmp_path, *WORKERS, of="/two/test_host.py::test_first")
    assert made.proven("two/test_host.txt") == ["e", "f", "h"], made.said


def test_workers_know_what_is_left_out(tmp_path: Path) -> None:
    made = run(tmp_path, *WORKERS, "--lab-rule", "mixed")
    assert "2 of the lab's 8 scenarios ran and passed" in made.said, made.said
    over = run(tmp_path, *WORKERS, "--lab-minutes", "0.00001")
    assert "8 skipped" in over.said, over.said


class Item:
    """A test as far as its group goes."""

    def __init__(self, file: str, *fixtures: str) -> None:
        self.path = SCENARIOS / file
        self.nodeid = f"{file}::{'-'.join(fixtures)}"
        self.fixturenames = fixtures


def test_what_takes_longest_begins_first() -> None:
    short = [Item("okta/test_a.py", "okta") for _ in range(5)]
    long = [Item("gcp/test_b.py", "google") for _ in range(5)]
    clusters = [Item(f"k8s/test_{number}.py", "cluster") for number in range(9)]
    shells = [Item("../test_shells.py", "shells", kind) for kind in ("plain", "hostile")]
    items: list[Any] = [*short, clusters[0], *long, *clusters[1:], *shells]
    assert groups.largest_first(items) == [*clusters, *shells, *long, *short]
