"""The committed tree that a release is made from; what is not committed never gets into one."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import tomllib
from pathlib import Path

import yaml

from tools.release.run import ReleaseError, output


@dataclasses.dataclass(frozen=True)
class Source:
    """One commit, unpacked."""

    tree: Path
    """Folder that holds the commit's files and nothing else."""
    version: str
    """Version of the program, which the chart has too."""
    epoch: int
    """Seconds since 1970 at which the commit was made: the time of everything in the release."""

    @property
    def name(self) -> str:
        """Return the project's name as the files of a release begin with it."""
        project = tomllib.loads((self.tree / "pyproject.toml").read_text("utf-8"))["project"]
        return str(project["name"])

    @property
    def chart(self) -> Path:
        """Return the folder of the Helm chart."""
        return self.tree / "deploy" / "helm" / self.name


def committed(repository: Path, into: Path) -> Source:
    """Unpack the last commit of a repository into an empty folder.

    Raises ``ReleaseError`` where the program and its chart name different versions.
    """
    epoch = int(output(["git", "log", "-1", "--format=%ct"], folder=repository))
    into.mkdir(parents=True)
    archive = subprocess.run(
        ["git", "-c", "tar.umask=0022", "archive", "HEAD"], cwd=repository, check=True, capture_output=True
    ).stdout
    subprocess.run(["tar", "--extract", "--preserve-permissions"], cwd=into, input=archive, check=True)
    source = Source(into, version(into), epoch)
    in_chart = yaml.safe_load((source.chart / "Chart.yaml").read_text("utf-8"))
    for key in ("version", "appVersion"):
        if in_chart[key] != source.version:
            raise ReleaseError(
                f"the program is {source.version} (exporter/__init__.py), the chart's {key} is {in_chart[key]} "
                f"(deploy/helm/{source.name}/Chart.yaml): give both the same version and commit"
            )
    return source


def uncommitted(repository: Path) -> list[str]:
    """Return the lines of ``git status``: changes that a release made now would not have."""
    return output(["git", "status", "--porcelain"], folder=repository).splitlines()


def version(tree: Path) -> str:
    """Return the version that the package names."""
    found = re.search(
        r'^__version__ = "([^"]+)"$', (tree / "exporter" / "__init__.py").read_text("utf-8"), re.MULTILINE
    )
    if not found:
        raise ReleaseError('exporter/__init__.py: expected a line __version__ = "…", found none')
    return found[1]
