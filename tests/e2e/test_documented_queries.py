"""Every PromQL query in the documentation is one that Prometheus' own parser accepts."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.programs import program

pytestmark = pytest.mark.e2e
DOCS = Path(__file__).parents[2] / "docs"


def queries() -> list[str]:
    """Each paragraph of a ```promql block, comments left out."""
    found = []
    for page in sorted(DOCS.rglob("*.md")):
        for block in re.findall(r"```promql\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            parts = re.split(r"^\s*$|^#.*$", block, flags=re.MULTILINE)
            found += [" ".join(part.split()) for part in parts if part.strip()]
    return found


def test_documented_promql_parses(tmp_path: Path) -> None:
    """promtool accepts a rules file made of all of them."""
    found = queries()
    assert len(found) > 10
    rules = [{"record": f"documented:query{number}", "expr": query} for number, query in enumerate(found)]
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps({"groups": [{"name": "documented", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run([program("promtool"), "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
