"""The digest as JSON, for programs.

Owns its members, which grow but keep what they have within one ``schema`` number.
"""

from __future__ import annotations

import json
from typing import Any

from exporter.alert import time_text
from exporter.digest.digest import Digest, RuleLine
from exporter.digest.words import lines_of
from exporter.render.json_document import inert

SCHEMA = 1


def to_json(digest: Digest) -> str:
    """Return the digest as one line of JSON, ASCII only, ending with a line feed."""
    return inert(json.dumps(to_document(digest), separators=(",", ":"))) + "\n"


def to_document(digest: Digest) -> dict[str, Any]:
    """Return the document's members as plain dicts, lists and strings."""
    return {
        "schema": SCHEMA,
        "since": time_text(digest.since_ns),
        "until": time_text(digest.until_ns),
        "kept_since": time_text(digest.kept_since_ns) if digest.kept_since_ns else None,
        "alerts": digest.alerts,
        "alerts_before": digest.before,
        "verdicts": dict(digest.verdicts),
        "verdicts_before": None if digest.verdicts_before is None else dict(digest.verdicts_before),
        "timeline": {
            "bar_hours": digest.bar_hours,
            "bars": [{"since": time_text(bar.time_ns), **bar.verdicts} for bar in digest.bars],
        },
        "rules": [_rule(line) for line in digest.rules],
        "new": [line.rule for line in digest.new],
        "grown": [line.rule for line in digest.grown],
        "silent": [{"rule": rule, "alerts_before": before} for rule, before in digest.silent],
        "noise": [
            {"rule": each.rule, "alerts": each.alerts, "place": each.place, "principal": each.principal,
             "share": round(each.share, 4)}
            for each in digest.noise
        ],
        "tactics": [
            {"tactic": each.name, "rules_fired": each.rules, "rules_known": each.covered, "alerts": each.alerts,
             "attacks": each.attacks}
            for each in digest.tactics
        ],
        "incidents": [
            {"id": line.id, "verdict": line.verdict, "about": line.about, "rules": list(line.rules),
             "alerts": line.alerts, "first": line.first, "last": line.last}
            for line in lines_of(digest.incidents)
        ],
        "incidents_are_partial": digest.incidents_are_partial,
        "losses": dict(digest.losses),
    }  # fmt: skip


def _rule(line: RuleLine) -> dict[str, Any]:
    return {
        "rule": line.rule,
        "source": line.source,
        "alerts": line.alerts,
        "alerts_before": line.before,
        "verdicts": dict(line.verdicts),
    }
