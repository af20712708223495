"""The catalog that comes with the program."""

from __future__ import annotations

import importlib.util

import pytest
import yaml

from exporter.catalog.catalog import Catalog, load_catalog
from exporter.derived import DERIVED
from exporter.lint.checks import check_catalog
from exporter.lint.examples import examples
from exporter.lint.links import check_links
from exporter.lint.samples import ALERT_VALUES
from exporter.lint.shell import check_shell
from exporter.lint.snippets import check_snippets, rendered_contents
from exporter.lint.tools import check_tools
from exporter.lint.walk import changes
from exporter.prose import to_plain
from exporter.reporter import Reporter

KINDS = {
    "v1", "apps/v1", "batch/v1", "networking.k8s.io/v1", "rbac.authorization.k8s.io/v1", "policy/v1",
    "admissionregistration.k8s.io/v1",
}  # fmt: skip
"""API versions that Kubernetes itself has a schema for."""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def test_no_check_finds_anything(catalog: Catalog) -> None:
    """Every check passes over every entry and procedure."""
    assert [str(finding) for finding in check_catalog(catalog)] == []


def test_general_advice_passes_the_same_checks(catalog: Catalog) -> None:
    """What advice is composed of calls known tools only and its snippets parse."""
    pieces = Catalog(catalog.composer.pieces.values(), catalog.procedures.values(), catalog.rules.values())
    found = [
        str(finding) for check in (check_shell, check_snippets, check_tools, check_links) for finding in check(pieces)
    ]
    assert found == []


def test_checks_know_what_every_alert_has() -> None:
    """The checks' list of `alert.…` placeholders is the report's."""
    assert ALERT_VALUES.keys() == DERIVED.keys()


@pytest.mark.skipif(
    importlib.util.find_spec("kubernetes_validate") is None, reason="kubernetes-validate is not installed"
)
def test_kubernetes_manifests_fit_the_schema(catalog: Catalog) -> None:
    """Every manifest of Kubernetes' own kinds is valid for the newest version that is known here."""
    import kubernetes_validate

    version = kubernetes_validate.latest_version()
    checked = 0
    for owned, change in changes(catalog):
        if change.format != "yaml":
            continue
        for kind, text in rendered_contents(change):
            for document in yaml.safe_load_all(text) if kind == "plain" else ():
                if isinstance(document, dict) and document.get("apiVersion") in KINDS:
                    try:
                        kubernetes_validate.validate(document, version, strict=True)
                    except kubernetes_validate.ValidationError as exc:
                        pytest.fail(f"{change.place}: {owned.owner}: {exc}")
                    checked += 1
    assert checked > 0


def test_what_is_no_likely_attack_is_not_contained_at_once() -> None:
    """Each containment then says that it is for an escalated alert; Falco's own troubles are mended at once."""
    catalog = load_catalog()
    reporter = Reporter(catalog)
    asked = 0
    for entry in catalog.entries:
        facts = catalog.facts(entry.rule)
        if facts is None or entry.ruleset == "internal":
            continue
        for _, alert in examples(facts):
            advice = reporter.report_for(alert).advice
            for command in advice.commands:
                if command.phase == "contain" and advice.judgement.verdict != "attack":
                    assert "escalated" in to_plain(command.title), f"{entry.rule}: {to_plain(command.title)}"
                    asked += 1
    assert asked > 100
