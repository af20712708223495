"""The generated code is what protos/ says, and the check notices when it is not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def check(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools/generate_proto.py"), "--check", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_committed_code_is_fresh() -> None:
    """What is committed is what the protos give."""
    result = check(ROOT / "exporter/_proto")
    assert (result.returncode, result.stderr) == (0, "")


def test_a_stale_missing_or_superfluous_file_is_named(tmp_path: Path) -> None:
    """The check says which file is wrong and which command mends it."""
    copy = tmp_path / "_proto"
    shutil.copytree(ROOT / "exporter/_proto", copy)
    (copy / "falco_schema_pb2.py").write_text("")
    (copy / "falco_version_pb2.pyi").unlink()
    (copy / "extra_pb2.py").touch()
    result = check(copy)
    assert result.returncode == 1
    assert f"{copy}/falco_schema_pb2.py: differs" in result.stderr
    assert f"{copy}/falco_version_pb2.pyi: missing" in result.stderr
    assert f"{copy}/extra_pb2.py: made from no file" in result.stderr
    assert "make proto" in result.stderr
