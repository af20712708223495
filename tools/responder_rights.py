"""Write `deploy/responder/`, what responders need in AWS and Google Cloud: `python -m tools.responder_rights`.

Made of `rights:` of every cloud step: one policy or role for the steps that
read or keep, one for those that change something, undos included.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from exporter.catalog.catalog import Catalog, load_catalog
from exporter.catalog.steps import CommandStep
from exporter.lint.walk import commands

FOLDER = Path(__file__).parents[1] / "deploy" / "responder"
PROVIDERS = {"aws": "aws_cloudtrail", "gcp": "gcp_auditlog"}
"""What a file's name begins with, and the event source whose steps it is for."""
_READING = frozenset({"look", "keep", "verify"})
_ACTION = re.compile(r"(?:\b([a-z0-9]+):)?\b([A-Z]\w+)")
_PERMISSION = re.compile(r"(?:\b([a-z]+\.[A-Za-z]+))?\.([A-Za-z]+)\b")


def cloud_steps(catalog: Catalog, source: str) -> Iterator[CommandStep]:
    """Yield the steps of a source that run where the provider's client is, once each.

    Those of procedures are among them that only rules without an entry use.
    """
    shared = next(f"procedure {name}-" for name, each in PROVIDERS.items() if each == source)
    for owned, step in commands(catalog):
        is_its_own = owned.entry.source == source if owned.entry else owned.owner.startswith(shared)
        if step.where == "cloud" and is_its_own:
            yield step


def rights_of(step: CommandStep) -> frozenset[str]:
    """Return the rights that a step names: ``iam:GetUser``, ``iam.roles.get``; a service is said once for several."""
    pattern = _ACTION if re.search(r"[a-z0-9]:[A-Z]", step.rights.text) else _PERMISSION
    found, before = set(), ""
    for match in pattern.finditer(step.rights.text):
        before = match[1] or before
        found.add(f"{before}{':' if pattern is _ACTION else '.'}{match[2]}")
    return frozenset(found)


def needed(catalog: Catalog, provider: str, *, change: bool) -> list[str]:
    """Return the rights of all steps that change something, or of all that do not, sorted."""
    steps = cloud_steps(catalog, PROVIDERS[provider])
    return sorted({right for step in steps if (step.phase not in _READING) == change for right in rights_of(step)})


def contents(catalog: Catalog) -> dict[str, str]:
    """Return each file's name and text."""
    found = {}
    for what in ("look", "contain"):
        actions = needed(catalog, "aws", change=what == "contain")
        statement = {"Sid": f"FalcoResponder{what.title()}", "Effect": "Allow", "Action": actions, "Resource": "*"}
        found[f"aws-{what}.json"] = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2) + "\n"
        lines = "".join(f"  - {each}\n" for each in needed(catalog, "gcp", change=what == "contain"))
        title = f"title: Falco responder, {what}\nstage: GA\n"
        found[f"gcp-{what}.yaml"] = f"{title}includedPermissions:\n{lines}"
    return found


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in contents(load_catalog(())).items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
