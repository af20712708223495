"""A release is made of one commit, whose parts agree on the version."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.programs import program
from tools.release.run import ReleaseError
from tools.release.source import committed, uncommitted

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]


def repository(folder: Path, *, version: str, chart: str) -> Path:
    """Make a repository with one commit."""
    parts = {
        "pyproject.toml": '[project]\nname = "falco-report-exporter"\n',
        "exporter/__init__.py": f'__version__ = "{version}"\n',
        "deploy/helm/falco-report-exporter/Chart.yaml": f'version: {version}\nappVersion: "{chart}"\n',
    }
    for name, text in parts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    program("git")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "All", "--date", "@1"]):
        subprocess.run(
            [*GIT, *command],
            cwd=folder,
            check=True,
            env={"PATH": "/usr/bin:/bin", "GIT_COMMITTER_DATE": "@1700000000 +0000"},
        )
    return folder


def test_only_what_is_committed_is_in_it(tmp_path: Path) -> None:
    """A file beside the commit is named, and is not in the tree."""
    folder = repository(tmp_path / "repository", version="1.2.3", chart="1.2.3")
    (folder / "stray.txt").write_text("", "utf-8")
    source = committed(folder, tmp_path / "tree")
    assert (source.name, source.version, source.epoch) == ("falco-report-exporter", "1.2.3", 1_700_000_000)
    assert not (source.tree / "stray.txt").exists()
    assert uncommitted(folder) == ["?? stray.txt"]


def test_a_chart_of_another_version_is_an_error(tmp_path: Path) -> None:
    """Program and chart are released together or not at all."""
    folder = repository(tmp_path / "repository", version="1.2.3", chart="1.2.2")
    with pytest.raises(ReleaseError, match=r"the program is 1\.2\.3 .* the chart's appVersion is 1\.2\.2"):
        committed(folder, tmp_path / "tree")
