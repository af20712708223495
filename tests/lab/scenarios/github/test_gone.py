"""What the steps answer when repository, workflow or account has been deleted since: 404, and nothing else."""

from __future__ import annotations

import pytest

from tests.lab.places.host import Host
from tests.lab.places.vendors import Vendor
from tests.lab.scenarios.github.shop import MISSING, Shop
from tests.lab.scenarios.github.test_repositories import (
    DISCONNECTED,
    LEAKED,
    MINER,
    NEW,
    OPENED,
    REMOVED,
    begin,
)
from tests.lab.story import Tell

STEPS = {
    NEW: "Stop its workflows",
    MINER: "Switch the workflow off",
    OPENED: "Close the repository",
    LEAKED: "Close the repository",
    REMOVED: "Invite the removed",
}
RULES = (*STEPS, DISCONNECTED)


@pytest.mark.parametrize("rule", STEPS)
def test_the_repository_is_deleted(github: Vendor, tell: Tell, rule: str) -> None:
    shop = Shop(github)
    shop.gone = True
    report = begin(tell, github, rule)
    answer = report.again(STEPS[rule], shows="404")
    assert answer.status != 0, answer
    if rule != REMOVED:
        for gone in (True, False):
            shop.gone = gone
            report.again(STEPS[rule], undo=True, shows="nothing was changed")
    asked = [each for each in github.service.requests if each.method != "GET" and "/repos/shop/web" not in each.path]
    assert not asked, "the step reached past the repository"
    assert (shop.is_public, shop.workflow, shop.actions["enabled"], shop.invited) == (True, "active", True, {})


def test_the_workflow_is_deleted(github: Vendor, tell: Tell) -> None:
    """Its runs are then listed nowhere; other workflows' go on."""
    shop = Shop(github)
    report = begin(tell, github, MINER)
    at = "/repos/{o}/{r}/actions/workflows/{w}"
    for verb, path in (("GET", at), ("PUT", f"{at}/disable"), ("PUT", f"{at}/enable"), ("GET", f"{at}/runs")):
        github.service.answers(f"{verb} {path}", MISSING)
    report.again("Switch the workflow off", shows="404")
    report.again("Switch the workflow off", undo=True, shows="nothing was changed")
    assert shop.runs == {9: "in_progress", 8: "completed"}


def test_falco_is_no_unit_any_more(github: Vendor, tell: Tell, booted_host: Host) -> None:
    Shop(github)
    report = begin(tell, github, DISCONNECTED, host=booted_host)
    report.again("Let Falco make its hooks anew", shows=["falco.service not found", "inactive"])


def test_what_the_journal_has_lost_since_is_kept(github: Vendor, tell: Tell, booted_host: Host) -> None:
    """The journal is full and drops its oldest lines, those of the minute in question."""
    Shop(github)
    booted_host.run(
        """cp /usr/bin/logger /usr/local/bin/falco
        { echo "the hook was deleted"; until journalctl _COMM=falco | grep -q deleted; do sleep 0.1; done; } | falco"""
    )
    report = begin(tell, github, DISCONNECTED, host=booted_host)
    report.again("Let Falco make its hooks anew")
    booted_host.run("journalctl --rotate --vacuum-time=1ms; ! journalctl _COMM=falco | grep deleted")
    report.again("Let Falco make its hooks anew")
    assert "the hook was deleted" in booted_host.run(f"cat /root/evidence/{report.uid}/falco.log")
