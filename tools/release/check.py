"""Check a release: ``python -m tools.release.check``; it is made twice, compared, looked into and installed."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import re
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from tools.release.__main__ import ROOT, SUMS
from tools.release.parts import helm
from tools.release.run import ReleaseError, output, say, tool

# What only the machine knows that a release was made on.
FOREIGN = re.compile(rb"/(?:home|root|tmp|builds|Users)/[\w.-]+/[\w.-]+|[a-z]+://[^/\s:@]+:[^/\s@]+@")


def main() -> int:
    """Run every check; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.release.check", description=__doc__)
    parser.add_argument("--no-image", action="store_true", help="leave the container image out")
    options = ["--no-image"] if parser.parse_args().no_image else []
    with tempfile.TemporaryDirectory() as scratch:
        one, other = Path(scratch) / "one", Path(scratch) / "deeper" / "other"
        try:
            make(one, options, umask=0o022)
            make(other, options, umask=0o077)
            for check in (same_bytes, sums_hold):
                check(one, other)
            contents(one)
            distributions(one)
            chart(one)
            if not options and list(one.glob("*.oci.tar")):
                container_image(only(one, "*.oci.tar"))
            by_pipx(one, Path(scratch) / "pipx")
            installs(one, Path(scratch) / "environment")
        except ReleaseError as exc:
            say(f"release-check: {exc}")
            return 1
    say("The release is in order.")
    return 0


def make(folder: Path, options: list[str], *, umask: int) -> None:
    """Make the release in a process of its own, with another umask each time."""
    say(f"making it (umask {umask:03o})")
    before = os.umask(umask)
    try:
        output([sys.executable, "-m", "tools.release", *options, folder], folder=ROOT)
    finally:
        os.umask(before)


def same_bytes(one: Path, other: Path) -> None:
    """Hold two releases equal, file by file."""
    names = [sorted(file.name for file in folder.iterdir()) for folder in (one, other)]
    if names[0] != names[1]:
        raise ReleaseError(f"two releases of one commit have different files: {names[0]} and {names[1]}")
    differing = [name for name in names[0] if (one / name).read_bytes() != (other / name).read_bytes()]
    if differing:
        raise ReleaseError(f"two releases of one commit differ in {', '.join(differing)}")
    say(f"twice the same bytes: {len(names[0])} files")


def sums_hold(one: Path, other: Path) -> None:
    """Hold the sums against the files of both, by the program that users have."""
    for folder in (one, other):
        output(["sha256sum", "--check", "--strict", "--quiet", SUMS], folder=folder)
        listed = {line.split()[1] for line in (folder / SUMS).read_text("utf-8").splitlines()}
        there = {file.name for file in folder.iterdir()} - {SUMS}
        if listed != there:
            raise ReleaseError(f"{SUMS} lists {sorted(listed)}, the release has {sorted(there)}")


def contents(folder: Path) -> None:
    """Look for what the machine left behind in the texts made from installed files."""
    for file in [*folder.glob("*.cdx.json"), *folder.glob("*.licences.txt"), *folder.glob(SUMS)]:
        found = FOREIGN.search(file.read_bytes())
        if found:
            raise ReleaseError(f"{file.name}: has a path or an account of this machine: {found[0].decode()}")
    document = json.loads(only(folder, "*.cdx.json").read_text("utf-8"))
    if not document["components"] or document["bomFormat"] != "CycloneDX":
        raise ReleaseError("the SBOM has no components")


def distributions(folder: Path) -> None:
    """Hold wheel and sdist to what the package index asks, and see that types are marked."""
    wheel, sdist = only(folder, "*.whl"), only(folder, "falco_report_exporter-*.tar.gz")
    output([tool("twine"), "check", "--strict", wheel, sdist])
    if "exporter/py.typed" not in zipfile.ZipFile(wheel).namelist():
        raise ReleaseError(f"{wheel.name}: exporter/py.typed is missing")
    with tarfile.open(sdist) as archive:
        if not any(name.endswith("/exporter/py.typed") for name in archive.getnames()):
            raise ReleaseError(f"{sdist.name}: exporter/py.typed is missing")
    say(f"{wheel.name}, {sdist.name}: fit for the index, typed")


def chart(folder: Path) -> None:
    """Let Helm read and render the package."""
    package = only(folder, "*.tgz")
    output([helm(), "lint", "--strict", package])
    if "kind: " not in output([helm(), "template", "falco", package, "--kube-version", "1.30.0"]):
        raise ReleaseError(f"{package.name}: renders nothing")
    say(f"{package.name}: linted and rendered")


def container_image(file: Path) -> None:
    """Read the image as a registry would: its index, its settings, its layers; it runs the program as no root."""
    with tarfile.open(file) as archive:

        def blob(digest: str) -> bytes:
            member = archive.extractfile(f"blobs/{digest.replace(':', '/')}")
            if member is None or hashlib.sha256(content := member.read()).hexdigest() != digest.partition(":")[2]:
                raise ReleaseError(f"{file.name}: {digest} is missing or is something else")
            return content

        index = archive.extractfile("index.json")
        manifest = json.loads(blob(json.loads(index.read())["manifests"][0]["digest"])) if index else {}
        config = json.loads(blob(manifest["config"]["digest"]))["config"]
        names: set[str] = set()
        for layer in manifest["layers"]:
            with tarfile.open(fileobj=io.BytesIO(blob(layer["digest"]))) as content:
                names.update(content.getnames())
    found = (config.get("User"), config.get("Entrypoint"), config.get("Cmd"))
    if found != ("65532:65532", ["falco-report-exporter"], ["run"]):
        raise ReleaseError(f"{file.name}: expected user 65532 and `falco-report-exporter run`, found {found}")
    if "opt/exporter/bin/falco-report-exporter" not in names:
        raise ReleaseError(f"{file.name}: the program is in none of its layers")
    say(f"{file.name}: {len(manifest['layers'])} layers, user {config['User']}")


def by_pipx(folder: Path, home: Path) -> None:
    """Install the wheel as users of pipx do and run the demo."""
    places = {"PIPX_HOME": str(home), "PIPX_BIN_DIR": str(home / "bin"), "PIPX_MAN_DIR": str(home / "man")}
    output([tool("pipx"), "install", "--quiet", only(folder, "*.whl")], more=places)
    shown = output([home / "bin" / "falco-report-exporter", "demo", "--once"], folder=home)
    if "falco_" not in shown:
        raise ReleaseError("installed by pipx, the demo shows no metrics")
    say("installed by pipx, the demo runs")


def installs(folder: Path, environment: Path) -> None:
    """Install wheel and sdist in turn into a fresh environment and run the demo of each."""
    output([sys.executable, "-m", "venv", environment])
    python = environment / "bin" / "python"
    pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    output([*pip, "--require-hashes", "--no-deps", "--requirement", ROOT / "requirements.lock"])
    for package in (only(folder, "*.whl"), only(folder, "falco_report_exporter-*.tar.gz")):
        output([*pip, "--force-reinstall", "--no-deps", package])
        output([python, "-m", "pip", "check"])
        # From elsewhere, so that no working tree stands in for what was installed.
        shown = output([environment / "bin" / "falco-report-exporter", "demo", "--once"], folder=environment)
        if "falco_" not in shown:
            raise ReleaseError(f"{package.name}: the demo shows no metrics")
        say(f"{package.name}: installed, the demo runs")


def only(folder: Path, pattern: str) -> Path:
    """Return the one file of a release that a pattern names."""
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise ReleaseError(f"expected one file {pattern} in the release, found {len(found)}")
    return found[0]


if __name__ == "__main__":
    sys.exit(main())
