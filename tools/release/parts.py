"""The parts of a release that are made of the project's own files: distributions, chart, dashboards and alert rules."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

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
    """Pack the dashboards, in the form that grafana.com takes, and the rules for Prometheus, Loki and vmalert."""
    name = f"{source.name}-dashboards-{source.version}"
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(scratch)
        boards = source.tree / "dashboards"
        (kept / "dashboards").mkdir()
        (kept / "alerts").mkdir()
        for file in boards.glob("*.json"):
            document = to_import_form(json.loads(file.read_text("utf-8")))
            text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
            (kept / "dashboards" / file.name).write_text(text, "utf-8")
        for file in (boards / "alerts").glob("*.rules.yaml"):
            shutil.copy(file, kept / "alerts")
        shutil.copy(source.tree / "LICENSE", kept)
        tar = archives.to_tar(kept, f"{name}/", source.epoch)
    (into / f"{name}.tar.gz").write_bytes(archives.compressed(tar, source.epoch))


GRAFANA = "10.4.0"
"""The oldest Grafana that the dashboards are for."""
_NAMES = {
    "timeseries": "Time series",
    "stat": "Stat",
    "table": "Table",
    "logs": "Logs",
    "text": "Text",
    "prometheus": "Prometheus",
    "loki": "Loki",
    "victoriametrics-logs-datasource": "VictoriaLogs",
}


def to_import_form(document: dict[str, Any]) -> dict[str, Any]:
    """Return a dashboard as Grafana exports it for others, which is what grafana.com takes.

    It says what it needs: Grafana, kinds of panels, data sources. It asks for nothing when it is imported
    (``__inputs`` is empty), because data sources are chosen on the dashboard itself.
    """
    panels = [inner for panel in document["panels"] for inner in (panel, *panel.get("panels", ()))]
    sources = {variable["query"] for variable in document["templating"]["list"] if variable["type"] == "datasource"}
    needs = [{"type": "grafana", "id": "grafana", "name": "Grafana", "version": GRAFANA}]
    for kind, found in (("panel", {panel["type"] for panel in panels} - {"row"}), ("datasource", sources)):
        version = "1.0.0" if kind == "datasource" else ""  # as Grafana itself writes it
        needs += [{"type": kind, "id": each, "name": _NAMES[each], "version": version} for each in sorted(found)]
    return {**document, "__inputs": [], "__elements": {}, "__requires": needs, "id": None}
