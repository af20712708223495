"""Generate Python from protos/, or check that what is committed is what protos/ says.

    python tools/generate_proto.py exporter/_proto
    python tools/generate_proto.py --check exporter/_proto

Owns the generated package whole. Refuses service stubs: client and server
speak raw bytes and need none, and stubs would tie grpcio's version to the
generator's.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
PACKAGE = "exporter._proto"
INIT = '''"""Generated from protos/ by ``make proto``; never edited.

Owns Falco's messages as protobuf's Python writes them. Refuses every importer
but the decoder, the gRPC source and the simulator.
"""
'''
_SIBLING_IMPORT = re.compile(r"^import (falco_\w+_pb2)\b", re.MULTILINE)
_VERSION_STAMP = re.compile(
    r"^# Protobuf Python Version: .*$|(?<=Domain\.PUBLIC,\n)    \d+,\n    \d+,\n    \d+,\n    '.*',", re.MULTILINE
)


def generate(directory: Path) -> None:
    """Write the package into ``directory``; raises SystemExit with protoc's status where protoc fails."""
    directory.mkdir(parents=True, exist_ok=True)
    arguments = [
        "protoc",
        f"-I{PROTOS}",
        f"-I{resources.files('grpc_tools') / '_proto'}",
        f"--python_out={directory}",
        f"--plugin=protoc-gen-mypy={find_stub_plugin()}",
        f"--mypy_out=quiet:{directory}",
        *sorted(path.name for path in PROTOS.glob("*.proto")),
    ]
    status = protoc.main(arguments)
    if status != 0:
        sys.exit(status)
    for path in (*directory.glob("*_pb2.py"), *directory.glob("*_pb2.pyi")):
        path.write_text(_SIBLING_IMPORT.sub(rf"from {PACKAGE} import \1", path.read_text()))
    (directory / "__init__.py").write_text(INIT)


def find_stub_plugin() -> str:
    """Return the path of mypy-protobuf's protoc plugin, beside this Python or on PATH."""
    beside = Path(sys.executable).parent / "protoc-gen-mypy"
    found = str(beside) if beside.exists() else shutil.which("protoc-gen-mypy")
    if found is None:
        sys.exit("protoc-gen-mypy was not found; install the development dependencies: pip install --group dev")
    return found


def read_package(directory: Path) -> dict[str, str]:
    """Return every source file's text by name, without the generator's version, which is no difference."""
    files = (path for pattern in ("*.py", "*.pyi") for path in directory.glob(pattern))
    return {path.name: _VERSION_STAMP.sub("", path.read_text()) for path in files}


def find_stale(committed: Path) -> list[str]:
    """Return one line for each file that is missing, superfluous or different."""
    with tempfile.TemporaryDirectory() as temporary:
        generate(Path(temporary))
        expected = read_package(Path(temporary))
    found = read_package(committed)
    stale = []
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            stale.append(f"{committed / name}: missing")
        elif name not in expected:
            stale.append(f"{committed / name}: made from no file in protos/")
        elif found[name] != expected[name]:
            stale.append(f"{committed / name}: differs from what protos/ gives")
    return stale


def main() -> None:
    """Generate, or with --check compare and exit 1 where something is stale."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the directory is stale")
    parser.add_argument("directory", type=Path, metavar="OUTDIR", help="the generated package, exporter/_proto")
    arguments = parser.parse_args()
    if not arguments.check:
        generate(arguments.directory)
        return
    stale = find_stale(arguments.directory)
    if stale:
        print("The generated code is stale:", *stale, sep="\n  ", file=sys.stderr)
        print("Run `make proto` and commit the result.", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
