"""What several end-to-end tests of the dashboards need."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.programs import program


@pytest.fixture(scope="session")
def parser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the script that parses with Grafana's own grammar, its packages installed."""
    there = tmp_path_factory.mktemp("logql") / "check"
    shutil.copytree(Path(__file__).with_name("logql"), there)
    done = subprocess.run([program("npm"), "ci"], check=False, capture_output=True, text=True, cwd=there)
    assert done.returncode == 0, done.stderr
    return there
