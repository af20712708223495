"""What completion offers; what real shells make of it is in tests/e2e."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def _offered(typed: str, directory: Path) -> list[str]:
    line = f"falco-report-exporter {typed}"
    environment = os.environ | {
        "_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": "fish", "_ARGCOMPLETE_IFS": "\n", "PYTHONPATH": str(ROOT),
        "COMP_LINE": line, "COMP_POINT": str(len(line)),
    }  # fmt: skip
    command = ["sh", "-c", 'exec "$0" -m exporter 8>&1 9>&2', sys.executable]
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, check=True)
    return [each.strip() for each in done.stdout.split("\n") if each.strip()]


def test_rules_are_offered_in_any_case_with_those_of_own_catalogs(tmp_path: Path) -> None:
    """A directory's broken files, and files of another shape, take nothing away."""
    (tmp_path / "own.yaml").write_text("entries:\n  - rule: Terminal of mine\n  - [no entry]\n", encoding="utf-8")
    (tmp_path / "broken.yml").write_text("entries: [", encoding="utf-8")
    (tmp_path / "other.yaml").write_text("- rule: Terminal elsewhere\n", encoding="utf-8")
    found = _offered("catalog show --catalog.directories . terminal", tmp_path)
    assert found == ["Terminal of mine", "Terminal shell in container"]
    assert _offered("report --rule 'netcat/", tmp_path) == ["Netcat/Socat Remote Code Execution on Host"]


def test_files_are_offered_for_files_only(tmp_path: Path) -> None:
    """A file's name is no address and no text."""
    (tmp_path / "alerts.jsonl").touch()
    for typed in ("report al", "run --config al", "run --catalog.directories al", "run --json-lines.file al"):
        assert _offered(typed, tmp_path) == ["alerts.jsonl"], typed
    for typed in ("run --target al", "run --http.address al", "digest --since al", "report --last al"):
        assert _offered(typed, tmp_path) == [], typed
