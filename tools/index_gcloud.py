"""Write which commands gcloud has, from a checkout of the Google Cloud SDK.

`python tools/index_gcloud.py SDK > exporter/lint/data/gcloud.json`. The SDK's commands are files below
`lib/surface`; options are asked from the SDK itself, for the commands that the catalog uses.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from exporter.catalog.catalog import load_catalog
from exporter.lint.shell import scripts
from exporter.lint.tools import gcloud_path
from exporter.lint.words import simple_commands

_OPTION = re.compile(r"--([a-z][a-z0-9-]*)")
GROUPS = frozenset(
    """access-context-manager artifacts asset auth billing builds compute config container dns essential-contacts
    functions iam info kms logging monitoring org-policies organizations policy-intelligence policy-troubleshoot
    projects pubsub quotas recommender resource-manager run scc secrets services sql storage topic version""".split()  # noqa: SIM905
)
"""Groups of commands that advice may speak of."""


def command_paths(sdk: Path) -> set[str]:
    """Return every command's words after `gcloud`."""
    root = sdk / "lib/surface"
    paths = {path.relative_to(root).with_suffix("") for path in root.rglob("*") if path.suffix in {".py", ".yaml"}}
    words = {" ".join(path.parts).replace("_", "-") for path in paths if path.name != "__init__"}
    return {word for word in words if word.split()[0] in GROUPS}


def used_commands(known: set[str]) -> set[str]:
    """Return the commands that the catalog's steps run."""
    catalog = load_catalog()
    found = set()
    for script in scripts(catalog, values="plain"):
        for command in simple_commands(script.text):
            if command and command[0] == "gcloud" and (path := gcloud_path(command, known)):
                found.add(path)
    return found


def options(sdk: Path, path: str) -> list[str]:
    """Ask the SDK itself, which needs no network for its help."""
    environment = os.environ | {"CLOUDSDK_CORE_DISABLE_PROMPTS": "1", "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1"}
    command = [sys.executable, "-S", str(sdk / "lib/gcloud.py"), *path.split(), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
    plain = re.sub(r"\x1b?\[[0-9;]*m", "", done.stdout)
    return sorted(set(_OPTION.findall(plain)))


def main(sdk: Path) -> None:
    """Print the table: command to its options, empty where they were not asked."""
    known = command_paths(sdk)
    used = used_commands(known)
    table = {path: " ".join(options(sdk, path)) if path in used else "" for path in sorted(known)}
    sys.stdout.write(json.dumps(table, indent=0) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
