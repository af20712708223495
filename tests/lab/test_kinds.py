"""Each entry has its kinds of scenarios: told, with the object gone, with hostile values, and the refused attempt."""

from __future__ import annotations

from collections import defaultdict

from tests.lab.kinds import KINDS, kinds_by_rule, lacking
from tests.lab.steps import reporter

EXCEPTIONS: dict[str, dict[str, str]] = {
    "refused": {
        "EphemeralContainers Created": "the step stops only what began since; a refused one began nothing",
        "GCP BigQuery Dataset access configured to be public": "what a refused call asked for is not on the list",
        "Public Repository Becoming Private": "GitHub's audit log, which the rule reads, has no refused attempts",
    },
}
"""By kind: the rules that may lack it, with why. A line that is no longer needed fails the test too."""


def test_each_entry_has_its_kinds_of_scenarios() -> None:
    found: dict[str, set[str]] = defaultdict(set)
    for rule, kinds in lacking().items():
        for kind in kinds:
            found[kind].add(rule)
    argued = {kind: set(rules) for kind, rules in EXCEPTIONS.items()}
    assert dict(found) == argued, "add a scenario, or say here why there is none"


def test_the_scenarios_name_their_rules() -> None:
    found = kinds_by_rule()
    assert set().union(*found.values()) == set(KINDS)
    assert found["Clear Log Activities"] >= {"told", "again", "hostile"}
    assert found["Create AWS user"] == set(KINDS)
    assert set(found) <= {entry.rule for entry in reporter().catalog.entries}
