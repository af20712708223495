"""What is installed beside the program: the locked distributions as an SBOM, and their licences."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from tools.release.run import ReleaseError, output, tool
from tools.release.source import Source


def environment(source: Source, folder: Path) -> Path:
    """Install ``requirements.lock``, with its hashes and nothing else, into a new environment; return its Python."""
    output([sys.executable, "-m", "venv", "--without-pip", folder])
    python = folder / "bin" / "python"
    lock = source.tree / "requirements.lock"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    output([*pip, "install", "--quiet", "--require-hashes", "--no-deps", "--requirement", lock])
    return python


def sbom(source: Source, python: Path, into: Path) -> None:
    """Write the CycloneDX document: what needs what and the licences, by the environment; the hashes, by the lock."""
    common: list[str | Path] = [
        "--pyproject",
        "pyproject.toml",
        "--output-reproducible",
        "--spec-version",
        "1.6",
        "--output-format",
        "JSON",
    ]
    variables = {"SOURCE_DATE_EPOCH": str(source.epoch)}
    write = [tool("cyclonedx-py")]
    installed = json.loads(output([*write, "environment", *common, python], folder=source.tree, more=variables))
    lock = [*write, "requirements", *common, "requirements.lock"]
    locked = json.loads(output(lock, folder=source.tree, more=variables))
    joined = with_hashes(installed, locked)
    joined["metadata"]["component"]["version"] = source.version
    text = json.dumps(joined, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    (into / f"{source.name}-{source.version}.cdx.json").write_text(text, "utf-8")


def with_hashes(installed: dict[str, Any], locked: dict[str, Any]) -> dict[str, Any]:
    """Give each installed component the hashes of the files that the lock allows for it.

    Raises ``ReleaseError`` where the two do not have the same components in the same versions.
    """
    allowed = {identity(component): component for component in locked["components"]}
    found = {identity(component) for component in installed["components"]}
    if found ^ set(allowed):
        differing = ", ".join(f"{name} {version}" for name, version in sorted(found ^ set(allowed)))
        raise ReleaseError(f"requirements.lock and what was installed from it differ: {differing}; run make lock")
    components = []
    for component in installed["components"]:
        references = allowed[identity(component)].get("externalReferences", [])
        files = [
            {"type": "distribution", "url": component["purl"], "hashes": one["hashes"]}
            for one in references
            if "hashes" in one
        ]
        if not files:
            raise ReleaseError(f"requirements.lock: {component['name']} has no hash")
        components.append({**component, "externalReferences": component.get("externalReferences", []) + files})
    return {**installed, "components": components}


def identity(component: dict[str, Any]) -> tuple[str, str]:
    """Return the normalised name (PEP 503) and the version of a component."""
    return re.sub(r"[-_.]+", "-", component["name"]).lower(), component["version"]


def licences(source: Source, python: Path, into: Path) -> None:
    """Write the licence of everything that is installed: a table, then each text and notice in full."""
    asked = ["--with-urls", "--with-license-file", "--with-notice-file", "--no-license-path"]
    command: list[str | Path] = [
        tool("pip-licenses"),
        "--python",
        python,
        "--from",
        "mixed",
        "--with-system",
        "--order",
        "name",
    ]
    found = json.loads(output([*command, "--format", "json", *asked]))
    lines = [
        f"{source.name} {source.version}: Apache-2.0; its text is at the end of this file.",
        "It is installed with:",
        "",
    ]
    lines += [f"  {one['Name']} {one['Version']}: {one['License']}" for one in found]
    for one in found:
        lines += ["", "=" * 80, f"{one['Name']} {one['Version']}", one["License"], one["URL"], ""]
        texts = [one[key].strip() for key in ("LicenseText", "NoticeText") if one[key] != "UNKNOWN"]
        lines += texts or ["(The distribution has no text of its licence.)"]
    lines += ["", "=" * 80, f"{source.name} {source.version}", "", (source.tree / "LICENSE").read_text("utf-8")]
    (into / f"{source.name}-{source.version}.licences.txt").write_text("\n".join(lines), "utf-8")
