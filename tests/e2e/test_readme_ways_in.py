"""The README's ways in, followed to the letter: each brings the report of an alert onto a page."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.e2e.readme_way import ROOT, ways

pytestmark = pytest.mark.e2e

NAMESPACES = ["unshare", *(["--user", "--map-root-user"] if os.geteuid() else []), "--mount", "--net"]
KINDS = ("http_output", "file_output", "grpc")


def test_the_readme_has_three_ways_in() -> None:
    """Each has settings for Falco, and ends with a check and a run; no other block is left out here."""
    assert [kind for way in ways() for kind in KINDS if kind in way.settings] == list(KINDS)
    verbs = [[command.removeprefix("sudo ").split()[:2] for command in way.commands[-2:]] for way in ways()]
    assert verbs == [[["falco-report-exporter", "check"], ["falco-report-exporter", "run"]]] * 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_way_in_brings_the_report(kind: str) -> None:
    """What is set, typed and opened is what the README says; `check` finds nothing wrong."""
    done = subprocess.run(
        [*NAMESPACES, sys.executable, "-m", "tests.e2e.readme_way", kind],
        capture_output=True, text=True, check=False, timeout=300, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert "ok   configuration and catalog: valid" in done.stdout
    assert "FAIL" not in done.stdout
    assert "<h1" in done.stdout
    assert "Mitigation" in done.stdout
    assert ("LOOKS LIKE A TEST" in done.stdout) == (kind == "http_output")
