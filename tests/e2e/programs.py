"""The real programs that end-to-end tests run.

One rule for all: a program that is missing skips the test and says why,
unless CI=true, where it fails, so that CI never passes by testing nothing.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

_COLLECTORS = Path(__file__).parents[2] / ".cache" / "collector"


def program(*names: str) -> str:
    """Return the path of the first program that is installed under one of the names."""
    for name in names:
        if path := shutil.which(name):
            return path
    return missing(f"{' or '.join(names)} is not installed")


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it in CI, saying what is missing."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; CI needs it")
    pytest.skip(reason)


def find_collector() -> Path:
    """Return the collector that ``tests/e2e/collector/build.sh`` built: ``$OTELCOL``, or the newest in ``.cache``."""
    named = os.environ.get("OTELCOL")
    if named:
        return Path(named)
    built = sorted(_COLLECTORS.glob("otelcol-test-*"), key=lambda path: path.stat().st_mtime)
    if not built:
        missing("no OpenTelemetry Collector is built; build one with tests/e2e/collector/build.sh .cache/collector")
    return built[-1]


def find_compose() -> Path:
    """Return the Docker Compose that ``tests/e2e/compose/build.sh`` built: ``$COMPOSE``, or the one in ``.cache``."""
    named = os.environ.get("COMPOSE")
    built = [Path(named)] if named else sorted((_COLLECTORS.parent / "compose").glob("docker-compose-*"))
    if not built:
        missing("no Docker Compose is built; build it with tests/e2e/compose/build.sh .cache/compose")
    return built[-1]


def find_victorialogs() -> Path:
    """Return what ``tests/e2e/victorialogs/build.sh`` built: ``$VICTORIALOGS``, or the newest in ``.cache``."""
    named = os.environ.get("VICTORIALOGS")
    built = [Path(named)] if named else sorted((_COLLECTORS.parent / "victorialogs").glob("victoria-logs-*"))
    if not built:
        missing("no VictoriaLogs is built; build it with tests/e2e/victorialogs/build.sh .cache/victorialogs")
    return built[-1]


def find_vmalert() -> Path:
    """Return what ``tests/e2e/vmalert/build.sh`` built: ``$VMALERT``, or the newest in ``.cache``."""
    named = os.environ.get("VMALERT")
    built = [Path(named)] if named else sorted((_COLLECTORS.parent / "vmalert").glob("vmalert-*"))
    if not built:
        missing("no vmalert is built; build it with tests/e2e/vmalert/build.sh .cache/vmalert")
    return built[-1]


def find_helm() -> Path:
    """Return the Helm that ``tests/lab/build.sh helm`` built: ``$HELM``, or the one in the lab's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "falco-lab"
    named = Path(os.environ.get("HELM") or Path(os.environ.get("FALCO_LAB_CACHE") or cache) / "bin" / "helm")
    if not named.exists():
        missing("no Helm is built; build it with tests/lab/build.sh helm")
    return named
