"""The parts of a release that are made of the project's own files: distributions, chart, dashboards and alert rules."""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

from tools.release import archives
from tools.release.run import ReleaseError, output
from tools.release.source import Source


def distributions(source: Source, into: Path) -> None:
    """Build wheel and sdist with the pinned hatchling of this environment."""
    output(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", into, source.tree],
        more={"SOURCE_DATE_EPOCH": str(source.epoch)},
    )


def chart(source: Source, into: Path) -> None:
    """Package the Helm chart; Helm writes the time of the day into its archive, so it is packed again without."""
    with tempfile.TemporaryDirectory() as scratch:
        output([helm(), "package", source.chart, "--destination", scratch])
        (package,) = Path(scratch).glob("*.tgz")
        unpacked = Path(scratch) / "unpacked"
        with tarfile.open(package) as archive:
            archive.extractall(unpacked, filter="data")
        tar = archives.to_tar(unpacked, "", source.epoch)
    # The program's archives begin with the same name and version.
    (into / f"{source.name}-chart-{source.version}.tgz").write_bytes(archives.compressed(tar, source.epoch))


def helm() -> str:
    """Return the Helm to use: ``$HELM``, the one in ``PATH``, or the one that ``tests/lab/build.sh helm`` built."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "falco-lab"
    built = Path(os.environ.get("FALCO_LAB_CACHE") or cache) / "bin" / "helm"
    found = os.environ.get("HELM") or shutil.which("helm") or (str(built) if built.exists() else "")
    if not found:
        raise ReleaseError("helm: not found in $HELM, PATH or the lab's cache; build it with: tests/lab/build.sh helm")
    return found


def dashboards_and_alerts(source: Source, into: Path) -> None:
    """Pack the dashboards, in the form that Grafana imports, and the alert rules for Prometheus, Loki and vmalert."""
    name = f"{source.name}-dashboards-{source.version}"
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch)
        boards = source.tree / "dashboards"
        (kept / "dashboards").mkdir()
        (kept / "alerts").mkdir()
        for file in boards.glob("*.json"):
            shutil.copy(file, kept / "dashboards")
        for file in (boards / "alerts").glob("*.rules.yaml"):
            shutil.copy(file, kept / "alerts")
        shutil.copy(source.tree / "LICENSE", kept)
        tar = archives.to_tar(kept, f"{name}/", source.epoch)
    (into / f"{name}.tar.gz").write_bytes(archives.compressed(tar, source.epoch))
