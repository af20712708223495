"""The proposals as one file: for ``/etc/falco/rules.d``, for the Helm chart's ``customRules``, or as JSON.

Owns the comments, which stand above each exception and say what it would have
hidden. Values in them are visible and on one line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from exporter.alert import time_text
from exporter.escaping import shortened, visible
from exporter.render.json_document import inert
from exporter.tuning.proposals import Proposal, Tuning

_EXAMPLE_CHARACTERS = 160
_WORDS = {
    "attack": "likely attack", "undecided": "undecided", "benign": "likely benign", "test": "looks like a test",
}  # fmt: skip


def to_rules_file(tuning: Tuning) -> str:
    """Return a file for ``/etc/falco/rules.d``."""
    return "\n".join([*_head(tuning), "", *_exceptions(tuning)]) + "\n"


def to_helm_values(tuning: Tuning) -> str:
    """Return values for the Helm chart falcosecurity/falco."""
    lines = to_rules_file(tuning).splitlines()
    indented = "".join([f"    {line}\n" if line else "\n" for line in lines])
    return f"customRules:\n  falco-report-exporter-tuning.yaml: |-\n{indented}"


def to_json(tuning: Tuning) -> str:
    """Return the proposals as one line of JSON, ASCII only."""
    document = {
        "schema": 1,
        "since": time_text(tuning.since_ns),
        "until": time_text(tuning.until_ns),
        "alerts": tuning.alerts,
        "removed": tuning.removed,
        "exceptions": [_document(proposal) for proposal in tuning.proposals],
    }
    return inert(json.dumps(document, separators=(",", ":"))) + "\n"


def _document(proposal: Proposal) -> dict[str, Any]:
    return {
        "rule": proposal.rule,
        "source": proposal.source,
        "name": proposal.name,
        "alerts": proposal.alerts,
        "hidden": dict(proposal.by_verdict),
        "compared": [
            {"field": each.field, "operator": each.operator, "value": each.value} for each in proposal.comparisons
        ],
        "examples": [alert.uid for alert in proposal.examples],
        "content": proposal.content,
    }


def _head(tuning: Tuning) -> Iterator[str]:
    yield f"# Exceptions proposed from the alerts from {time_text(tuning.since_ns)[:19]} to"
    yield f"# {time_text(tuning.until_ns)[:19]} UTC. Together they would have removed {tuning.removed:,} of them,"
    yield f"# {tuning.alerts:,} in all. None would have hidden a likely attack of this period. Read each one, delete"
    yield "# what you do not know, and test the file: falco --dry-run -r /etc/falco/falco_rules.yaml -r FILE"


def _exceptions(tuning: Tuning) -> Iterator[str]:
    if not tuning.proposals:
        yield "[]"
    for proposal in tuning.proposals:
        verdicts = ", ".join([f"{count:,} {_WORDS[verdict]}" for verdict, count in proposal.by_verdict.items()])
        yield f"# Would have removed {proposal.alerts:,} alerts: {verdicts}. For example:"
        for alert in proposal.examples:
            output = shortened(visible(alert.output), _EXAMPLE_CHARACTERS)
            yield f"#   {time_text(alert.time_ns)[:19]} {output}"
        yield from proposal.content.splitlines()
        yield ""


TUNING_FORMS: Mapping[str, Callable[[Tuning], str]] = {
    "rules": to_rules_file, "helm": to_helm_values, "json": to_json,
}  # fmt: skip
"""What ``tune --format`` takes."""
