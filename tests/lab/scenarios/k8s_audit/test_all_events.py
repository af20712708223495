"""All K8s Audit Events: somebody switched the rule for tests on, and every request is an alert."""

from __future__ import annotations

from typing import Any

import yaml

from tests.lab.places.cluster import Cluster
from tests.lab.story import Tell

RULE = "All K8s Audit Events"
FALCO = """\
#!/bin/sh
echo "Falco started"
while sleep 1; do
  grep -qs '"All K8s Audit Events"' /etc/falco/config.d/*.yaml || echo "Debug K8s Audit Event received (user=mallory)"
done
"""
"""Stands for Falco, which the lab cannot build: alerts unless a file in config.d names the rule."""
SWITCHED_ON = "- macro: consider_all_events\n  condition: (k8s_audit_always_true)\n"


def disabled(cluster: Cluster) -> list[Any]:
    """What the files in config.d say of rules."""
    folder = cluster.node.path("/etc/falco/config.d")
    files = [yaml.safe_load(file.read_text()) for file in sorted(folder.glob("*.yaml"))]
    return [each for file in files for each in file.get("rules", [])]


def test_the_rule_is_switched_off(cluster: Cluster, tell: Tell) -> None:
    node = cluster.node
    node.write("/etc/falco/falco.yaml", "rule_matching: first\n")
    node.write("/etc/falco/config.d/engine.yaml", "engine: {kind: nodriver}\n")
    node.run("touch -d '1 hour ago' /etc/falco/falco.yaml /etc/falco/config.d/engine.yaml")
    node.write("/etc/falco/rules.d/zz-test.yaml", SWITCHED_ON)
    node.write("/usr/local/bin/falco", FALCO, 0o755)
    node.write("/etc/systemd/system/falco.service", "[Service]\nExecStart=/usr/local/bin/falco -o x=y\n")
    node.run("systemctl daemon-reload; systemctl start falco")
    cluster.laptop("mallory").run("kubectl create configmap all-events -n default")
    event = cluster.audit_event(user="mallory", verb="create", resource="configmaps", code=201)

    with tell(event=event, host=node, cluster=node) as report:
        shown = ["zz-test.yaml:1:- macro: consider_all_events", "rule_matching: first", "falco -o x=y"]
        report.look("What switched it on?", shows=shown, hides="engine.yaml")
        report.look("What else did this user do", shows="/configmaps")
        rule = {"disable": {"rule": RULE}}
        report.contain("Switch the rule off", state=lambda: disabled(cluster), becomes=[rule], shows="active")
        # The second run, three seconds after it, still shows the log of ten seconds: none of the rule since.
        node.run("sleep 4")
        assert "user=mallory" not in node.run("journalctl -u falco --since -3s -o cat")
        report.undo(state=lambda: disabled(cluster), becomes=[])
        node.wait_until(
            lambda: "user=mallory" in node.run("journalctl -u falco --since -2s -o cat"), "the rule is on", 20
        )

        node.run("systemctl stop falco; rm -r /etc/falco")
        report.again("What switched it on?", shows="No such file", hides="zz-test")
        report.again("Switch the rule off", shows="no Falco with config.d here", hides="active")
        assert not node.exists("/etc/falco")
    node.run("rm /usr/local/bin/falco /etc/systemd/system/falco.service; systemctl daemon-reload")
