"""The import contracts of pyproject.toml hold what docs/decisions/layers.md says: an import upwards breaks them."""

from __future__ import annotations

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
