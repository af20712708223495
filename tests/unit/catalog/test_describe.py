"""A rule in words that hold for every alert."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter.catalog.catalog import load_catalog
from exporter.catalog.describe import RuleDescription, describe, in_general
from exporter.catalog.template import ProseTemplate
from tests.unit.catalog.builder import catalog_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%{proc.name} opened %{fd.name}.", "A process opened a file."),
        ("%{proc.name}[[ (%{proc.cmdline})]] ran as %{user.name} (uid %{user.uid}).", "A process ran as a user."),
        ("%{proc.name} ran in container %{container.name}.", "A process ran in a container."),
        ("A shell ran in[[ container %{container.name}]].", "A shell ran in a container."),
        ("The system account %{user.name} logged in.", "The system account logged in."),
        ("It ended. %{proc.name} began.", "It ended. A process began."),
        ("%{ka.user.name} sent %{ka.verb} %{ka.target.resource}.", "A user sent a request."),
        ("A pod with images %{ka.req.pod.containers.image}.", "A pod with images."),
        ("A pod; images %{ka.req.pod.containers.image}.", "A pod."),
        ("A `literal` stays.", "A literal stays."),
        ("A find for `.aws/credentials` or `../`.", "A find for .aws/credentials or ../."),
        ("Made by service account %{ka.user.name}.", "Made by a service account."),
        ("%{unknown.field} changed.", "A value changed."),
        ("%{alert.hostname} was touched in %{alert.place}.", "The host was touched."),
        ("%{proc.pname|'A server'} started %{proc.cmdline|proc.name|'a shell'}.", "A server started a shell."),
        (
            "%{proc.name|'a process that is not named'} ran. %{user.name|'(no name)'} did it.",
            "A process ran. A user did it.",
        ),
    ],
)
def test_values_become_nouns(text: str, expected: str) -> None:
    """Placeholders become generic nouns in sensible English, and what is optional goes."""
    assert in_general(ProseTemplate(text)) == expected


def test_a_connection_is_no_file() -> None:
    """Of a rule about connections `fd.name` is said to be one."""
    assert in_general(ProseTemplate("It opened %{fd.name}."), connection=True) == "It opened a connection."


def test_long_text_is_cut_at_a_sentence() -> None:
    """At most 300 characters, whole sentences where that leaves enough."""
    said = in_general(ProseTemplate("A sentence of some length that goes on. " * 20))
    assert len(said) <= 300
    assert said.endswith("on.")
    assert in_general(ProseTemplate("word " * 100)).endswith("word …")


def test_a_summary_without_values_that_says_nothing_gives_way_to_the_title() -> None:
    """Shipped entries are sentences of three words at least, of whatever their summary consists."""
    catalog = load_catalog()
    for entry in catalog.entries:
        said = describe(catalog, entry.rule, entry.source)
        assert said
        assert said.summary.count(" ") >= 2, (entry.rule, said.summary)
        assert not re.search(r"[([]|not named|\ba value\b", said.summary), (entry.rule, said.summary)


def test_describes_an_entry(tmp_path: Path) -> None:
    """Maturity comes from upstream, names and ids from ATT&CK, the rest from the entry."""
    said = describe(catalog_of(tmp_path, {}), "Clear Log Activities", "syscall")
    assert said == RuleDescription(
        maturity="stable",
        tactics=("Defense Impairment",),
        techniques=("T1685.006",),
        summary="A process emptied a file.",
        impact="Emptied logs hide what came before.",
        mitigation="Record truncation.",
        runbook="https://attack.mitre.org/techniques/T1685/006/",
    )


def test_a_rule_without_an_entry_has_its_maturity_alone(tmp_path: Path) -> None:
    """An official rule that nobody wrote for is described by what upstream says; any other not at all."""
    catalog = catalog_of(tmp_path, {})
    assert describe(catalog, "Schedule Cron Jobs", "syscall") == RuleDescription(maturity="incubating")
    assert describe(catalog, "Our own rule", "syscall") is None


def test_every_shipped_entry_is_described() -> None:
    """No placeholder, bracket or doubled article is left in any description."""
    catalog = load_catalog()
    for entry in catalog.entries:
        said = describe(catalog, entry.rule, entry.source)
        assert said is not None
        for text in (said.summary, said.impact, said.mitigation):
            assert 0 < len(text) <= 300, entry.rule
            assert "%{" not in text, entry.rule
            assert "[[" not in text, entry.rule
            assert " a a " not in text, entry.rule
