"""The import contracts of pyproject.toml hold what docs/decisions/layers.md says: an import upwards breaks them."""

from __future__ import annotations

import graphlib
import itertools
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
LAYERS = [[part.strip() for part in layer.split("|")] for layer in CONTRACTS[0]["layers"]]
LIST_IMPORTS = """
import sys; sys.path.insert(0, ".")
import grimp
graph = grimp.build_graph("exporter", cache_dir=None)
for module in graph.modules:
    print(module, *graph.find_modules_directly_imported_by(module))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the package and its contracts, without data."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(
        ROOT / "exporter",
        tmp_path / "exporter",
        ignore=shutil.ignore_patterns("data", "__pycache__", "templates", "static"),
    )
    return tmp_path


def contracts(tree: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the copy."""
    command = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as c; c()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=tree, capture_output=True, text=True, check=False, timeout=60
    )


def plant(tree: Path, module: str, imported: str) -> None:
    """Add an import to a module or, for a package, to its `__init__`."""
    package = tree / "exporter" / module
    file = package / "__init__.py" if package.is_dir() else package.with_suffix(".py")
    file.write_text(f"{file.read_text('utf-8')}\nimport exporter.{imported}\n", "utf-8")


def test_the_tree_as_it_is(tree: Path) -> None:
    """Nothing is imported upwards."""
    answer = contracts(tree)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (lower, upper)
        for above, below in itertools.pairwise(LAYERS)
        for upper in above[:1]
        for lower in below
        if upper != "__main__"
    ],
)
def test_an_import_of_the_next_layer_above_is_refused(tree: Path, lower: str, upper: str) -> None:
    """Each layer may not know the one above it."""
    plant(tree, lower, upper)
    answer = contracts(tree)
    assert answer.returncode == 1
    assert f"exporter.{lower} is not allowed to import exporter.{upper}" in " ".join(answer.stdout.split())


def test_neighbours_in_a_layer_do_not_know_each_other(tree: Path) -> None:
    """Sources and sinks meet in the pipeline only."""
    plant(tree, "sources", "sinks")
    assert contracts(tree).returncode == 1


def test_a_module_without_a_layer_is_refused(tree: Path) -> None:
    """A new module has to say where it belongs."""
    (tree / "exporter" / "newcomer.py").write_text('"""New."""\n', "utf-8")
    assert contracts(tree).returncode != 0


def cycle(tree: Path) -> list[str]:
    """Return modules that import each other in a circle, or nothing where there are none.

    To import a module is to run the packages above it, and those above what it names: that counts as an import.
    Imports for types only and those within functions count as well.
    """
    listed = subprocess.run(
        [sys.executable, "-c", LIST_IMPORTS], cwd=tree, capture_output=True, text=True, check=True, timeout=60
    )
    graph = {}
    for line in listed.stdout.splitlines():
        module, *imported = line.split()
        graph[module] = {run for name in (module, *imported) for run in (name, *packages_of(name))} - {module}
    assert len(graph) > 200
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as exc:
        return list(exc.args[1])
    return []


def packages_of(module: str) -> list[str]:
    """Return the packages above a module: `a` and `a.b` for `a.b.c`."""
    return list(itertools.accumulate(module.split(".")[:-1], "{}.{}".format))


def test_no_module_imports_itself_by_way_of_others(tree: Path) -> None:
    """The imports have no circle, not even one through a package's `__init__`."""
    assert cycle(tree) == []


@pytest.mark.parametrize(
    ("module", "imported"),
    [("verdict/sign", "verdict.judge"), ("history", "history.history")],
    ids=["of modules", "through a package"],
)
def test_a_circle_of_imports_is_found(tree: Path, module: str, imported: str) -> None:
    """Two modules of one layer that need each other, and a package that imports what is in it."""
    plant(tree, module, imported)
    assert f"exporter.{imported}" in cycle(tree)
