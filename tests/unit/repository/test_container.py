"""The container image: what can be held without a container engine."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def pins() -> dict[str, str]:
    """Each locked distribution's version, by name."""
    return {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.MULTILINE)}


def test_the_dockerfile_lints_clean() -> None:
    """hadolint has nothing to say."""
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_lock_satisfies_every_dependency() -> None:
    """Each direct dependency is pinned within its bounds: `make lock` was run after the last change."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found = pins()
    for text in project["dependencies"]:
        requirement = Requirement(text)
        version = found[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}: locked at {version}"


def test_every_pin_has_hashes() -> None:
    """Nothing is installed whose content could be another tomorrow."""
    for block in re.split(r"\n(?=\w)", LOCK.strip()):
        assert "--hash=sha256:" in block, block.splitlines()[0]
    assert "--require-hashes" in DOCKERFILE


def test_nothing_of_the_machine_is_in_the_lock() -> None:
    """No index, no path: whoever builds uses an own registry."""
    assert not re.search(r"https?://|^--|/opt/|file:", LOCK, re.MULTILINE)


@pytest.mark.parametrize(
    "line",
    [r"^USER 65532:65532$", r"^HEALTHCHECK .*\"falco-report-exporter\", \"health\"", r"^LABEL org\.opencontainers"],
)
def test_the_image_is_fit_for_production(line: str) -> None:
    """Not root, its own health check, labelled."""
    assert re.search(line, DOCKERFILE, re.MULTILINE)


def test_the_context_holds_only_what_is_copied() -> None:
    """Everything is ignored but what a COPY names."""
    ignore = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert ignore[0] == "*"
    allowed = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    copied = set()
    for arguments in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        copied |= set(arguments.split()[:-1])
    assert {item.removeprefix("./") for item in copied} == allowed
